"""Bytewax: its Kafka source in large batches, each handed on whole."""

from collections import defaultdict
from typing import Any

from bytewax import operators
from bytewax.connectors.kafka import KafkaSource
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from streams.bench.hosts import Job
from streams.bench.hosts.hosted import Hosted


def run(job: Job) -> None:
    """Host stage accounts."""
    hosted = Hosted(job)
    kafka = job.settings.kafka

    def accounts(batch: list[Any]) -> list[Any]:
        messages: dict[int, list[Any]] = defaultdict(list)
        for message in batch:
            messages[message.partition].append(message)
        for partition, found in messages.items():
            hosted.take(partition, [m.offset for m in found], [m.key for m in found], [m.value for m in found])
        return []

    flow = Dataflow("accounts")
    source = KafkaSource([kafka.bootstrap], [kafka.requests_topic], batch_size=kafka.batch_max_events)
    requests = operators.input("requests", flow, source)
    operators.output("out", operators.flat_map_batch("accounts", requests, accounts), StdOutSink())
    cli_main(flow)
