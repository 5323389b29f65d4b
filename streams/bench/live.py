"""How long from an event to the alerts that rest on it, under load, and how long a worker that was killed is missed.

An open loop: every event has a moment at which it is due, and that is its event time. It is sent then, or as soon as
possible after, and its latency counts from when it was due, so a stall is paid for by all that should have come
meanwhile (no coordinated omission).
"""

import itertools
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from streams.bench.hosts import Job
from streams.bench.meter import VARIABLE, variable
from streams.bench.pins import cores, pinned
from streams.bench.topics import filled, own_topics
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.demo.worker_process import WorkerProcess
from streams.errors import StillwatchError
from streams.replay import key_of
from streams.runtime.kafka_client import producer_config
from streams.simulator.generate import Event
from streams.simulator.sinks import produce

LOAD = 0.5  # of the rate at which the worker drained the topic
LIVE_S = 90.0
KILL_SHARE = 0.4  # of that time: then the worker is killed
SETTLE_S = 10.0  # left out at the start: the first ticks wait for every partition to have a watermark
READY_S = 120.0
AFTER_S = 60.0  # for the last ticks, after the last event
LOOK_S = 0.05
FACTORY = "streams.bench.hosts.product:watched"

_TIME = re.compile(rb'"event_time":(\d+)')


class Verdict(msgspec.Struct):
    """When the worker had decided everything up to an event time; both in seconds since 1970."""

    at_s: float
    done_s: float


class Live(msgspec.Struct):
    """Latencies in seconds, of all events but those of the first seconds and around the kill."""

    events_per_s: int
    events: int
    p50_s: float
    p99_s: float
    p999_s: float
    most_s: float
    bound_s: float  # lateness + a tick + 1 s: the goal
    first_verdict_s: float  # after kill -9 and an immediate restart: until the worker decided anything again
    recovered_s: float  # until it was back within the bound


def live(traffic: Traffic, settings: Settings, rate: float, report: Callable[[str, int], None]) -> Live:
    """Run a worker on ``LOAD`` times ``rate`` events/s, kill it on the way, start it again at once, and see it recover.

    Raises `StillwatchError` if the worker fails or does not recover.
    """
    measured, others = cores()
    if rate <= 0:
        raise StillwatchError("the worker's rate is not known.")
    rate *= LOAD
    count = int(rate * LIVE_S)
    empty = msgspec.structs.replace(traffic, events=0)
    with (
        filled(empty, settings, others, report) as ready,
        own_topics(ready, "bench-live") as mine,
        tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as folder,
    ):
        job = Job(mine, count, str(Path(folder) / "verdicts"), folder)
        worker = WorkerProcess(mine, Path(folder), "--instance", "bench-live", "--operators", FACTORY)
        with variable(VARIABLE, msgspec.json.encode(job).decode()):
            try:
                with pinned(measured):
                    worker.start()
                _until(worker, lambda: (numbers := worker.numbers()) is not None and numbers.ready, READY_S)
                return _under_load(traffic, mine, rate, count, worker, Path(job.meter), measured, report)
            finally:
                worker.stop()


def _under_load(
    traffic: Traffic,
    settings: Settings,
    rate: float,
    count: int,
    worker: WorkerProcess,
    verdicts: Path,
    measured: set[int] | None,
    report: Callable[[str, int], None],
) -> Live:
    began_s = time.time() + 1.0
    sent = 0

    def progress(more: int) -> None:
        nonlocal sent
        sent += more
        report(f"live, {rate:,.0f} events/s", sent)

    def send() -> None:
        events = due(traffic, rate, count, began_s)
        time.sleep(max(0.0, began_s - time.time()))
        produce(events, settings.kafka.requests_topic, producer_config(settings), progress, speed=1.0)

    sender = threading.Thread(target=send, name="sender", daemon=True)
    sender.start()
    kill_s = began_s + KILL_SHARE * count / rate
    _until(worker, lambda: time.time() >= kill_s, LIVE_S + AFTER_S)
    os.kill(worker.pid, signal.SIGKILL)
    killed_s = time.time()
    _until(None, lambda: worker.exit_code is not None, AFTER_S)
    with pinned(measured):
        worker.start()
    # the last tick is over only when a later event comes, or the input is idle
    end_s = began_s + count / rate - settings.time.lateness_ms / 1_000 - 2 * settings.time.tick_ms / 1_000
    _until(worker, lambda: not sender.is_alive() and verdicts_of(verdicts)[-1].done_s >= end_s, LIVE_S + AFTER_S)
    bound_s = (settings.time.lateness_ms + settings.time.tick_ms) / 1_000 + 1.0
    return measure(verdicts_of(verdicts), rate, count, began_s, killed_s, end_s, bound_s)


