"""Keep the request partitions together in event time while catching up.

Account workers publish how far each of their partitions is, once a second, to a compacted topic that all of them read.
Whoever is far ahead of the slowest partition that is not idle is not fetched, so that what the stages below must hold
back stays bounded. The stages below never pause: all sources interleave there, it would deadlock.
"""

import threading
from collections.abc import Iterable, Mapping

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from streams.config import Settings
from streams.operator import Record
from streams.runtime.kafka_client import client_config
from streams.runtime.topics import PROGRESS, topic_name

READ_S = 0.2  # progress is published once a second


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one request partition is: its watermark in ms of event time, and whether nobody need wait for it."""

    watermark_ms: float | None = None
    idle: bool = False  # declared idle, ended, or empty


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Progress).decode


def progress_records(found: Mapping[int, Progress]) -> list[Record]:
    """Return the records that publish the progress of these partitions."""
    return [
        Record(PROGRESS, 0, str(partition).encode(), _encode(progress)) for partition, progress in sorted(found.items())
    ]


def too_far_ahead(
    own: Mapping[int, Progress], published: Mapping[int, Progress], partitions: int, skew_max_ms: int
) -> frozenset[int]:
    """Return which of our own partitions are not to be fetched for now.

    A partition of which nothing is known counts as the slowest. One that has read all it has still counts until it is
    declared idle: the stages below wait for it just as long.
    """
    known = {**published, **own}
    slowest = float("inf")
    for partition in range(partitions):
        progress = known.get(partition, Progress())
        if not progress.idle:
            watermark = progress.watermark_ms
            slowest = min(slowest, float("-inf") if watermark is None else watermark)
    return frozenset(
        partition
        for partition, progress in own.items()
        if progress.watermark_ms is not None and progress.watermark_ms > slowest + skew_max_ms
    )


class ProgressReader:
    """Read the progress of all partitions in a thread; records that make no sense are passed over."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        self.published: dict[int, Progress] = {}
        self._valid = range(partitions)
        self._stop = threading.Event()
        self._consumer = Consumer(
            client_config(settings, lambda error: None)
            | {
                "group.id": f"{settings.kafka.group_prefix}-progress",  # never joined, nothing is committed
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.assign([TopicPartition(topic_name(settings, PROGRESS), 0, OFFSET_BEGINNING)])
        self._thread = threading.Thread(target=self._read, name="progress", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            self.take_in(
                (message.key(), message.value())
                for message in self._consumer.consume(1_000, READ_S)
                if message.error() is None
            )

    def take_in(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Remember the last progress of each partition."""
        for key, value in records:
            try:
                partition, progress = int(key or b""), _decode(value or b"")
            except (ValueError, msgspec.MsgspecError):
                continue
            if partition in self._valid:
                self.published[partition] = progress
