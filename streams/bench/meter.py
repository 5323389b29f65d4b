"""What a measured process says of itself: how far it is, when, and at what cost; a line of JSON at each twentieth."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from streams.bench.memory import resident_bytes
from streams.bench.row import Row, row
from streams.errors import StillwatchError

SAMPLES = 20
FIRST_SHARE, LAST_SHARE = 0.1, 0.95  # of the events: between them it runs evenly, neither starting nor ending
VARIABLE = "BENCH_METER"  # a Job as JSON, for a worker that is measured

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Sample(msgspec.Struct):
    """One line. Times are of the monotonic clock and of the CPU, all threads of the process."""

    events: int
    at_s: float
    cpu_s: float
    resident_bytes: int
    threads_s: dict[str, float]


class Meter:
    """Count events of this process and write a sample whenever a twentieth of ``events`` is done."""

    def __init__(self, path: str, events: int) -> None:
        self.events = 0
        self._path, self._all = path, events
        self._step = max(1, events // SAMPLES)
        self._due = 0

    def count(self, events: int) -> None:
        """Add events that are done; the first call must come before the first of them, with 0."""
        self.events += events
        if self.events >= self._due or self.events >= self._all:
            self._due = self.events + self._step
            sample = Sample(
                self.events, time.monotonic(), time.process_time(), resident_bytes(), by_thread(os.getpid())
            )
            with open(self._path, "ab") as file:
                file.write(msgspec.json.encode(sample) + b"\n")


class Metered:
    """An operator that is counted: its batches' records, or what ``size`` says of a batch and what came of it."""

    def __init__(self, operator: Any, meter: Meter, size: Any = lambda batch: len(batch.offsets)) -> None:
        self._operator, self._meter, self._size = operator, meter, size
        self.partition = operator.partition

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operator, name)

    def on_batch(self, batch: Any) -> Any:
        """Pass on, and count."""
        if not self._meter.events:
            self._meter.count(0)
        out = self._operator.on_batch(batch)
        self._meter.count(self._size(batch))
        return out


def by_thread(pid: int) -> dict[str, float]:
    """CPU seconds by kind of thread so far; empty where there is no /proc."""
    found = dict.fromkeys(("event loop", "fetch and state", "librdkafka"), 0.0)
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # a thread that has just ended
        kind = "event loop" if path.parent.name == str(pid) else "fetch and state"
        user, system = rest.split()[11:13]
        found["librdkafka" if name.startswith("rdk:") else kind] += (int(user) + int(system)) / TICKS_PER_S
    return found if any(found.values()) else {}


def samples_of(path: Path) -> list[Sample]:
    """Read what a meter has written so far."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [msgspec.json.decode(line, type=Sample) for line in lines if line.endswith(b"\n")]


def steady(name: str, samples: Iterable[Sample], events: int) -> Row:
    """Take the rates between the first and the last sample that see it run evenly; what it took to start is apart.

    Raises `StillwatchError` if there are not two such samples.
    """
    samples = list(samples)
    inside = [s for s in samples if FIRST_SHARE * events <= s.events <= LAST_SHARE * events]
    if len(inside) < 2 or inside[0].events == inside[-1].events:
        raise StillwatchError(f"{name} was done before it could be measured: ask for more --events.")
    first, last = inside[0], inside[-1]
    count = last.events - first.events
    found = row(name, count, last.at_s - first.at_s, last.cpu_s - first.cpu_s)
    found.threads_us_per_event = {
        kind: round((seconds - first.threads_s.get(kind, 0.0)) / count * 1e6, 2)
        for kind, seconds in last.threads_s.items()
    }
    found.start_cpu_s = round(samples[0].cpu_s, 1)
    found.memory_bytes = max(s.resident_bytes for s in samples)
    return found


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for the processes that are started meanwhile."""
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
