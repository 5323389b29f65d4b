"""Write a checkpoint: snapshots, marker and input offsets of a stage in one Kafka transaction.

The offsets go into the transaction under the generation and member id of the Faust consumer, so the broker refuses the
whole of it once the partitions belong to somebody else. Whatever goes wrong here, the worker must end: its memory is
ahead of what is stored, and a restart reads both from the broker.
"""

import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

import structlog
import xxhash
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams.config import Settings
from streams.errors import BrokerError
from streams.operator import MARKER_KEY, Checkpoint
from streams.runtime.kafka_client import client_config, producer_config
from streams.runtime.topics import state_topic

TRANSACTION_TIMEOUT_MS = 10_000  # a dead worker's open transaction holds the next restore up for so long
CALL_TIMEOUT_S = 10.0
OPEN_TIMEOUT_S = 30.0  # a cluster's first transaction waits until a topic is made for it
NAME_CHARS = 16
ABORT_TIMEOUT_S = 2.0  # of the worker's last seconds; the broker aborts what is left
LOST = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError._FENCED,
    }
)

log = structlog.get_logger("stillwatch.checkpoint")


class Part(NamedTuple):
    """The checkpoint of one partition."""

    partition: int
    checkpoint: Checkpoint


def name_of(marker: bytes) -> str:
    """Name a checkpoint: what stands beside its offsets, so that a restore knows its state from an older one's.

    Two checkpoints may have one offset: that of stage campaigns is of the oldest item it holds. Two of stage accounts
    may have one name, if the first had to leave changes for the second: a restore can go on from either.
    """
    return xxhash.xxh3_64_hexdigest(marker)


class Written(NamedTuple):
    """The size of a checkpoint."""

    keys: int
    bytes: int


def group_metadata(group: str, generation: int, member_id: str, instance: str | None) -> bytes:
    """Return what librdkafka's ``consumer_group_metadata()`` returns for such a member.

    Its private layout, version 2: generation (int32, little endian), group, member id and, after a byte that says
    whether it is missing, the group instance id; strings end with a zero byte. A contract test compares it.
    """
    static = b"\x00" + instance.encode() + b"\x00" if instance else b"\x01"
    head = b"CGMDv2:" + struct.pack("<i", generation)
    return head + group.encode() + b"\x00" + member_id.encode() + b"\x00" + static


class StateWriter:
    """The transactional producer of one stage in this process; not thread-safe: one call at a time."""

    def __init__(self, settings: Settings, stage: str, input_topic: str, group: str, instance: str) -> None:
        """Prepare; `open` connects. ``instance`` must be this process's alone; best it stays so over restarts."""
        self._input = input_topic
        self._topic = state_topic(settings, stage)
        self._producer = Producer(
            producer_config(settings, lambda error: None)  # errors come out of the calls below
            | {
                "transactional.id": f"{group}-{instance}",
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "compression.type": "lz4",
                "queue.buffering.max.kbytes": 1_048_576,
            }
        )

    def open(self) -> None:
        """Fence the predecessor with our id and abort its open transaction; raises `BrokerError`."""
        try:
            self._producer.init_transactions(OPEN_TIMEOUT_S)
        except KafkaException as error:
            raise BrokerError(f"No transaction can be begun: {error.args[0].str()}.") from error

    def write(self, parts: Sequence[Part], metadata: bytes) -> Written:
        """Write and commit; raises `BrokerError` if not everything of it is certainly committed."""
        began, written = time.monotonic(), []
        try:
            self._producer.begin_transaction()
            written += [self._produce(part) for part in parts]
            offsets = [
                TopicPartition(self._input, part.partition, part.checkpoint.offset, name_of(part.checkpoint.marker))
                for part in parts
            ]
            self._producer.send_offsets_to_transaction(offsets, metadata, CALL_TIMEOUT_S)
            self._producer.commit_transaction(CALL_TIMEOUT_S)
        except KafkaException as error:
            reason, taken_s = error.args[0], time.monotonic() - began
            self._abort()
            size = f"{sum(each.bytes for each in written) / 1e6:.0f} MB after {taken_s:.1f} s"
            if reason.code() in LOST:
                raise BrokerError(
                    f"Its partitions or its name are another worker's by now ({reason.name()}): it was cut off for "
                    "longer than kafka.session_timeout_s, two workers have one --instance, or the checkpoint "
                    f"({size}) took longer than the {CALL_TIMEOUT_S:.0f} s of a transaction. Start it again."
                ) from error
            raise BrokerError(f"The checkpoint was refused: {reason.str()} ({reason.name()}; {size}).") from error
        return Written(sum(each.keys for each in written), sum(each.bytes for each in written))

    def _abort(self) -> None:
        """Take the transaction back if that is still ours to do: open, it would hide the state of the next owner."""
        try:
            self._producer.abort_transaction(ABORT_TIMEOUT_S)
        except KafkaException as error:
            log.info("the broker will abort the transaction in time", reason=error.args[0].name())

    def _produce(self, part: Part) -> Written:
        size = 0
        for key, value in (*part.checkpoint.snapshots, (MARKER_KEY, part.checkpoint.marker)):
            size += len(key) + len(value or b"")
            while not self._queued(part.partition, key, value):
                self._producer.poll(0.05)
        return Written(len(part.checkpoint.snapshots), size)

    def _queued(self, partition: int, key: bytes, value: bytes | None) -> bool:
        try:
            self._producer.produce(self._topic, value=value, key=key, partition=partition)
        except BufferError:
            return False
        return True


def committed_reader(settings: Settings, group: str) -> Consumer:
    """Return a consumer that reads only what is committed and never joins the group it looks up offsets of."""
    return Consumer(
        client_config(settings)
        | {
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # an empty partition tells its end only after this; measured: 0.1 s for 2.2
            "fetch.max.bytes": 64 << 20,
            "max.partition.fetch.bytes": 16 << 20,
            "queued.max.messages.kbytes": 131_072,
        }
    )
