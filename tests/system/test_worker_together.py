"""Several workers: stages apart, and partitions that are kept together in event time."""

import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support import until
from test_worker_skeleton import expected_alerts
from workers import WorkerProcess, make_events, produce, read_alerts, read_topic, settled, wait_for_alerts

from streams.config import Settings, Time
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


def test_nobody_runs_ahead_of_a_worker_that_stands_still(make_settings: Callable[..., Settings], tmp_path: Path):
    """The other worker's partitions wait for the slowest, so what tokens and campaigns hold back is bounded."""
    settings = make_settings(Settings(time=Time(skew_max_ms=SKEW_MAX_MS)), session_timeout_s=60)
    create_topics(settings)
    events = make_events(120_000, even=True)
    span_ms = events[-1].time - events[0].time

    with WorkerProcess(settings, tmp_path) as going, WorkerProcess(settings, tmp_path) as standing:
        produce(settings, events[:2_000])
        wait_for_alerts(settings, 300)
        assert until(lambda: settled(settings, going, standing)), standing.log()
        standing.signal(signal.SIGSTOP)
        first = max(watermarks(settings)[-1].values())
        produce(settings, events[2_000:])

        def held() -> bool:
            """The going worker tells of the same watermarks, seconds apart."""
            history = watermarks(settings)
            return len(history) > 8 and max(history[-1].values()) == max(history[-8].values()) > first

        assert until(held, 60), watermarks(settings)[-10:]
        far = watermarks(settings)[-1]
        standing.signal(signal.SIGCONT)
        wait_for_alerts(settings, 5_000)
        for worker in (going, standing):
            worker.signal(signal.SIGTERM)
        assert [0, 0] == [going.wait(10), standing.wait(10)], standing.log()
    with WorkerProcess(settings, tmp_path, "--drain") as last:
        assert 0 == last.wait(), last.log()

    spread_ms = max(far.values()) - min(far.values())
    # a poll of 5,000, 16 batches of 500 and what is read until the next look; without the rule it is all of the span
    assert spread_ms < span_ms / 2
    assert expected_alerts(settings, events) == set(read_alerts(settings))
