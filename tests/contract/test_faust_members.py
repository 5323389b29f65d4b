"""The members of Faust, aiokafka and confluent-kafka that are not public and that the runtime relies on.

A new version of one of them must fail here, before it commits wrong offsets somewhere.
"""

import inspect
import re
from collections import defaultdict
from importlib.metadata import requires, version
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import mode
import pytest
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP, ConsumerMessage

from streams.config import Settings
from streams.runtime.blocks import FetchResult, PartitionRecords, RecordBatches
from streams.runtime.faust_app import faust_app

PINNED = {"faust-streaming": "0.15.", "aiokafka": "0.14.", "confluent-kafka": "2.16.", "mode-streaming": "0.7."}

# What is overridden or called, with its parameters.
SIGNATURES: list[tuple[Any, str, list[str]]] = [
    (driver.Consumer, "_to_message", ["self", "tp", "record"]),
    (driver.Consumer, "_getmany", ["self", "active_partitions", "timeout"]),
    (driver.Consumer, "_new_consumer_thread", ["self"]),
    (driver.Consumer, "perform_seek", ["self"]),
    (driver.Consumer, "seek_wait", ["self", "partitions"]),
    (driver.Consumer, "on_partitions_revoked", ["self", "revoked"]),
    (driver.Consumer, "highwaters", ["self", "partitions"]),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
    (fetcher.PartitionRecords, "_consumer_record", ["self", "tp", "record"]),
    (fetcher.FetchResult, "getall", ["self", "max_records"]),
    (fetcher.FetchResult, "check_assignment", ["self", "tp"]),
    (fetcher.FetchResult, "_update_position", ["self"]),
    (driver.Transport, "__init__", ["self", "args", "kwargs"]),
    (DefaultSchedulingStrategy, "map_from_records", ["records"]),
    (faust.App, "_create_directories", ["self"]),
    (faust.Schema, "compile", ["self", "app", "on_key_decode_error", "on_value_decode_error", "default_propagate"]),
    (faust.Worker, "on_init_dependencies", ["self"]),
    (faust.Worker, "install_signal_handlers", ["self"]),
    (faust.Worker, "on_started", ["self"]),
    (mode.Service, "add_dependency", ["self", "service"]),
    (aiokafka.AIOKafkaConsumer, "last_stable_offset", ["self", "partition"]),
    (Assignment, "state_value", ["self", "tp"]),
]


@pytest.mark.parametrize(("package", "prefix"), PINNED.items())
def test_the_versions_are_those_that_were_read(package: str, prefix: str):
    """A new minor version is read again before it is used."""
    assert version(package).startswith(prefix)


def test_the_requirements_keep_other_versions_out():
    """Whoever installs the package gets these versions too."""
    wanted = requires("stillwatch") or []
    for package, bound in {
        "faust-streaming": "<0.16",
        "aiokafka": "<0.15",
        "confluent-kafka": "<2.17",
        "mode-streaming": "<0.8",
    }.items():
        (found,) = [each for each in wanted if re.match(rf"{package}\b", each)]
        assert bound in found


@pytest.mark.parametrize(
    ("owner", "name", "parameters"), SIGNATURES, ids=lambda value: getattr(value, "__name__", None)
)
def test_signatures_are_as_used(owner: Any, name: str, parameters: list[str]):
    """What is overridden or called takes the parameters that it took."""
    assert parameters == list(inspect.signature(getattr(owner, name)).parameters)


def test_a_consumer_thread_is_told_its_wait_and_isolation_before_it_starts():
    """aiokafka hands these attributes to its fetcher when it starts, not when it is made."""
    source = inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    assert "fetch_min_bytes=self._fetch_min_bytes" in source
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in source
    assert "isolation_level=self._isolation_level" in source


def test_the_fetcher_reads_by_blocks():
    """It makes what `blocks` has in place of its own, and asks that for what is used."""
    source = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert "records = MemoryRecords(part_data[-1])" in source
    assert "partition_records = PartitionRecords(" in source
    assert "FetchResult(" in source
    assert (RecordBatches, PartitionRecords) == (fetcher.MemoryRecords, fetcher.PartitionRecords)
    assert FetchResult is fetcher.FetchResult
    source = inspect.getsource(fetcher.Fetcher.fetched_records)
    assert "records = res_or_error.getall(max_records)" in source
    assert "max_records -= len(drained[tp])" in source
    base = inspect.getsource(PartitionRecords._unpack_records)
    assert "if record.offset < self.next_fetch_offset:" in base
    assert base.index("self._consumer_record(tp, record)") < base.index("self.next_fetch_offset = record.offset + 1")


