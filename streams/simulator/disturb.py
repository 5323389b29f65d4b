"""What goes wrong between gateway and topic: events out of order, hours late, or twice."""

import heapq
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np

from streams.simulator.plan import Disturbances

REORDERED_MAX_MS = 3_000  # inside the detector's default lateness of 5 s
LATE_MS = (60_000, 3_600_000)
AGAIN_MAX_MS = 20_000


def disturb(events: Iterator[Any], wanted: Disturbances, rng: np.random.Generator) -> Iterator[Any]:
    """Delay and repeat a share of the events; the rest keeps its order. Ends with what was still on its way.

    An event never moves ahead of its time, and no event is lost.
    """
    if not (wanted.late or wanted.reordered or wanted.duplicates):
        yield from events
        return
    held: list[tuple[int, int, Any]] = []
    serial = count()
    for event in events:
        while held and held[0][0] <= event.time_ms:
            yield heapq.heappop(held)[2]
        u = rng.random(3)
        delay = 0
        if u[0] < wanted.late:
            delay = int(LATE_MS[0] + u[1] * (LATE_MS[1] - LATE_MS[0]))
        elif u[0] < wanted.late + wanted.reordered:
            delay = int(1 + u[1] * REORDERED_MAX_MS)
        if delay:
            heapq.heappush(held, (event.time_ms + delay, next(serial), event))
        else:
            yield event
        if u[2] < wanted.duplicates:
            heapq.heappush(held, (event.time_ms + delay + int(u[1] * AGAIN_MAX_MS) + 1, next(serial), event))
    while held:
        yield heapq.heappop(held)[2]
