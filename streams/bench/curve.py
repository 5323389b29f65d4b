"""The scale curve: which sizes, in processes of their own, what is done already, and the model that extrapolates."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from streams.bench.scale import STAGES, Point, Size
from streams.config import Settings
from streams.errors import StillwatchError

FIRST = 10_000
SEEN_TIMES = 10  # of the largest size: accounts that come and go in the last measurement
TARGET_EVENTS_PER_S = 100_000


def sizes(largest: int) -> list[Size]:
    """Return powers of ten from 10,000, the largest, and ten times as many accounts of which that many are held.

    >>> [(size.seen, size.held) for size in sizes(30_000)]
    [(10000, 10000), (30000, 30000), (300000, 30000)]
    """
    powers = [10**n for n in range(4, 12) if FIRST <= 10**n < largest]
    return [Size(each, each) for each in (*powers, largest)] + [Size(SEEN_TIMES * largest, largest)]


def points_of(path: Path) -> list[Point]:
    """Read what was measured before."""
    return [msgspec.json.decode(line, type=Point) for line in path.read_bytes().splitlines()] if path.exists() else []


def measure_all(path: Path, largest: int, settings: Settings, report: Callable[[str, int], None]) -> list[Point]:
    """Measure what ``path`` does not hold yet, and return all of it; a call that was ended goes on with the next size.

    Sizes are told apart by how many accounts are seen. Raises `StillwatchError` if a measurement fails.
    """
    for size in sizes(largest):
        if size.seen in {point.seen for point in points_of(path)}:
            continue
        arguments = [msgspec.json.encode(value).decode() for value in (size, settings)]
        command = [sys.executable, "-m", "streams.bench.scale", *arguments, str(path)]
        report(f"{size.seen:,} accounts", 0)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            for line in process.stdout or ():
                report(f"{size.seen:,} accounts", int(line))
        if process.returncode:
            raise StillwatchError(f"The measurement of {size.seen:,} accounts failed (exit {process.returncode}).")
    return points_of(path)


COLUMNS = (
    "seen", "held", "events/s a core", *(f"us {stage}" for stage in STAGES), "bytes accounts", "first sightings",
    "bytes tokens", "bytes campaigns", "MB process", "MB state", "restart s", "longest capture s",
)  # fmt: skip


def cells(point: Point) -> tuple[str, ...]:
    """Return a point as texts, in the order of `COLUMNS`; bytes are memory by account held.

    Those of stage accounts include its first sightings, whose tables have a column of their own; what is reserved in
    them and never touched is in that column only. Where accounts are evicted memory is left out: what one stage lets go
    another one takes.
    """
    by_stage = [point.memory_bytes[stage] for stage in STAGES]
    bytes_ = (by_stage[0], point.first_sightings_bytes, *by_stage[1:])
    return (
        f"{point.seen:,}",
        f"{point.held:,}",
        f"{point.events_per_s:,}",
        *(f"{point.us_per_event[stage]:.1f}" for stage in STAGES),
        *(f"{size / point.held:,.0f}" if point.held == point.seen else "" for size in bytes_),
        f"{point.memory_bytes['process'] / 1e6:,.0f}",
        f"{sum(point.state_bytes.values()) / 1e6:,.0f}",
        f"{sum(point.restart_s.values()):.1f}",
        f"{point.capture_s:.2f}",
    )


def model(points: Sequence[Point]) -> str:
    """Fit cost to size and say what `TARGET_EVENTS_PER_S` would take.

    CPU of an event = a + b log10(accounts), memory and restart = c accounts, each by least squares over the sizes at
    which nothing is evicted. Accounts and tokens are shared out among partitions; campaigns is one process.
    """
    kept = [point for point in points if point.held == point.seen]
    if len({point.held for point in kept}) < 2:
        return "no model: it takes two sizes without eviction"
    held = np.array([point.held for point in kept], float)
    largest = int(held.max())
    lines = []
    cores = {}
    for stage in STAGES:
        us = np.array([point.us_per_event[stage] for point in kept])
        slope, base = np.polyfit(np.log10(held), us, 1)
        at_largest = max(base + slope * np.log10(largest), 0.0)
        cores[stage] = TARGET_EVENTS_PER_S * at_largest / 1e6
        size = np.array([point.memory_bytes[stage] for point in kept], float)
        restart = np.array([point.restart_s[stage] for point in kept])
        lines.append(
            f"{stage}: {base:.1f} {'+' if slope >= 0 else '-'} {abs(slope):.1f} log10(accounts) us an event, "
            f"{(held @ size) / (held @ held):,.0f} bytes an account, "
            f"{(held @ restart) / (held @ held) * 1e6:.1f} s of restart a million accounts"
        )
    lines.append(
        f"{TARGET_EVENTS_PER_S:,} events/s of {largest:,} accounts: {cores['accounts']:.1f} cores for accounts, "
        f"{cores['tokens']:.1f} for tokens, on as many machines as there are partitions, before what their hosts add; "
        f"campaigns, which is one process, is full at {TARGET_EVENTS_PER_S / max(cores['campaigns'], 1e-9):,.0f} "
        "events/s"
    )
    return "\n".join(lines)
