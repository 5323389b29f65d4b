"""Counts of observations by size: an integer addition each, read by the metrics server."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

BATCH_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # 500 events: 3 to 10 ms
ALERT_BOUNDS_S = (0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 300.0, 3600.0)  # the goal: lateness + tick + 1 s


class Histogram:
    """How many observations were at most as large as each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the upper bounds in ascending order; a last one without limit is added."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


def alert_latency_s(headers: Sequence[tuple[str, bytes]], now_s: float) -> float | None:
    """Return the seconds from the event time of an alert (header ``ce_time``) to ``now_s``; None without that header.

    Means something only while producers send events as they happen: old or accelerated events give any number, at
    least 0.
    """
    for name, value in headers:
        if name == "ce_time":
            return max(0.0, now_s - datetime.fromisoformat(value.decode()).timestamp())
    return None
