"""Read a stage's state back: the last value of every key up to the last committed transaction, then the offset."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, cast

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from faust.types import TP

from streams.config import Settings
from streams.errors import BrokerError, StateError, TopicError
from streams.operator import MARKER_KEY, Operator
from streams.runtime.checkpoint import NAME_CHARS, committed_reader, name_of
from streams.runtime.kafka_client import FATAL
from streams.runtime.topics import STAGES, input_partitions, state_topic

DEADLINE_S = 30.0  # a dead worker's open transaction: 10 s, and the broker looks for such every 10 s
TOPIC_SETTLE_S = 5.0  # a topic that was just made
CALL_TIMEOUT_S = 10.0
READ_RECORDS = 10_000  # measured: 389,000-532,000 records/s
PAUSE_KEYS = 500  # between two looks whether another stage comes first: some 20 ms of accounts
ANEW = "To start anew, stop all workers and run `stillwatch topics reset`."

log = structlog.get_logger("stillwatch.restore")


class Restored(NamedTuple):
    """An operator as its last checkpoint left it, and the next input offset it needs."""

    operator: Operator
    next_offset: int
    keys: int


class Precedence:
    """Lets restores of other stages wait while the one that comes first is at work.

    All stages of a worker restore at once when another worker has died, each in a thread, and threads of one process
    share a core: the stage that alerts come from would take as long as all of them.
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Go first."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def wait(self) -> None:
        """Return once nobody goes first, after `DEADLINE_S` in any case."""
        self._free.wait(DEADLINE_S)


FIRST = STAGES[-1]
_precedence = Precedence()


class _Unsettled(Exception):
    """Offsets are visible whose snapshots are not yet.

    The markers of one transaction arrive one after another, within milliseconds; and a dead worker's open transaction
    hides what others have committed behind it in the same partition, until the broker aborts it.
    """


def restore(
    settings: Settings,
    group: str,
    input_topic: str,
    make_operator: Callable[[int], Operator],
    stage: str,
    partitions: Sequence[int],
) -> dict[int, Restored]:
    """Return a restored operator for each partition; takes a second for 400,000 keys. Run it in a thread.

    Raises `StateError` if state, committed offsets and input do not belong together, `TopicError` if the input is gone
    or has other partitions, `BrokerError` if Kafka does not answer in time.
    """
    started = time.monotonic()
    consumer = committed_reader(settings, group)
    try:
        while True:
            try:
                with _precedence.first() if stage == FIRST and partitions else nullcontext():
                    return _restore(consumer, settings, group, input_topic, make_operator, stage, partitions)
            except _Unsettled as reason:
                if time.monotonic() - started > DEADLINE_S:
                    raise StateError(
                        f"{reason} Records of {state_topic(settings, stage)} are missing: was it deleted, or changed "
                        f"by somebody else? {ANEW}"
                    ) from None
                log.info("waiting for a transaction to settle", stage=stage, reason=str(reason))
                time.sleep(0.2)
            except KafkaException as error:
                # a coordinator that has just moved; offsets in a dead worker's open transaction, which ends in time
                if time.monotonic() - started > DEADLINE_S or error.args[0].code() in FATAL:
                    raise BrokerError(f"The state of {stage} cannot be read: {error.args[0].str()}.") from error
                log.info("waiting for the broker", stage=stage, reason=error.args[0].str())
                time.sleep(0.2)
    finally:
        consumer.close()