def due(traffic: Traffic, rate: float, count: int, began_s: float) -> Iterator[Event]:
    """Yield ``count`` events with the moments at which they are due as their event times.

    If the traffic has fewer, it comes again under other event ids.
    """
    rounds = itertools.count()
    again = (line.replace(b'"event_id":"', b'"event_id":"%d-' % n, 1) for n in rounds for line in traffic.lines())
    for i, line in zip(range(count), again, strict=False):
        found = _TIME.search(line)
        if found is None:
            raise StillwatchError("An event without event_time: the simulator writes none.")
        time_ms = int((began_s + i / rate) * 1_000)
        value = line[: found.start(1)] + b"%d" % time_ms + line[found.end(1) :]
        yield Event(time_ms, (key_of(line) or b"").decode(), value)


def measure(
    verdicts: list[Verdict], rate: float, count: int, began_s: float, killed_s: float, end_s: float, bound_s: float
) -> Live:
    """Return the latency of each event: from when it was due until its tick was decided.

    Events that were due from shortly before the kill until the worker had recovered are not among them: that is what
    ``recovered_s`` says. Raises `StillwatchError` if it never did.
    """
    after = [each for each in verdicts if each.at_s > killed_s]
    back = next((each.at_s for each in after if each.at_s - each.done_s <= bound_s), None)
    if back is None:
        raise StillwatchError("The worker that was killed never caught up: the load is too high for this machine.")
    due_s = began_s + np.arange(count) / rate
    at_s, done_s = np.array([(each.at_s, each.done_s) for each in verdicts]).T
    reached = np.maximum.accumulate(done_s)
    kept = due_s[(due_s >= began_s + SETTLE_S) & (due_s <= end_s)]
    kept = kept[(kept < killed_s - bound_s) | (kept > back)]
    latency = at_s[np.searchsorted(reached, kept)] - kept
    p50, p99, p999, most = np.percentile(latency, [50, 99, 99.9, 100]).round(2).tolist()
    return Live(
        round(rate), latency.size, p50, p99, p999, most, bound_s,
        round(after[0].at_s - killed_s, 2), round(back - killed_s, 2),
    )  # fmt: skip


def verdicts_of(path: Path) -> list[Verdict]:
    """Read what the worker has written so far; a line that a kill has cut off is left out."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [msgspec.json.decode(line, type=Verdict) for line in lines if line.endswith(b"}")] or [Verdict(0.0, 0.0)]


def _until(worker: WorkerProcess | None, condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if worker is not None:
            worker.check()
        if time.monotonic() > deadline:
            raise StillwatchError(f"Waited {timeout_s:.0f} s for the worker in vain.")
        time.sleep(LOOK_S)


def text(found: Live) -> str:
    """Return the figures as two sentences."""
    return (
        f"Event to alert at {found.events_per_s:,} events/s ({LOAD:.0%} of the worker's rate), open loop, "
        f"{found.events:,} events: p50 {found.p50_s} s, p99 {found.p99_s} s, p99.9 {found.p999_s} s, at most "
        f"{found.most_s} s; goal for p99: {found.bound_s} s.\n"
        f"After kill -9 and an immediate restart under that load: {found.first_verdict_s} s to the first decision, "
        f"{found.recovered_s} s until decisions were as prompt as before."
    )
