"""What is alike in every foreign host: the operators of stage accounts, and the producer of what they say."""

import os

from confluent_kafka import Producer

from streams.accounts.operator import AccountsOperator
from streams.bench.hosts import Job
from streams.bench.meter import Meter
from streams.operator import ALERTS, DEAD_LETTERS, EVIDENCE, SIGHTINGS, Batch, Record
from streams.pipeline import warm_up
from streams.runtime.kafka_client import producer_config
from streams.runtime.topics import topic_name


class Hosted:
    """The accounts operators of all partitions, without state in Kafka; output as the worker's own producer has it.

    ``take`` hands over a batch; a host that gets events one by one gives them to ``add``, which gathers batches as
    large as the worker's, so that no host pays for operators that are made for batches.
    """

    def __init__(self, job: Job) -> None:
        warm_up()
        settings, self._events = job.settings, job.events
        partitions = range(settings.kafka.request_partitions)
        self._operators = [AccountsOperator(settings, each, durable=False) for each in partitions]
        self._topics = {role: topic_name(settings, role) for role in (SIGHTINGS, EVIDENCE, ALERTS, DEAD_LETTERS)}
        self._producer = Producer(producer_config(settings) | {"compression.type": "none"})
        self._meter = Meter(job.meter, job.events)
        self._size = settings.kafka.batch_max_events
        self._waiting: list[tuple[list[int], list[bytes | None], list[bytes | None]]] = [
            ([], [], []) for _ in partitions
        ]
        self._seen = 0

    def add(self, partition: int, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Take in one event; ends the process once all are done."""
        offsets, keys, values = self._waiting[partition]
        offsets.append(offset)
        keys.append(key)
        values.append(value)
        self._seen += 1
        if len(offsets) >= self._size or self._seen == self._events:
            self._flush() if self._seen == self._events else self._take(partition)

    def _flush(self) -> None:
        for partition in range(len(self._waiting)):
            self._take(partition)

    def _take(self, partition: int) -> None:
        offsets, keys, values = self._waiting[partition]
        if offsets:
            self._waiting[partition] = ([], [], [])
            self.take(partition, offsets, keys, values)

    def take(self, partition: int, offsets: list[int], keys: list[bytes | None], values: list[bytes | None]) -> None:
        """Take in a batch of one partition; ends the process once all events are done."""
        if not self._meter.events:
            self._meter.count(0)
        self._send(self._operators[partition].on_batch(Batch(partition, offsets, keys, values)))
        self._meter.count(len(offsets))
        if self._meter.events == self._events:
            for operator in self._operators:
                self._send(operator.on_end())
            self._producer.flush()
            os._exit(0)  # leaving a group in order takes seconds, and nothing is measured any more

    def _send(self, records: list[Record]) -> None:
        for record in records:
            partition = -1 if record.partition is None else record.partition
            self._producer.produce(self._topics[record.role], record.value, record.key, partition)
        self._producer.poll(0)
