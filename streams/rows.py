"""Structured arrays moved as whole rows, and put into order.

numpy's own `concatenate` and indexing with an array go through structured arrays field by field, which takes ten times
as long as their bytes do (measured on 1,500 sightings: 39 and 59 us). Use `joined` for the one and the methods ``take``
and ``compress`` for the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from streams.compiled import compiled

SAME_TIME_MAX = 64  # items of one time that are sorted by insertion; with more, the time hardly sorts


def joined(parts: Sequence[Any]) -> Any:
    """Concatenate arrays of one dtype."""
    dtype = parts[0].dtype
    if len(parts) == 1 or dtype.hasobject:
        return np.concatenate(parts)
    plain = np.dtype((np.void, dtype.itemsize))
    return np.concatenate([part.view(plain) for part in parts]).view(dtype)


def in_order(time: Any, second: Any, third: Any) -> Any:
    """Return the indices that sort items by time (int64) and, of one time, by two more keys (uint64).

    As ``np.lexsort((third, second, time))``, at a tenth of the cost where items come nearly in order of time.
    """
    keys = (np.ascontiguousarray(time), np.ascontiguousarray(second), np.ascontiguousarray(third))
    order = np.argsort(keys[0], kind="stable")
    return order if _sort_each_time(order, *keys) else np.lexsort(keys[::-1])


@compiled
def _sort_each_time(order: Any, time: Any, second: Any, third: Any) -> bool:
    """Sort the items of each time by the other keys; False if there are too many of one."""
    start = 0
    for i in range(1, order.size):
        item = order[i]
        if time[item] != time[order[start]]:
            start = i
            continue
        if i - start >= SAME_TIME_MAX:
            return False
        j = i
        while j > start:
            before = order[j - 1]
            if second[before] < second[item] or (second[before] == second[item] and third[before] <= third[item]):
                break
            order[j] = before
            j -= 1
        order[j] = item
    return True
