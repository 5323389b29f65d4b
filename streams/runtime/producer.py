"""All output of a worker, through one confluent producer (2.7 us a record; Faust's ``send`` takes 92)."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.config import Settings
from streams.operator import Record
from streams.runtime.kafka_client import FATAL, producer_config

HIGH_WATER_RECORDS = 50_000  # unacknowledged; more than a second of packed output at full speed
LOW_WATER_RECORDS = 25_000
QUEUE_KBYTES = 262_144
DELIVERY_TIMEOUT_MS = 45_000  # below `health.stuck_after_s`, so that the reason is named
POLL_S = 0.1


class Deliveries:
    """Count the records sent between two checkpoints, and tell when the broker has all of them.

    `sent` is counted by the event loop's thread, `done` by the producer's: neither needs a lock.
    """

    __slots__ = ("_closed", "_complete", "_fail", "done", "sent")

    def __init__(self, fail: Callable[[str], Any]) -> None:
        self.sent = 0
        self.done = 0
        self._closed = False
        self._complete = threading.Event()
        self._fail = fail

    def on_delivery(self, error: KafkaError | None, message: Any) -> None:
        """Count one record; a record that cannot be delivered ends the process."""
        if error is not None:
            self._fail(f"Output to {message.topic()} cannot be delivered: {error.str()}.")
        self.done += 1
        if self._closed and self.done >= self.sent:
            self._complete.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait, once nothing more is sent, until the broker has every record; in any thread but the two."""
        self._closed = True
        if self.done >= self.sent:
            return True
        return self._complete.wait(timeout_s)


class Outputs:
    """The producer, its poller thread, and what did not fit into its queue."""

    def __init__(self, settings: Settings, topics: Mapping[str, str], fail: Callable[[str], Any]) -> None:
        """Take the topic name of each role; ``fail`` is told what went wrong and must not return."""
        self._fail = fail
        self._topics = dict(topics)
        self._overflow: deque[tuple[Record, Deliveries]] = deque()
        self._producer = Producer(
            producer_config(settings, self._on_error)
            | {
                "compression.type": "none",  # packed records are mostly hashes: lz4 saves a third for 1.5 us an event
                "queue.buffering.max.messages": 4 * HIGH_WATER_RECORDS,
                "queue.buffering.max.kbytes": QUEUE_KBYTES,
                "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            }
        )
        self._stop = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="output", daemon=True)
        self._poller.start()
        self.pauses = 0

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in FATAL or error.fatal():
            self._fail(f"Kafka refuses the output: {error.str()}.")

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(POLL_S)

    def send(self, records: Iterable[Record], deliveries: Deliveries) -> None:
        """Queue records for delivery, in order; never waits. Call from one thread only."""
        for record in records:
            deliveries.sent += 1
            if self._overflow or not self._produce(record, deliveries):
                self._overflow.append((record, deliveries))

    def _produce(self, record: Record, deliveries: Deliveries) -> bool:
        try:
            self._producer.produce(
                self._topics[record.role],
                value=record.value,
                key=record.key,
                partition=-1 if record.partition is None else record.partition,
                on_delivery=deliveries.on_delivery,
                headers=list(record.headers),
            )
        except BufferError:
            return False
        except KafkaException as error:
            self._fail(f"Output to {self._topics[record.role]} of {len(record.value)} bytes: {error.args[0].str()}.")
        return True

    def full(self) -> bool:
        """Tell whether whoever sends should first wait for `room`."""
        return bool(self._overflow) or len(self._producer) > HIGH_WATER_RECORDS

    async def room(self) -> None:
        """Wait until the queue has drained to its low water."""
        self.pauses += 1
        while self._overflow or len(self._producer) > LOW_WATER_RECORDS:
            await asyncio.sleep(0.005)
            while self._overflow and self._produce(*self._overflow[0]):
                self._overflow.popleft()

    async def settle(self) -> None:
        """Wait until nothing is left outside the producer's own queue."""
        while self._overflow:
            await self.room()

    def __len__(self) -> int:
        return len(self._overflow) + len(self._producer)

    def close(self, timeout_s: float) -> int:
        """Deliver what is queued and stop; returns the number of records that were not delivered."""
        self._stop.set()
        self._poller.join(timeout_s)
        return self._producer.flush(timeout_s)
