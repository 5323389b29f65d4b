"""Many accounts at full rate: no checkpoint, rebalance, take-over, stop or start passes its deadline.

A few thousand accounts here. By hand, a million (three million events; 3 GB of memory, 15 minutes on two quiet cores),
which holds the times that the README promises:

    HELD_ACCOUNTS=1000000 TAKE_OVER_S=15 RESTART_S=60 uv run pytest -n 0 -s tests/system/test_worker_million.py
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live import Feed, metric, owner_of, real_worker
from support import PATIENCE_S, until
from workers import WorkerProcess, settled

from streams.bench import crowd
from streams.bench.crowd import Crowd
from streams.bench.memory import memory_of
from streams.config import Settings
from streams.runtime.checkpoint import CALL_TIMEOUT_S
from streams.runtime.topics import STAGES, create_topics

ACCOUNTS = int(os.environ.get("HELD_ACCOUNTS", "5000"))
TAKE_OVER_S = float(os.environ.get("TAKE_OVER_S", "600"))  # a test's machine may be busy with anything
RESTART_S = float(os.environ.get("RESTART_S", "600"))
LEAST_EVENTS = 100_000
PART_EVENTS = 5_000
LEFT_OPEN = 60_000  # events of the lateness and a tick, which are not decided before more comes

pytestmark = [pytest.mark.system, pytest.mark.timeout(900 + ACCOUNTS // 100)]


def parts(events: Iterator[tuple[bytes, bytes]]) -> Iterator[list[bytes]]:
    """Yield events in portions."""
    while part := [line for _, (_, line) in zip(range(PART_EVENTS), events, strict=False)]:
        yield part


class Watch:
    """The longest checkpoint seen, by stage: asked while others work."""

    def __init__(self) -> None:
        self.longest_s = dict.fromkeys(STAGES, 0.0)
        self._before: dict[tuple[int, str], tuple[float, float]] = {}

    def look(self, worker: WorkerProcess) -> None:
        """Ask a worker for its checkpoints since the last look: their mean is as near as a summary comes."""
        for stage in STAGES:
            key = (worker.process.pid, stage)
            count, total = (
                metric(worker, f"stillwatch_checkpoint_duration_seconds_{part}", stage=stage)
                for part in ("count", "sum")
            )
            before = self._before.get(key, (0.0, 0.0))
            if count > before[0]:
                self._before[key] = (count, total)
                self.longest_s[stage] = max(self.longest_s[stage], (total - before[1]) / (count - before[0]))


def decided(worker: WorkerProcess, events: int, watch: Watch) -> Callable[[], bool]:
    """Tell whether stage campaigns has taken in so many signals."""

    def done() -> bool:
        assert worker.process.poll() is None, worker.log()
        watch.look(worker)
        return metric(worker, "stillwatch_signals_total", stage="campaigns") >= events

    return done


def ready(worker: WorkerProcess) -> bool:
    """Whether it has partitions of all stages, restored."""
    return all(worker.assigned().get(stage) for stage in STAGES)


def held(worker: WorkerProcess) -> float:
    return metric(worker, "stillwatch_held_objects", stage="campaigns", kind="accounts")


def test_deadlines_hold_with_many_accounts(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One worker takes all in; a second joins under load and takes over what a kill -9 leaves, in time; then a stop in
    order, and a start with all of the state."""
    monkeypatch.setattr(crowd, "LEAST_EVENTS", LEAST_EVENTS)
    settings = make_settings()
    create_topics(settings)
    feed, watch, portions = Feed(settings), Watch(), parts(Crowd(ACCOUNTS).lines())
    events = Crowd(ACCOUNTS).events
    told: dict[str, object] = {"accounts": ACCOUNTS, "events": events}
    workers = [real_worker(settings, tmp_path)]
    try:
        sent = 0
        for part in portions:
            feed.send(part)
            sent += len(part)
            if sent >= 0.8 * events:
                break
        began = time.monotonic()
        assert until(decided(workers[0], sent - LEFT_OPEN, watch), PATIENCE_S + sent / 1_000), workers[0].log()
        told["full rate"] = f"{sent / (time.monotonic() - began):,.0f} events/s"
        told["worker"] = f"{memory_of(workers[0].process.pid)[0] / 1e6:,.0f} MB"

        workers.append(real_worker(settings, tmp_path))
        feed.send(next(portions))  # the rebalance comes under load
        assert until(lambda: settled(settings, *workers) or any(w.process.poll() is not None for w in workers))
        assert [None, None] == [worker.process.poll() for worker in workers], [w.log() for w in workers]
        for worker in workers:
            watch.look(worker)

        victim = owner_of("campaigns", workers)
        survivor = next(worker for worker in workers if worker is not victim)
        known = held(victim)
        victim.signal(signal.SIGKILL)
        killed = time.monotonic()
        assert until(lambda: survivor.assigned().get("campaigns"), PATIENCE_S + TAKE_OVER_S), survivor.log()
        took_s = time.monotonic() - killed
        told["take-over"] = f"{took_s:.1f} s"
        told["of which restore"] = f"{metric(survivor, 'stillwatch_recovery_seconds', stage='campaigns'):.1f} s"
        for part in portions:
            feed.send(part)
        assert until(decided(survivor, 1, watch)), survivor.log()
        # what stage campaigns holds now is at least all that it had stored: some seconds may be missing at the kill
        assert until(lambda: held(survivor) >= 0.99 * known), (held(survivor), known)

        # nearly all of them, so that the restart has them to load; the last events wait for later ones
        assert until(lambda: held(survivor) >= 0.9 * ACCOUNTS, PATIENCE_S + sent / 1_000), held(survivor)
        began = time.monotonic()
        survivor.end()  # within its deadline, or this fails
        told["SIGTERM"] = f"{time.monotonic() - began:.1f} s"
        began = time.monotonic()
        workers.append(real_worker(settings, tmp_path))
        assert until(lambda: ready(workers[-1]), PATIENCE_S + RESTART_S), workers[-1].log()
        started_s = time.monotonic() - began
        told["restart"] = f"{started_s:.1f} s"
        told["restore by stage"] = {
            stage: round(metric(workers[-1], "stillwatch_recovery_seconds", stage=stage), 1) for stage in STAGES
        }
        assert held(workers[-1]) >= 0.9 * ACCOUNTS
        workers[-1].end()
    finally:
        for worker in workers:
            worker.__exit__()
    told["longest checkpoint"] = {stage: f"{seconds:.2f} s" for stage, seconds in watch.longest_s.items()}
    print("", *(f"{name}: {value}" for name, value in told.items()), sep="\n")
    assert max(watch.longest_s.values()) <= CALL_TIMEOUT_S
    assert took_s <= TAKE_OVER_S
    assert started_s <= RESTART_S
