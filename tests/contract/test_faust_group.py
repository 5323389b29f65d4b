"""Group membership and commits against a real broker: what the checkpoints' fencing rests on."""

import struct
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, TopicPartition
from support import until

from streams.config import Settings
from streams.errors import BrokerError
from streams.operator import Checkpoint
from streams.runtime.checkpoint import Part, StateWriter, committed_reader, group_metadata
from streams.runtime.restore import read_state
from streams.runtime.topics import create_topics, state_topic

pytestmark = pytest.mark.system


def joined(settings: Settings, group: str, instance: str | None) -> Consumer:
    """A member of a group, by librdkafka."""
    config = {"bootstrap.servers": settings.kafka.bootstrap, "group.id": group, "session.timeout.ms": 10_000}
    consumer = Consumer(config | ({"group.instance.id": instance} if instance else {}))
    consumer.subscribe([settings.kafka.requests_topic])
    assert until(lambda: consumer.poll(0.1) is not None or consumer.assignment())
    return consumer


def parse(metadata: bytes) -> tuple[int, str]:
    """Generation and member id of librdkafka's group metadata."""
    (generation,) = struct.unpack_from("<i", metadata, 7)
    return generation, metadata[11:].split(b"\0")[1].decode()


@pytest.mark.parametrize("instance", [None, "one"])
def test_the_group_metadata_is_what_librdkafka_makes(make_settings: Callable[..., Settings], instance: str | None):
    """Byte for byte, for a dynamic and for a static member."""
    settings = make_settings()
    create_topics(settings)
    group = f"{settings.kafka.group_prefix}-accounts"
    consumer = joined(settings, group, instance)
    expected = consumer.consumer_group_metadata()
    generation, member = parse(expected)

    actual = group_metadata(group, generation, member, instance)
    consumer.close()

    assert generation > 0
    assert member
    assert expected == actual


def write(settings: Settings, group: str, metadata: bytes, value: bytes, offset: int) -> None:
    """One checkpoint of partition 0."""
    writer = StateWriter(settings, "accounts", settings.kafka.requests_topic, group, "test")
    writer.open()
    writer.write([Part(0, Checkpoint([(b"key", value)], b"marker", offset))], metadata)


def test_a_member_writes_state_and_offsets_at_once_and_an_outdated_one_nothing(make_settings: Callable[..., Settings]):
    """With the generation before, or another member id, the broker refuses the whole transaction."""
    settings = make_settings()
    create_topics(settings)
    group = f"{settings.kafka.group_prefix}-accounts"
    consumer = joined(settings, group, None)
    generation, member = parse(consumer.consumer_group_metadata())

    write(settings, group, group_metadata(group, generation, member, None), b"first", 7)
    with pytest.raises(BrokerError, match="ILLEGAL_GENERATION"):
        write(settings, group, group_metadata(group, generation - 1, member, None), b"outdated", 9)
    with pytest.raises(BrokerError, match="UNKNOWN_MEMBER_ID"):
        write(settings, group, group_metadata(group, generation, "stranger", None), b"strange", 9)
    consumer.close()

    reader = committed_reader(settings, group)
    state = read_state(reader, state_topic(settings, "accounts"), [0])
    (committed,) = reader.committed([TopicPartition(settings.kafka.requests_topic, 0)], 20)
    reader.close()
    assert {b"key": b"first", b"\x00marker": b"marker"} == state[0]
    assert 7 == committed.offset


def test_a_tombstone_removes_its_key_and_an_open_transaction_is_not_read(make_settings: Callable[..., Settings]):
    """A restore sees exactly what is committed."""
    settings = make_settings()
    create_topics(settings)
    group = f"{settings.kafka.group_prefix}-accounts"
    consumer = joined(settings, group, None)
    generation, member = parse(consumer.consumer_group_metadata())
    metadata = group_metadata(group, generation, member, None)
    writer = StateWriter(settings, "accounts", settings.kafka.requests_topic, group, "test")
    writer.open()
    writer.write([Part(1, Checkpoint([(b"a", b"1"), (b"b", b"1")], b"m1", 1))], metadata)
    writer.write([Part(1, Checkpoint([(b"a", None)], b"m2", 2))], metadata)
    writer._producer.begin_transaction()
    writer._producer.produce(state_topic(settings, "accounts"), b"open", b"b", 1)
    writer._producer.flush(20)

    reader = committed_reader(settings, group)
    state = read_state(reader, state_topic(settings, "accounts"), [0, 1])
    reader.close()
    writer._producer.abort_transaction()
    consumer.close()

    assert {0: {}, 1: {b"b": b"1", b"\x00marker": b"m2"}} == state
