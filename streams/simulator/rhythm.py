"""When accounts are active: daily and weekly shapes per time zone, real API clients' weeks, and single occasions.

A rhythm maps a moment and the accounts' offsets from UTC to a factor on each account's mean rate (mean about 1 over a
week, except for occasions).
"""

import functools
import gzip
import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_EPOCH_WEEKDAY_H = 72  # 1 January 1970 was a Thursday; hour 0 of the week is Monday 00:00

Rhythm = Callable[[int, np.ndarray], np.ndarray]

# Percent of the daily mean by local hour: evenings for private use, working hours for work.
_LEISURE = [45, 25, 14, 9, 8, 10, 22, 45, 70, 88, 100, 108, 112, 112, 112, 116, 120, 126, 134, 160, 190, 205, 170, 95]
_WORK = [16, 9, 6, 5, 5, 8, 22, 65, 150, 225, 245, 225, 165, 200, 240, 240, 215, 160, 95, 75, 70, 62, 45, 28]


def _week(day: list[int], saturday: float, sunday: float) -> np.ndarray:
    shape = np.concatenate([np.array(day) * factor for factor in (1, 1, 1, 1, 1, saturday, sunday)])
    return np.asarray(shape / shape.mean())


LEISURE = _week(_LEISURE, 1.15, 1.2)
WORK = _week(_WORK, 0.25, 0.2)


@functools.cache
def arrivals() -> dict[str, Any]:
    """Load the packaged arrival patterns (ServeGen clients, Azure token pairs)."""
    packed = resources.files("streams.simulator.corpus").joinpath("arrivals.json.gz").read_bytes()
    loaded: dict[str, Any] = json.loads(gzip.decompress(packed))
    return loaded


@functools.cache
def client_shapes() -> np.ndarray:
    """Weekly shapes of ServeGen's clients, as factors: float array (clients, 168)."""
    shapes = np.array([c["shape"] for c in arrivals()["clients"]], float)
    return np.asarray(np.maximum(shapes, 2) / np.maximum(shapes, 2).mean(axis=1, keepdims=True))


def hour_of_week(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
    """Local hour of the week, a float in [0, 168) with 0 = Monday midnight."""
    return np.asarray((time_ms / HOUR_MS + _EPOCH_WEEKDAY_H + utc_offset_h) % 168)


def weekly(shape: np.ndarray) -> Rhythm:
    """Follow one weekly shape in each account's own time zone, interpolated between hours."""

    def factor(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        hour = hour_of_week(time_ms, utc_offset_h)
        low = hour.astype(np.int64)
        part = hour - low
        return np.asarray(shape[low] * (1 - part) + shape[(low + 1) % 168] * part)

    return factor


def clients(chosen: np.ndarray) -> Rhythm:
    """Follow the real week of ServeGen client ``chosen[i]`` for account i."""
    shapes = client_shapes()

    def factor(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        return np.asarray(shapes[chosen, hour_of_week(time_ms, utc_offset_h).astype(np.int64)])

    return factor


def flat(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
    """Run around the clock."""
    return np.ones(len(utc_offset_h))


def nightly(local_hour: float, hours: float) -> Rhythm:
    """Run only between ``local_hour`` and ``hours`` later, each day, with the day's mean kept at 1."""

    def factor(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        hour = hour_of_week(time_ms, utc_offset_h) % 24
        return np.where((hour - local_hour) % 24 < hours, 24 / hours, 0.0)

    return factor


Moments = Sequence[tuple[int, int]]  # first and last ms of each occasion, in order, none within another


def occasion(moments: Moments, rise_ms: int, base: Rhythm, inside: float, outside: float = 1.0) -> Rhythm:
    """Follow ``base`` times ``outside``, plus ``inside`` (a plain factor) during occasions that rise and decay.

    An occasion rises linearly over ``rise_ms`` and falls to a fifth by its end.
    """

    def factor(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        usual = base(time_ms, utc_offset_h) * outside
        for start_ms, end_ms in moments:
            if start_ms <= time_ms < end_ms:
                rise = min(1.0, (time_ms - start_ms + 1) / max(rise_ms, 1))
                return usual + inside * rise * 5.0 ** -((time_ms - start_ms) / (end_ms - start_ms))
        return usual

    return factor
