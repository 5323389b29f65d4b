"""The walking skeleton: three counting stages on real Kafka give what one process gives, whatever happens to them."""

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from counting import Event
from support import until
from workers import (
    WorkerProcess,
    committed,
    drain,
    expected_alerts,
    logs_of,
    make_events,
    produce,
    read_alerts,
    settled,
    wait_for_alerts,
)

from streams.config import Settings, State
from streams.operator import MARKER_KEY
from streams.runtime.checkpoint import committed_reader, name_of
from streams.runtime.drain import INPUTS
from streams.runtime.restore import read_state
from streams.runtime.topics import STAGES, create_topics, input_partitions, state_topic, topic_name

pytestmark = pytest.mark.system


def with_crashes(events: list[Event], folder: Path, *positions: int) -> list[Event]:
    """Let the worker that reads the event at such a position be killed, the first time."""
    for position in positions:
        events[position] = msgspec.structs.replace(events[position], crash=str(folder / f"crash-{position}"))
    return events


def test_two_workers_killed_and_restarted_give_what_one_process_gives(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """Kills in the middle lose nothing and repeat the same bytes, although checkpoints trail far behind."""
    settings = make_settings(Settings(state=State(max_keys=40)), session_timeout_s=6)
    create_topics(settings)
    events = with_crashes(make_events(60_000), tmp_path, 20_000, 40_000)
    produce(settings, events)

    ends: Counter[int] = Counter()
    workers = {name: WorkerProcess(settings, tmp_path, "--drain", "--instance", name) for name in ("a", "b")}
    try:
        while workers:
            assert until(lambda: any(each.process.poll() is not None for each in workers.values()))
            for name, worker in list(workers.items()):
                if (code := worker.process.poll()) is None:
                    continue
                assert code in (0, 1, -signal.SIGKILL), worker.log()  # 1: a broker that does not get to answer in time
                ends[code] += 1
                del workers[name]
                if code:
                    workers[name] = WorkerProcess(settings, tmp_path, "--drain", "--instance", name)
    finally:
        for worker in workers.values():
            worker.__exit__()

    alerts = read_alerts(settings)
    assert (2, 2) == (ends[-signal.SIGKILL], ends[0])
    assert expected_alerts(settings, events) == set(alerts)


def test_drain_works_through_what_is_there_and_ends(make_settings: Callable[..., Settings], tmp_path: Path):
    """A worker with --drain exits 0 when all is done, commits the ends, and every alert comes once."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(5_000)
    produce(settings, events)

    drain(settings, tmp_path)

    alerts = read_alerts(settings)
    assert expected_alerts(settings, events) == set(alerts)
    assert len(set(alerts)) == len(alerts)
    ends = {partition: len(log) for partition, log in logs_of(events).items()}
    assert ends == committed(settings, "accounts", settings.kafka.requests_topic, 4)


def names(settings: Settings, stage: str) -> tuple[dict[int, str | None], dict[int, str | None]]:
    """What stands beside the committed offsets of a stage's partitions, and the names of the markers in its state."""
    count = input_partitions(settings, stage)
    consumer = committed_reader(settings, f"{settings.kafka.group_prefix}-{stage}")
    places = [TopicPartition(topic_name(settings, INPUTS[stage]), partition) for partition in range(count)]
    offsets = {each.partition: each.metadata for each in consumer.committed(places, 20)}
    state = read_state(consumer, state_topic(settings, stage), range(count))
    consumer.close()
    return offsets, {at: name_of(found[MARKER_KEY]) if MARKER_KEY in found else None for at, found in state.items()}


def test_offsets_tell_whose_they_are(make_settings: Callable[..., Settings], tmp_path: Path):
    """Beside the offsets of a checkpoint stands the name of its marker: a restore knows an older one's state by it."""
    settings = make_settings()
    create_topics(settings)
    produce(settings, make_events(500))
    drain(settings, tmp_path)

    def differing() -> list[str]:
        found = {stage: names(settings, stage) for stage in STAGES}
        return [f"{stage}: {offsets} {markers}" for stage, (offsets, markers) in found.items() if offsets != markers]

    until(lambda: not differing(), 10)  # what is committed is readable a moment later
    assert [] == differing()


def test_drain_of_empty_topics_ends(make_settings: Callable[..., Settings], tmp_path: Path):
    """With nothing to read there is nothing to wait for."""
    settings = make_settings()
    create_topics(settings)

    drain(settings, tmp_path)

    assert [] == read_alerts(settings)


def test_sigterm_in_the_middle_ends_in_order_and_repeats_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """SIGTERM: exit 0 within 10 s; after the restart every alert is there exactly once."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(40_000)
    produce(settings, events)

    with WorkerProcess(settings, tmp_path) as worker:
        wait_for_alerts(settings, 1_000)
        worker.end()
    drain(settings, tmp_path)

    alerts = read_alerts(settings)
    assert expected_alerts(settings, events) == set(alerts)
    assert len(set(alerts)) == len(alerts)


def test_scaling_from_one_worker_to_four_and_back_repeats_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """Under load, one joins after the other, each gets partitions, and one ends after the other: every alert once."""
    settings = make_settings()
    create_topics(settings)
    events, sent = make_events(80_000), 0

    def feed() -> None:
        """A tenth of the events: there is work while partitions move."""
        nonlocal sent
        produce(settings, events[sent : sent + len(events) // 10])
        sent += len(events) // 10

    workers: list[WorkerProcess] = []
    try:
        for _ in range(4):
            feed()
            workers.append(WorkerProcess(settings, tmp_path))
            assert until(lambda: settled(settings, *workers)), workers[-1].log()
        while workers:
            feed()
            workers.pop(0).end()
            assert not workers or until(lambda: settled(settings, *workers)), workers[-1].log()
    finally:
        for worker in workers:
            worker.__exit__()
    produce(settings, events[sent:])
    drain(settings, tmp_path)

    alerts = read_alerts(settings)
    assert expected_alerts(settings, events) == set(alerts)
    assert len(set(alerts)) == len(alerts)
