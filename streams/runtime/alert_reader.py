"""Read the alert topic as any consumer would: no group, no commits, nothing written."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from msgspec import Struct

from streams.config import Settings
from streams.contracts.alert import AlertEvent, decode_alert
from streams.errors import BrokerError, InputError, TopicError
from streams.runtime.kafka_client import client_config, reach
from streams.runtime.topics import topic_name

POLL_S = 0.2  # how soon Ctrl-C and a timeout are seen


class Revision(Struct, frozen=True):
    """One alert, with the bytes it came in (they may hold fields this version does not know)."""

    alert: AlertEvent
    raw: bytes


def follow(
    settings: Settings,
    *,
    from_beginning: bool = False,
    timeout_s: float | None = None,
    on_bad: Callable[[str], None] = lambda _: None,
) -> Iterator[Revision]:
    """Give revisions as they come, from this call on or from the first one kept; ends when none came for ``timeout_s``.

    A repeat (workers that restart may send a revision again) is dropped. What is no alert goes to ``on_bad`` as text.
    Raises `BrokerError` if the cluster cannot be reached and `TopicError` if there is no alert topic.
    """
    return _follow(_Reader(settings, from_beginning), timeout_s, on_bad)


def _follow(reader: "_Reader", timeout_s: float | None, on_bad: Callable[[str], None]) -> Iterator[Revision]:
    with reader:
        latest: dict[str, int] = {}
        quiet_since = time.monotonic()
        while timeout_s is None or time.monotonic() - quiet_since < timeout_s:
            message = reader.poll()
            if message is None or (revision := _decode(message, on_bad)) is None:
                continue
            alert = revision.alert
            if latest.get(alert.alert_id, 0) < alert.revision:
                latest[alert.alert_id] = alert.revision
                yield revision
                quiet_since = time.monotonic()


def read_all(settings: Settings, prefix: str, on_bad: Callable[[str], None] = lambda _: None) -> list[Revision]:
    """Return what the topic holds now of the cases whose alert_id starts with ``prefix``; raises as `follow` does."""
    with _Reader(settings, from_beginning=True) as reader:
        found = []
        wanted = prefix.encode()
        while not reader.at_end():
            message = reader.poll()
            if message is not None and (message.key() or b"").startswith(wanted):  # the key is the alert_id
                revision = _decode(message, on_bad)
                if revision is not None:
                    found.append(revision)
        return found


def read_file(path: Path) -> list[Revision]:
    """Return the alerts of a file of JSON lines, as ``stillwatch replay`` writes them.

    Raises `InputError` naming the line that is not an alert.
    """
    revisions = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"The alerts cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                revisions.append(Revision(decode_alert(line), line))
            except InputError as error:
                raise InputError(f"{path} line {number}: {error.message}") from error
    return revisions


class _Reader:
    """A consumer that is assigned every partition of the alert topic, up to where each ended at the start."""

    def __init__(self, settings: Settings, from_beginning: bool) -> None:
        self._topic = topic_name(settings, "alerts")
        metadata = reach(settings).list_topics(self._topic, timeout=10).topics[self._topic]
        if metadata.error is not None or not metadata.partitions:
            raise TopicError(f"Topic {self._topic} does not exist: make it with `stillwatch topics create`.")
        self._consumer = Consumer(
            client_config(settings)
            | {
                "group.id": f"{settings.kafka.group_prefix}-alerts-reader",  # demanded, though no group is joined
                "enable.auto.commit": False,
                "enable.partition.eof": False,
            }
        )
        self._ends: dict[int, int] = {}
        starts = []
        for number in sorted(metadata.partitions):
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=10)
            self._ends[number] = high
            starts.append(TopicPartition(self._topic, number, low if from_beginning else high))
        self._positions = {start.partition: start.offset for start in starts}
        self._consumer.assign(starts)

    def poll(self) -> Message | None:
        """Return the next record, None if none came for a moment; raises `BrokerError` for what no retry mends."""
        message = self._consumer.poll(POLL_S)
        if message is None:
            return None
        error = message.error()
        if error is not None:
            if error.code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART):
                raise BrokerError(f"Topic {self._topic} cannot be read: {error.str()}.")
            return None  # anything else is retried by the library
        self._positions[message.partition() or 0] = (message.offset() or 0) + 1
        return message

    def at_end(self) -> bool:
        """Tell whether all that was there at the start has been read."""
        for position in self._consumer.position([TopicPartition(self._topic, number) for number in self._ends]):
            if position.offset >= 0:  # behind control records and gaps too, which poll does not show
                self._positions[position.partition] = max(self._positions[position.partition], position.offset)
        return all(self._positions[number] >= end for number, end in self._ends.items())

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: Any) -> None:
        self._consumer.close()


def _decode(message: Message, on_bad: Callable[[str], None]) -> Revision | None:
    raw = message.value()
    try:
        return Revision(decode_alert(raw or b""), raw or b"")
    except InputError as error:
        on_bad(f"{message.topic()} partition {message.partition()} offset {message.offset()}: {error.message}")
        return None
