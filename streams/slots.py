"""Hash tables in packed arrays, those that grow with events: where an entry goes, and how large a table is.

A table may have any number of slots, so it grows by 40 % and is 72 % full on average; one of 2**n slots doubles, and
half of it is empty. An entry's place is its hash's share of the table, not a remainder: a table that grows keeps its
entries in their order, so that filling the new one reads and writes memory in sequence.
"""

import mmap
from typing import Any

import numpy as np

from streams.compiled import compiled

START_SLOTS = 1 << 12
LOAD = 0.85  # then a search for what is not there takes 23 slots on average (Knuth), which lie side by side
_GROWTH = 1.4  # by a quarter it would move each entry four times instead of two and a half: 0.4 us an event more
_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0)  # Linux: all pages at once


@compiled
def home(high: Any, slots: int) -> Any:
    """Give the slot where a search begins, by the upper 32 bits of a hash (uint64)."""
    return np.int64((high * np.uint64(slots)) >> np.uint64(32))


def room(entries: int) -> int:
    """So many slots for so many entries, and for 40 % more.

    >>> room(85_000), room(10)
    (140001, 4096)
    """
    return max(START_SLOTS, int(entries * _GROWTH / LOAD) + 1)


def free_slots(slots: int, dtype: Any) -> Any:
    """Return slots that are free (all zero), on pages of their own.

    A table that has grown gives its old pages back. On the heap it would leave a hole that is too small for the next.
    """
    dtype = np.dtype(dtype)
    return np.frombuffer(mmap.mmap(-1, slots * dtype.itemsize, _FLAGS), dtype)
