"""Several workers: stages apart, and partitions that are kept together in event time."""

import bisect
import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from counting import Event
from support import until
from workers import (
    WorkerProcess,
    drain,
    expected_alerts,
    logs_of,
    make_events,
    produce,
    read_alerts,
    read_topic,
    settled,
    wait_for_alerts,
)

from streams.config import Settings, Time
from streams.runtime.faust_app import MAX_POLL_RECORDS, QUEUED_BATCHES
from streams.runtime.topics import PROGRESS, create_topics, topic_name

pytestmark = pytest.mark.system

SKEW_MAX_MS = 20_000


def watermarks(settings: Settings) -> list[dict[int, float]]:
    """What was known of all partitions after each published progress."""
    known: dict[int, float] = {}
    history = []
    for message in read_topic(settings, topic_name(settings, PROGRESS)):
        progress = msgspec.json.decode(message.value())
        if (watermark := progress.get("watermark_ms")) is not None:
            known[int(message.key())] = watermark
            history.append(dict(known))
    return history


def test_each_stage_in_a_process_of_its_own(make_settings: Callable[..., Settings], tmp_path: Path):
    """Three workers with one stage each do what one worker with three does."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(10_000)
    produce(settings, events)

    workers = [WorkerProcess(settings, tmp_path, "--drain", "--stages", stage) for stage in ("campaigns", "accounts")]
    try:
        with WorkerProcess(settings, tmp_path, "--drain", "--stages", "tokens") as tokens:
            assert [0, 0, 0] == [each.wait() for each in (tokens, *workers)]
    finally:
        for worker in workers:
            worker.__exit__()

    alerts = read_alerts(settings)
    assert expected_alerts(settings, events) == set(alerts)
    assert len(set(alerts)) == len(alerts)


def records_beyond(log: list[bytes], lateness_ms: int, limit_ms: float, watermark_ms: float) -> int:
    """How many records of a partition were surely taken in while its watermark was above the limit."""
    times = (msgspec.json.decode(value, type=Event).time for value in log)
    marks = [newest - lateness_ms for newest in itertools.accumulate(times, max)]
    return bisect.bisect_left(marks, watermark_ms) - bisect.bisect_right(marks, limit_ms)


def test_nobody_runs_ahead_of_a_worker_that_stands_still(make_settings: Callable[..., Settings], tmp_path: Path):
    """A partition too far ahead of the slowest takes in what was fetched by then, and no record more."""
    settings = make_settings(
        Settings(time=Time(skew_max_ms=SKEW_MAX_MS, idle_after_s=600)), session_timeout_s=120, batch_max_events=100
    )
    create_topics(settings)
    events = make_events(160_000, even=True)  # twice a poll and what is queued must be less than a partition

    with WorkerProcess(settings, tmp_path) as going, WorkerProcess(settings, tmp_path) as standing:
        produce(settings, events[:2_000])
        wait_for_alerts(settings, 300)
        assert until(lambda: settled(settings, going, standing)), standing.log()
        ahead = going.assigned()["accounts"]
        standing.signal(signal.SIGSTOP)
        produce(settings, events[2_000:])

        def held() -> bool:
            """The going worker's partitions are too far ahead, and tell of the same watermarks, seconds apart."""
            history = watermarks(settings)
            last, before = history[-1], history[-8] if len(history) > 8 else {}
            slowest = min(last.values())
            return all(last[each] == before.get(each) and last[each] > slowest + SKEW_MAX_MS for each in ahead)

        assert until(held), watermarks(settings)[-10:]
        far = watermarks(settings)[-1]
        standing.signal(signal.SIGCONT)
        wait_for_alerts(settings, 3_000)
        for worker in (going, standing):
            worker.signal(signal.SIGTERM)
        assert [0, 0] == [going.wait(), standing.wait()], standing.log()
    drain(settings, tmp_path)

    logs, limit_ms = logs_of(events), min(far.values()) + SKEW_MAX_MS
    beyond = [records_beyond(logs[each], settings.time.lateness_ms, limit_ms, far[each]) for each in ahead]
    # one poll, the stage's queue, and the batch in the operator's hands
    assert max(beyond) <= MAX_POLL_RECORDS + (QUEUED_BATCHES + 1) * settings.kafka.batch_max_events
    assert 2 * max(beyond) < min(len(logs[each]) for each in ahead)  # without the rule it is all of the log
    assert expected_alerts(settings, events) == set(read_alerts(settings))
