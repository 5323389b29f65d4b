"""What the worker does when something around it is wrong: it says so and ends, or carries on; it never guesses."""

import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewTopic
from counting import Event
from support import until
from workers import (
    AlertCounter,
    WorkerProcess,
    delete_topic,
    drain,
    expected_alerts,
    logs_of,
    make_events,
    produce,
    read_alerts,
    read_topic,
    settled,
    topics_made,
    wait_for_alerts,
)

from streams.config import Health, Settings, Time
from streams.operator import DEAD_LETTERS
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import producer_config, reach
from streams.runtime.topics import create_topics, state_topic, topic_name

pytestmark = pytest.mark.system


def fails(settings: Settings, folder: Path, exit_code: int, *messages: str, operators: str | None = None) -> None:
    """Run a worker that must end by itself, with this code and these words, and without a traceback."""
    chosen = {"operators": operators} if operators else {}
    with WorkerProcess(settings, folder, **chosen) as worker:
        assert exit_code == worker.wait(), worker.log()
    for message in messages:
        assert message in worker.log()
    assert "Traceback" not in worker.log()


# Set-up


def test_an_unreachable_broker_is_a_message(make_settings: Callable[..., Settings], tmp_path: Path):
    """Exit 3, and what to do."""
    settings = make_settings()
    settings = msgspec.structs.replace(settings, kafka=msgspec.structs.replace(settings.kafka, bootstrap="127.0.0.1:9"))
    fails(settings, tmp_path, 3, "No Kafka answers at 127.0.0.1:9", "stillwatch kafka up")


def test_missing_topics_are_a_message(make_settings: Callable[..., Settings], tmp_path: Path):
    """Exit 3, which topics, and the command that makes them."""
    settings = make_settings()
    fails(settings, tmp_path, 3, settings.kafka.requests_topic, "stillwatch topics create")


def test_other_partition_counts_are_a_message(make_settings: Callable[..., Settings], tmp_path: Path):
    """State lies at its input's partition number, so the numbers must agree."""
    settings = make_settings()
    name = state_topic(settings, "accounts")
    new = NewTopic(name, 3, 1, config={"cleanup.policy": "compact"})
    admin = reach(settings)
    admin.create_topics([new])[name].result(20)
    create_topics(settings)

    fails(settings, tmp_path, 3, f"{name}: partitions is 3, needed: 4")


# Input


def test_compressed_input_is_read(make_settings: Callable[..., Settings], tmp_path: Path):
    """Producers compress as they like, each in its own way."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(800)
    for number, codec in enumerate(("gzip", "lz4", "snappy", "zstd")):
        part = events[200 * number : 200 * (number + 1)]
        produce(settings, part, **{"compression.type": codec, "linger.ms": 50})

    drain(settings, tmp_path)

    assert expected_alerts(settings, events) == set(read_alerts(settings))


def test_aborted_transactions_are_not_input_and_their_end_is_passed(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """Records of an aborted transaction are never read, and a drain ends although a log ends with control records."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(2_000)
    producer = Producer(producer_config(settings) | {"transactional.id": settings.kafka.group_prefix})
    producer.init_transactions(20)
    for start in range(0, len(events), 500):
        for kept in (False, True):
            producer.begin_transaction()
            for event in events[start : start + 500]:
                value = msgspec.json.encode(event if kept else msgspec.structs.replace(event, time=event.time + 999))
                producer.produce(settings.kafka.requests_topic, value, event.account.encode())
            producer.commit_transaction(20) if kept else producer.abort_transaction(20)

    drain(settings, tmp_path)

    alerts = read_alerts(settings)
    totals = sum(len(msgspec.json.decode(value)["counts"]) for _, value, _ in alerts)
    assert 2 * len(events) == totals  # each event counts for its account and for its token


