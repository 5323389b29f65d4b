"""The broker of a benchmark, with the events in it, and topics of its own for every process that is measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.bench.pins import pinned
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.replay import key_of
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import client_config, producer_config, reach
from streams.runtime.topics import create_topics, topic_specs
from streams.simulator.generate import Event
from streams.simulator.sinks import produce


@contextmanager
def filled(
    traffic: Traffic, settings: Settings, where: set[int] | None, report: Callable[[str, int], None]
) -> Iterator[Settings]:
    """Start a broker on the cores ``where``, send it the events, and yield the settings that reach it."""
    with pinned(where):
        broker = LocalBroker(report=lambda text: report(text, 0)).start()
    with broker:
        kafka = msgspec.structs.replace(settings.kafka, bootstrap=broker.bootstrap)
        settings = msgspec.structs.replace(settings, kafka=kafka)
        create_topics(settings)
        done = 0

        def produced(count: int) -> None:
            nonlocal done
            done += count
            report("fill the topic", done)

        lines = islice(traffic.lines(), traffic.events)
        events = (Event(0, (key_of(line) or b"").decode(), line) for line in lines)
        produce(events, settings.kafka.requests_topic, producer_config(settings), produced)
        yield settings


@contextmanager
def own_topics(settings: Settings, name: str) -> Iterator[Settings]:
    """Yield settings with consumer groups and topics of their own but for the requests; the topics go at the end."""
    kafka = msgspec.structs.replace(
        settings.kafka,
        group_prefix=name,
        internal_prefix=name,
        alerts_topic=f"{name}.alerts",
        dead_letters_topic=f"{name}.dlq",
    )
    mine = msgspec.structs.replace(settings, kafka=kafka)
    create_topics(mine)
    try:
        yield mine
    finally:
        theirs = {spec.name for spec in topic_specs(settings)}
        names = [spec.name for spec in topic_specs(mine) if spec.name not in theirs]
        admin = reach(settings)  # held: a client that is gone answers no more
        for future in admin.delete_topics(names).values():
            future.exception()


def read_all(settings: Settings, topic: str) -> Iterator[Any]:
    """Yield every message that a topic holds now."""
    reach(settings)
    consumer = Consumer(
        client_config(settings)
        | {"group.id": "stillwatch-bench", "enable.partition.eof": True, "enable.auto.commit": False}
    )
    try:
        missing = set(consumer.list_topics(topic, 10.0).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in missing])
        while missing:
            for message in consumer.consume(1_000, 1.0):
                if (error := message.error()) is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    missing.discard(message.partition())
    finally:
        consumer.close()
