"""A hash index in packed arrays: 64-bit key to row number, vectorised."""

from typing import Any

import numpy as np
from numba import njit

_START_SLOTS = 1 << 12
_LOAD = 0.6


@njit(cache=True)
def _lookup(keys: Any, rows: Any, wanted: Any, next_row: int, insert: bool, out: Any) -> int:
    mask = keys.size - 1
    for i in range(wanted.size):
        key = wanted[i]
        if key == 0:
            out[i] = -1
            continue
        slot = np.int64((key ^ (key >> np.uint64(32))) & np.uint64(mask))
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + 1) & mask
        if keys[slot] == 0:
            if not insert:
                out[i] = -1
                continue
            keys[slot] = key
            rows[slot] = next_row
            next_row += 1
        out[i] = rows[slot]
    return next_row


class HashIndex:
    """Rows of keys, numbered 0, 1, 2 ... in order of insertion. 0 is no key."""

    def __init__(self) -> None:
        self._keys = np.zeros(_START_SLOTS, np.uint64)
        self._rows = np.zeros(_START_SLOTS, np.int32)
        self.size = 0

    def find(self, keys: Any) -> Any:
        """Row of each key, -1 where it is unknown."""
        out = np.empty(keys.size, np.int32)
        _lookup(self._keys, self._rows, keys, self.size, False, out)
        return out

    def insert(self, keys: Any) -> Any:
        """Row of each key; unknown keys get the next rows, in order."""
        while self.size + keys.size > self._keys.size * _LOAD:
            self._grow()
        out = np.empty(keys.size, np.int32)
        self.size = _lookup(self._keys, self._rows, keys, self.size, True, out)
        return out

    def _grow(self) -> None:
        used = np.flatnonzero(self._keys)
        order = np.argsort(self._rows[used])
        keys = self._keys[used][order]
        self._keys, self._rows = np.zeros(self._keys.size * 2, np.uint64), np.zeros(self._rows.size * 2, np.int32)
        _lookup(self._keys, self._rows, keys, 0, True, np.empty(keys.size, np.int32))
