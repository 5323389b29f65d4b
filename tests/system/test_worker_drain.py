"""`worker --drain` with several workers: whoever exits 0 says that everything is worked through, by whomever."""

import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from live import real_worker
from support import until
from workers import WorkerProcess, committed, expected_alerts, make_events, produce, read_alerts, read_topic

from streams.config import Settings
from streams.operator import DEAD_LETTERS
from streams.runtime.kafka_client import producer_config
from streams.runtime.topics import create_topics, topic_name

pytestmark = pytest.mark.system


def test_a_standby_stays_until_everything_is_done(make_settings: Callable[..., Settings], tmp_path: Path):
    """Without partitions of its own it waits; the owner dies, nobody starts it again, and the standby takes over."""
    settings = make_settings(session_timeout_s=6)
    create_topics(settings)
    events = make_events(5_000)
    produce(settings, events)

    def campaigns() -> WorkerProcess:
        return WorkerProcess(settings, tmp_path, "--drain", "--stages", "campaigns")

    with campaigns() as first, campaigns() as second:
        shares = {"campaigns": []}, {"campaigns": [0]}
        assert until(lambda: all(share in (first.assigned(), second.assigned()) for share in shares)), second.log()
        owner, standby = (first, second) if first.assigned()["campaigns"] else (second, first)
        assert until(lambda: "waiting for the others" in standby.log()), standby.log()
        owner.signal(signal.SIGKILL)
        with WorkerProcess(settings, tmp_path, "--drain", "--stages", "accounts,tokens") as rest:
            assert [0, 0] == [rest.wait(), standby.wait()], standby.log()

    assert [0] == standby.assigned()["campaigns"]
    assert expected_alerts(settings, events) == set(read_alerts(settings))


def test_drain_ends_where_a_log_ends_without_a_record(make_settings: Callable[..., Settings], tmp_path: Path):
    """Two workers end although the last offsets are those of transactions: nothing is there to be committed."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(2_000)
    producer = Producer(producer_config(settings) | {"transactional.id": settings.kafka.group_prefix})
    producer.init_transactions(20)
    for start in range(0, len(events), 500):
        producer.begin_transaction()
        for event in events[start : start + 500]:
            producer.produce(settings.kafka.requests_topic, msgspec.json.encode(event), event.account.encode())
        producer.commit_transaction(20)

    drain_with_two(settings, tmp_path)

    assert expected_alerts(settings, events) == set(read_alerts(settings))


def test_partitions_of_nothing_but_dead_letters_are_done_too(make_settings: Callable[..., Settings], tmp_path: Path):
    """The real stages: what cannot be used is committed like anything else, and reported once."""
    settings = make_settings()
    create_topics(settings)
    producer = Producer(producer_config(settings))
    for partition in range(4):
        for _ in range(10):
            producer.produce(settings.kafka.requests_topic, b"{broken", b"key", partition)
    assert 0 == producer.flush(20)

    drain_with_two(settings, tmp_path, real_worker)
    drain_with_two(settings, tmp_path, real_worker)

    assert dict.fromkeys(range(4), 10) == committed(settings, "accounts", settings.kafka.requests_topic, 4)
    assert 40 == len(read_topic(settings, topic_name(settings, DEAD_LETTERS)))


def drain_with_two(settings: Settings, folder: Path, start: Callable[..., WorkerProcess] = WorkerProcess) -> None:
    """Run two workers to the end of the input."""
    with start(settings, folder, "--drain") as first, start(settings, folder, "--drain") as second:
        assert [0, 0] == [first.wait(), second.wait()], first.log() + second.log()