def test_positions_are_where_they_are_read():
    """subscription.assignment has the partitions, each with its position."""
    assert isinstance(inspect.getattr_static(SubscriptionState, "subscription"), property)
    assert isinstance(inspect.getattr_static(Assignment, "tps"), property)
    assert isinstance(inspect.getattr_static(TopicPartitionState, "position"), property)
    assert isinstance(inspect.getattr_static(TopicPartitionState, "has_valid_position"), property)
    assert "self._subscription = " in inspect.getsource(aiokafka.AIOKafkaConsumer.__init__)


def test_generation_and_member_id_are_where_they_are_read():
    """The group coordinator has them as plain attributes; a member that was put out has a negative generation."""
    source = inspect.getsource(aiokafka.consumer.group_coordinator.GroupCoordinator)
    assert "self.generation = OffsetCommitRequest.DEFAULT_GENERATION_ID" in source
    assert "self.member_id = JoinGroupRequest.UNKNOWN_MEMBER_ID" in source
    assert -1 == driver.DEFAULT_GENERATION_ID
    assert "self._coordinator = " in inspect.getsource(aiokafka.AIOKafkaConsumer)


def test_a_fetch_is_converted_before_the_next_one_begins():
    """getmany hands over all records of one fetch, in order, before the next one: their offsets follow each other."""
    source = inspect.getsource(BaseConsumer.getmany)
    assert 1 == source.count("_wait_next_records(timeout)")
    assert "yield tp, to_message(tp, record)" in source
    assert 1 == inspect.getsource(BaseConsumer._wait_next_records).count("await self._getmany(")
    drained = inspect.getsource(BaseConsumer._drain_messages)
    assert 1 == drained.count("async for tp, message in ait")


def test_the_state_is_restored_before_the_flow_is_resumed():
    """on_rebalance_complete is awaited, then comes the seek, then the flow."""
    source = inspect.getsource(Recovery._resume_streams)
    order = ["on_rebalance_complete.send()", "consumer.perform_seek()", "flow_control.resume()", "resume_flow()"]
    assert order == sorted(order, key=source.index)


def test_faust_keeps_the_message_value_as_it_is():
    """A chunk's value is the handover, an arbitrary object."""
    value = object()
    message = ConsumerMessage("t", 0, 5, None, 0, (), None, value, None, 0, 0, TP("t", 0), generation_id=1)
    assert value is message.value
    assert 5 == message.offset


def test_faust_commits_nothing_by_itself():
    """Topics without acks leave nothing to commit; checkpoints alone move the offsets."""
    hooks: Any = SimpleNamespace(topic="in")
    app = faust_app(Settings(), "group", None, hooks, lambda handover: None)
    (agent,) = app.agents.values()
    consumer: Any = SimpleNamespace(
        app=SimpleNamespace(topics=SimpleNamespace(acks_enabled_for=lambda topic: topic in app.topics.acking_topics)),
        _committed_offset=defaultdict(lambda: None),
        _acked=defaultdict(list),
        _acked_index=defaultdict(set),
        _unacked_messages=set(),
        _waiting_for_ack=None,
        _n_acked=0,
    )
    message = ConsumerMessage("in", 0, 5, None, 0, (), None, None, None, 0, 0, TP("in", 0), generation_id=1)

    BaseConsumer.ack(consumer, message)

    assert message.acked
    assert agent.channel.acks is False
    assert [] == list(BaseConsumer._filter_tps_with_pending_acks(consumer))
    assert "if channel.acks:" in inspect.getsource(type(app.topics)._update_indices)


def test_a_stage_ends_with_its_agent_and_does_not_wait_for_it():
    """A failed batch is never skipped, and SIGTERM never waits for one that hangs."""
    hooks: Any = SimpleNamespace(topic="in")
    app = faust_app(Settings(), "group", "one", hooks, lambda handover: None)

    assert app.conf.agent_supervisor is mode.CrashingSupervisor
    assert app.conf.stream_wait_empty is False
    assert app.conf.web_enabled is False
    assert app.conf.topic_allow_declare is False
    assert "one" == app.conf.consumer_group_instance_id


def test_partitions_are_dealt_out_by_round_robin_without_tables():
    """With no standby replicas Faust's own assignor, which needs topics of equal size, is not used."""
    source = inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert "self.app.conf.table_standby_replicas > 0 or has_changelog_tables" in source
    assert RoundRobinPartitionAssignor.name == "roundrobin"
