"""Live, with workers that join, are killed and end: the alerts of one process over the same file, byte for byte."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Feed, Follower, busy_plan, decoded, difference, metric, owner_of, real_worker, replayed, write_events
from support import until
from workers import Alert, WorkerProcess, read_alerts, settled

from streams.config import Campaigns, Settings, State, Time
from streams.runtime.topics import create_topics

pytestmark = [pytest.mark.system, pytest.mark.timeout(1_800)]

CLOSE_AFTER_MS = 45 * 60_000  # so that cases close within the run
# No partition may be declared idle while the test waits: runs are equal where watermarks are never forced.
CAMPAIGNS, TIME = Campaigns(close_after_ms=CLOSE_AFTER_MS), Time(idle_after_s=600)


def has_everything(alerts: list[Alert], revisions: int) -> None:
    """The run is worth comparing: enough revisions, accounts removed, cases closed, and cases of single accounts."""
    values = decoded(alerts)
    assert len(values) >= revisions
    assert any(value["accounts"].get("removed") for value in values)
    assert {"open", "updated", "closed"} <= {value["status"] for value in values}
    assert {"account", "cluster"} <= {value["kind"] for value in values}


def forced(*workers: WorkerProcess) -> float:
    """How many items were moved because a partition had been declared idle."""
    return sum(metric(worker, "stillwatch_watermark_forced_total") for worker in workers)


def kill_after_an_alert(workers: list[WorkerProcess], follower: Follower) -> None:
    """Kill -9 whoever has the campaigns as soon as another alert is out: seldom is it in a checkpoint by then."""
    owner, seen = owner_of("campaigns", workers), len(follower.alerts)
    assert until(lambda: follower.at_least(seen + 1))
    owner.signal(signal.SIGKILL)
    owner.wait()
    workers.remove(owner)


@pytest.mark.slow
def test_workers_that_join_are_killed_and_end_give_what_replay_gives(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """200,000 events: two workers, a third that joins, a kill -9, SIGTERM, --drain; half the alerts come in time."""
    settings = make_settings(Settings(campaigns=CAMPAIGNS, time=TIME), session_timeout_s=6)
    create_topics(settings)
    lines = write_events(busy_plan(200_000, 2_500), tmp_path / "events.jsonl")
    began = time.monotonic()
    expected, summary = replayed(tmp_path / "events.jsonl", settings)
    replay_s = time.monotonic() - began
    has_everything(expected, 200)
    assert min(summary.late, summary.duplicates) > len(lines) // 200

    began = time.monotonic()
    feed, follower = Feed(settings), Follower(settings)
    quarter, half, more, most = (len(lines) * twentieths // 20 for twentieths in (5, 10, 13, 18))
    workers = [real_worker(settings, tmp_path) for _ in range(2)]
    try:
        feed.send(lines[:quarter])
        assert until(lambda: follower.at_least(len(expected) // 20))

        workers.append(real_worker(settings, tmp_path))
        feed.send(lines[quarter:half])
        assert until(lambda: settled(settings, *workers)), workers[-1].log()
        assert until(lambda: follower.at_least(len(expected) // 4))

        assert 0 == forced(*workers)
        feed.send(lines[half:more])  # a worker that is fast may have nothing left to alert about
        kill_after_an_alert(workers, follower)
        feed.send(lines[more:most])
        # the last tenth does not even exist yet
        assert until(lambda: follower.at_least(len(expected) // 2)), len(follower.alerts)

        feed.send(lines[most:])
        assert 0 == forced(*workers)
        for worker in workers:
            worker.signal(signal.SIGTERM)
        assert [0, 0] == [worker.wait() for worker in workers], workers[0].log() + workers[1].log()
        with real_worker(settings, tmp_path, "--drain") as last:
            assert 0 == last.wait(), last.log()
    finally:
        for worker in workers:
            worker.__exit__()
        follower.close()

    alerts = read_alerts(settings)
    print(f"{len(expected)} revisions, {len(alerts) - len(set(alerts))} repeated; "
          f"replay {replay_s:.0f} s, live {time.monotonic() - began:.0f} s")  # fmt: skip
    assert "" == difference(expected, set(alerts))
    assert set(expected) == set(alerts)


def test_workers_that_drain_a_full_topic_give_what_replay_gives(make_settings: Callable[..., Settings], tmp_path: Path):
    """120,000 events that wait: three workers that come one by one, a kill -9; small checkpoints that trail far behind.

    They start at once: two had worked through 60,000 events before a third was there on a busy machine.
    """
    settings = make_settings(
        Settings(campaigns=CAMPAIGNS, time=TIME, state=State(max_keys=100, campaigns_interval_s=2)),
        session_timeout_s=6,
    )
    create_topics(settings)
    lines = write_events(busy_plan(120_000, 1_500, hours=6.0, lasting_h=3.0), tmp_path / "events.jsonl")
    expected, _ = replayed(tmp_path / "events.jsonl", settings)
    has_everything(expected, 100)
    Feed(settings).send(lines)

    follower = Follower(settings)
    workers = [real_worker(settings, tmp_path, "--drain") for _ in range(3)]
    try:
        assert until(lambda: settled(settings, *workers)), workers[-1].log()
        assert until(lambda: follower.at_least(len(expected) // 3))
        assert 0 == forced(*workers)
        kill_after_an_alert(workers, follower)
        assert [0, 0] == [worker.wait() for worker in workers], workers[0].log() + workers[1].log()
    finally:
        for worker in workers:
            worker.__exit__()
        follower.close()

    alerts = set(read_alerts(settings))
    assert "" == difference(expected, alerts)
    assert set(expected) == alerts