def test_broken_records_go_to_the_dead_letters_and_nothing_else_is_lost(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """Broken, empty and null values among good ones."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(500)
    produce(settings, events[:250])
    producer = Producer(producer_config(settings))
    for value in (b"{broken", b"", None, b"[1]", b"\xff\xfe"):
        producer.produce(settings.kafka.requests_topic, value, b"key", 2)
    producer.flush(20)
    produce(settings, events[250:])

    drain(settings, tmp_path)

    dead = read_topic(settings, topic_name(settings, DEAD_LETTERS))
    totals = sum(len(msgspec.json.decode(value)["counts"]) for _, value, _ in read_alerts(settings))
    assert sorted([b"{broken", b"", b"", b"[1]", b"\xff\xfe"]) == sorted(message.value() for message in dead)
    assert 2 * len(events) == totals


def test_quiet_partitions_are_declared_idle_and_alerts_go_on(make_settings: Callable[..., Settings], tmp_path: Path):
    """One partition has all the traffic; without --drain the stages below must not wait for the other three."""
    settings = make_settings(Settings(time=Time(idle_after_s=1)))
    create_topics(settings)
    events = [event for event in make_events(4_000) if event.account == "account-1"]
    produce(settings, events)

    with WorkerProcess(settings, tmp_path) as worker:
        wait_for_alerts(settings, 50)
        worker.end()


# Trouble at work


def test_a_hanging_batch_ends_the_worker(make_settings: Callable[..., Settings], tmp_path: Path):
    """An own exit code, and which stage's batch it was, though loop and other stages stand still with it."""
    settings = make_settings(Settings(health=Health(stuck_after_s=3)))
    create_topics(settings)
    with WorkerProcess(settings, tmp_path, operators="counting:make_hanging") as worker:
        assert until(lambda: settled(settings, worker)), worker.log()
        produce(settings, make_events(100))
        assert 6 == worker.wait(), worker.log()
    assert "accounts: a batch has not been finished" in worker.log()


def test_a_bug_in_a_stage_ends_the_worker(make_settings: Callable[..., Settings], tmp_path: Path):
    """Faust would go on with the next batch; exit 1 with the traceback, and nothing is committed."""
    settings = make_settings()
    create_topics(settings)
    produce(settings, make_events(100))
    with WorkerProcess(settings, tmp_path, operators="counting:make_failing") as worker:
        assert 1 == worker.wait(), worker.log()
    assert "ZeroDivisionError" in worker.log()
    drain(settings, tmp_path)
    assert expected_alerts(settings, make_events(100)) == set(read_alerts(settings))


def test_output_that_cannot_be_delivered_ends_the_worker(make_settings: Callable[..., Settings], tmp_path: Path):
    """Its input is not committed, so nothing is lost."""
    settings = make_settings()
    create_topics(settings)
    produce(settings, make_events(100))
    fails(settings, tmp_path, 1, settings.kafka.alerts_topic, "too large", operators="counting:make_oversized")


def test_a_paused_worker_that_wakes_up_writes_nothing_old(make_settings: Callable[..., Settings], tmp_path: Path):
    """SIGSTOP for longer than the session: another takes over; the woken one ends or joins again; nothing differs."""
    settings = make_settings(session_timeout_s=3)
    create_topics(settings)
    events = make_events(60_000)
    produce(settings, events)

    with WorkerProcess(settings, tmp_path) as paused:
        wait_for_alerts(settings, 1_000)
        paused.signal(signal.SIGSTOP)
        with WorkerProcess(settings, tmp_path) as other:
            wait_for_alerts(settings, 6_000)
            paused.signal(signal.SIGCONT)
            assert until(lambda: paused.process.poll() is not None or settled(settings, paused, other))
            wait_for_alerts(settings, 9_000)
            for worker in (paused, other):
                if worker.process.poll() is None:
                    worker.signal(signal.SIGTERM)
            assert 0 == other.wait(), other.log()
            assert paused.wait() in (0, 1), paused.log()
    drain(settings, tmp_path)

    assert expected_alerts(settings, events) == set(read_alerts(settings))


def test_a_broker_that_hangs_ends_the_worker(
    kafka: LocalBroker, make_settings: Callable[..., Settings], tmp_path: Path
):
    """At work: exit 1 once output or a checkpoint waits for too long; started meanwhile: exit 3; then all goes on."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(40_000)
    produce(settings, events)
    soon = {"DELIVERY_TIMEOUT_MS": "5000"}
    with WorkerProcess(settings, tmp_path, operators="breaking:make_operator", environ=soon) as worker:
        wait_for_alerts(settings, 500)
        kafka.pause()
        try:
            assert 1 == worker.wait(), worker.log()
            fails(settings, tmp_path, 3, "No Kafka answers at")
        finally:
            kafka.resume()
    assert "cannot be delivered" in worker.log() or "The checkpoint was refused" in worker.log()
    reach(settings, timeout_s=60)
    drain(settings, tmp_path)

    assert expected_alerts(settings, events) == set(read_alerts(settings))


def test_a_killed_broker_that_comes_back_changes_nothing(tmp_path: Path):
    """The worker waits for it, or ends and is started again."""
    from conftest import private_settings

    with LocalBroker() as broker:
        settings = private_settings(broker.bootstrap)
        create_topics(settings)
        events = make_events(40_000)
        produce(settings, events)
        with WorkerProcess(settings, tmp_path) as worker:
            wait_for_alerts(settings, 1_000)
            broker.kill()
            broker.restart()
            counter = AlertCounter(settings)
            assert until(lambda: worker.process.poll() is not None or counter.at_least(6_000)), worker.log()
            if worker.process.poll() is None:
                worker.signal(signal.SIGTERM)
            assert worker.wait() in (0, 1), worker.log()
        drain(settings, tmp_path)

        assert expected_alerts(settings, events) == set(read_alerts(settings))


# State that does not fit the input


def worked_through(settings: Settings, folder: Path) -> list[Event]:
    """Some events, their state and committed offsets."""
    create_topics(settings)
    events = make_events(1_000)
    produce(settings, events)
    drain(settings, folder)
    return events


def test_a_topic_made_anew_is_not_mixed_with_old_state(make_settings: Callable[..., Settings], tmp_path: Path):
    """The state is ahead of the input: exit 4."""
    settings = make_settings()
    worked_through(settings, tmp_path)
    delete_topic(settings, settings.kafka.requests_topic)
    assert until(lambda: topics_made(settings))

    fails(settings, tmp_path, 4, "the topic was made anew", "stillwatch topics reset")


def test_input_that_retention_has_taken_is_not_passed_over(make_settings: Callable[..., Settings], tmp_path: Path):
    """Records between the state and the start of the log are gone: exit 4."""
    settings = make_settings()
    worked_through(settings, tmp_path)
    produce(settings, make_events(4_000, seed=8))
    gone = {
        TopicPartition(settings.kafka.requests_topic, partition, len(log) + 1)
        for partition, log in logs_of(make_events(1_000)).items()
    }
    admin = reach(settings)
    for future in admin.delete_records(list(gone)).values():
        future.result(20)

    fails(settings, tmp_path, 4, "retention has passed them")


def test_state_that_was_deleted_is_noticed(make_settings: Callable[..., Settings], tmp_path: Path):
    """Offsets are committed but the state is gone: exit 4, not a fresh start in the middle of the input."""
    settings = make_settings()
    worked_through(settings, tmp_path)
    name = state_topic(settings, "tokens")
    delete_topic(settings, name)
    assert until(lambda: topics_made(settings))

    fails(settings, tmp_path, 4, f"Records of {name} are missing")


def test_two_workers_with_one_name_are_told_apart(make_settings: Callable[..., Settings], tmp_path: Path):
    """At least one of them ends and says so; whatever both did, nothing differs in the end."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(2_000)

    with WorkerProcess(settings, tmp_path, "--instance", "same") as earlier:
        assert until(lambda: settled(settings, earlier)), earlier.log()
        with WorkerProcess(settings, tmp_path, "--instance", "same") as later:
            produce(settings, events)
            assert until(lambda: any(each.process.poll() is not None for each in (earlier, later))), later.log()
            ended = earlier if earlier.process.poll() is not None else later
            assert 1 == ended.wait()
            assert "two workers have one --instance" in ended.log() or "FencedInstanceId" in ended.log()
    drain(settings, tmp_path)

    assert expected_alerts(settings, events) == set(read_alerts(settings))
