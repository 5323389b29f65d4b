"""The limit of the other client: librdkafka fetches everything, and nothing is done with it."""

from confluent_kafka import Consumer

from streams.bench.hosts import Job
from streams.bench.meter import Meter
from streams.runtime.faust_app import MAX_POLL_RECORDS


def run(job: Job) -> None:
    """Fetch and drop."""
    kafka, meter = job.settings.kafka, Meter(job.meter, job.events)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": kafka.group_prefix,
            "auto.offset.reset": "earliest",
            "max.partition.fetch.bytes": kafka.fetch_max_bytes,
        }
    )
    consumer.subscribe([kafka.requests_topic])
    meter.count(0)
    while meter.events < job.events:
        meter.count(sum(message.error() is None for message in consumer.consume(MAX_POLL_RECORDS, 1.0)))
    consumer.close()
