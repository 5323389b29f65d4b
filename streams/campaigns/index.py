"""A hash index in packed arrays: 64-bit key to row number, vectorised."""

from typing import Any

import numpy as np

from streams.compiled import compiled
from streams.slots import LOAD, START_SLOTS, home, room


@compiled
def slot_of(keys: Any, key: Any) -> Any:
    """Give the slot of a key, or the one that it would take."""
    slot: Any = home(key >> np.uint64(32), keys.size)
    while keys[slot] != 0 and keys[slot] != key:
        slot += 1
        if slot == keys.size:
            slot = 0
    return slot


@compiled
def _lookup(keys: Any, rows: Any, wanted: Any, next_row: int, free: Any, insert: bool, out: Any) -> Any:
    left = free.size
    for i in range(wanted.size):
        key = wanted[i]
        if key == 0:
            out[i] = -1
            continue
        slot = slot_of(keys, key)
        if keys[slot] == 0:
            if not insert:
                out[i] = -1
                continue
            keys[slot] = key
            if left > 0:
                left -= 1
                rows[slot] = free[left]
            else:
                rows[slot] = next_row
                next_row += 1
        out[i] = rows[slot]
    return next_row, left


@compiled
def _place(keys: Any, rows: Any, wanted: Any, at: Any) -> bool:
    for i in range(wanted.size):
        slot = slot_of(keys, wanted[i])
        if keys[slot] != 0:
            return False
        keys[slot] = wanted[i]
        rows[slot] = at[i]
    return True


class HashIndex:
    """Rows of keys, numbered 0, 1, 2 ... in order of insertion, free rows first. 0 is no key."""

    def __init__(self) -> None:
        self._keys = np.zeros(START_SLOTS, np.uint64)
        self._rows = np.zeros(START_SLOTS, np.int32)
        self._free = np.empty(0, np.int32)  # largest first: the smallest is given out first
        self.size = 0  # rows given out so far, the free ones included

    @property
    def free(self) -> int:
        """Rows that hold no key."""
        return int(self._free.size)

    def load(self, keys: Any) -> None:
        """Hold these keys alone, each at its position; 0 is a free row. Raise ValueError if a key comes twice."""
        self._make(room(keys.size))
        self.size = keys.size
        self._free = np.flatnonzero(keys == 0)[::-1].astype(np.int32)
        at = np.flatnonzero(keys).astype(np.int32)
        if not _place(self._keys, self._rows, keys[at], at):
            raise ValueError("a key is held twice")

    @property
    def slots(self) -> tuple[Any, Any]:
        """Keys and rows by slot, for `slot_of`."""
        return self._keys, self._rows

    def find(self, keys: Any) -> Any:
        """Row of each key, -1 where it is unknown."""
        out = np.empty(keys.size, np.int32)
        _lookup(self._keys, self._rows, keys, self.size, self._free, False, out)
        return out

    def insert(self, keys: Any) -> Any:
        """Row of each key; unknown keys get the next rows, in order."""
        if self.size + keys.size > self._keys.size * LOAD:
            held, rows = self._keys, self._rows
            self._make(room(self.size + keys.size))
            used = np.flatnonzero(held)
            _place(self._keys, self._rows, held[used], rows[used])
        out = np.empty(keys.size, np.int32)
        self.size, left = _lookup(self._keys, self._rows, keys, self.size, self._free, True, out)
        self._free = self._free[:left]
        return out

    def _make(self, slots: int) -> None:
        self._keys, self._rows = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