def _restore(
    consumer: Consumer,
    settings: Settings,
    group: str,
    input_topic: str,
    make_operator: Callable[[int], Operator],
    stage: str,
    partitions: Sequence[int],
) -> dict[int, Restored]:
    topic = state_topic(settings, stage)
    _check_input(consumer, input_topic, input_partitions(settings, stage))
    committed = {
        each.partition: each
        for each in consumer.committed([TopicPartition(input_topic, p) for p in partitions], CALL_TIMEOUT_S)
    }
    yield_to_first = (lambda: None) if stage == FIRST else _precedence.wait
    records = read_state(consumer, topic, partitions, yield_to_first)
    restored = {}
    for partition in partitions:
        operator = make_operator(partition)
        try:
            offset = operator.restore(_with_pauses(records[partition], yield_to_first))
        except StateError as error:
            raise StateError(f"{topic}/{partition}: {error.message}. {ANEW}") from error
        if operator.counters.get(("state_made_otherwise",)):
            log.warning("state was made by other code or other settings", stage=stage, partition=partition)
        low, high = consumer.get_watermark_offsets(TopicPartition(input_topic, partition), CALL_TIMEOUT_S)
        if not _together(committed[partition], offset, records[partition]):
            raise _Unsettled(
                f"The group {group} has read {input_topic}/{partition} up to {committed[partition].offset}, its state "
                f"is of {'no checkpoint' if offset is None else f'another checkpoint, up to {offset}'}."
            )
        if offset is not None and (wrong := misfit(TP(input_topic, partition), offset, low, high)):
            raise StateError(wrong)
        restored[partition] = Restored(operator, low if offset is None else offset, len(records[partition]))
    return restored


def _together(committed: TopicPartition, offset: int | None, records: Mapping[bytes, bytes]) -> bool:
    """Whether the state is of the checkpoint that committed these offsets, or of a later one."""
    if committed.offset < 0:  # none are committed
        return True
    if offset is None or offset < committed.offset:
        return False
    name = committed.metadata or ""
    # offsets that a tool has set have no name, or say something else
    return offset > committed.offset or len(name) != NAME_CHARS or name == name_of(records[MARKER_KEY])


def _with_pauses(records: Mapping[bytes, bytes], pause: Callable[[], None]) -> Iterator[tuple[bytes, bytes]]:
    for n, item in enumerate(records.items()):
        if n % PAUSE_KEYS == 0:
            pause()
        yield item


def misfit(where: TP, place: int, low: int, high: int) -> str:
    """Say why nobody can go on at ``place`` in a log from ``low`` to ``high``; empty if he can."""
    if place < low:
        return (
            f"{where.topic}/{where.partition}: records {place} to {low - 1} are gone (retention has passed them) "
            f"before they were read. {ANEW}"
        )
    if place > high:
        return (
            f"{where.topic}/{where.partition} has nothing from {high} to {place}, which was read: "
            f"the topic was made anew. {ANEW}"
        )
    return ""


def _check_input(consumer: Consumer, topic: str, count: int) -> None:
    """Raise `TopicError` if a topic is gone or has other partitions: the group would share out what is left."""
    started = time.monotonic()
    while (found := consumer.list_topics(topic, CALL_TIMEOUT_S).topics[topic]).error or len(found.partitions) != count:
        if time.monotonic() - started > TOPIC_SETTLE_S:
            raise TopicError(
                f"{topic} has {len(found.partitions)} partitions, needed: {count}. Was it deleted, or changed while "
                "workers ran? See `stillwatch topics check`."
            )
        time.sleep(0.2)


def read_state(
    consumer: Consumer, topic: str, partitions: Sequence[int], pause: Callable[[], None] = lambda: None
) -> Mapping[int, dict[bytes, bytes]]:
    """Return the last committed value of every key; keys whose last record is a tombstone are left out.

    ``pause`` is called before each look at what has come.
    """
    records: dict[int, dict[bytes, bytes]] = {partition: {} for partition in partitions}
    missing = set(partitions)
    consumer.list_topics(topic, CALL_TIMEOUT_S)  # who leads them; left to `assign`, that takes half a second
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    quiet_since = time.monotonic()
    while missing:
        began = time.monotonic()
        pause()
        quiet_since += time.monotonic() - began
        for message in consumer.consume(READ_RECORDS, 0.05):
            quiet_since = time.monotonic()
            if error := message.error():
                # the end of what is committed; offsets cannot tell: a log ends with a control record, or was compacted
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                missing.discard(cast(int, message.partition()))
                continue
            found, key, value = records[cast(int, message.partition())], message.key() or b"", message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        if time.monotonic() - quiet_since > DEADLINE_S:
            raise BrokerError(f"The state topic {topic} cannot be read to its end: partitions {sorted(missing)}.")
    consumer.unassign()
    return records
