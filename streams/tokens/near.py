"""Near prompts: SimHashes of different accounts at a small Hamming distance.

Half of a SimHash (32 bits) is a bucket, not a token: an entry keeps all 64 bits and matches only within
``max_distance``. Measured on 85,027 real prompts of public data sets:

- Two halves find all pairs at distance 0 and 1, 50 % of those at 2 and 24 % at 3. A campaign of n near prompts has
  n(n-1)/2 pairs, so that is enough to hold it together.
- Other numbers in a prompt leave its SimHash as it is. One word replaced leaves a quarter of the prompts within
  distance 3, and 13 % are found; a short ending added, 55 % and 34 %.
- 330 of a million prompts match one of another data set with which they share less than 30 % of their words: nearly
  all are prompts made of numbers. 6 % match one of their own set, mostly by a template.

Cannot see paraphrases, and is not meant to: what says the same in other words is another prompt here.

Source: Charikar 2002 (SimHash); Manku, Jain, Das Sarma 2007 (tables of bit blocks).
"""

from typing import Any

import numpy as np
from numba import njit

_START_SLOTS = 1 << 12
_LOAD = 0.7
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)

ROW = np.dtype([("simhash", "<u8"), ("account", "<u8"), ("time", "<i8"), ("half", "u1")])


@njit(cache=True)
def _popcount(x: Any) -> int:
    n = 0
    while x != 0:
        x &= x - np.uint64(1)
        n += 1
    return n


@njit(cache=True)
def _slot(simhash: Any, shift: Any, slots: int) -> Any:
    half = (simhash >> shift) & np.uint64(0xFFFFFFFF)
    return np.int64(((half + np.uint64(1)) * _MIX >> np.uint64(32)) & np.uint64(slots - 1))


@njit(cache=True)
def _match(
    simhashes: Any, accounts: Any, times: Any, shift: Any, simhash: Any, account: Any, now: Any,
    life_s: int, distance: int, cap: int, founder: Any, founder_simhash: Any, stored: Any,
) -> int:  # fmt: skip
    mask = simhashes.size - 1
    half = np.uint64(0xFFFFFFFF) << shift
    count = 0
    for i in range(simhash.size):
        slot: Any = _slot(simhash[i], shift, simhashes.size)
        held, free, best, nearest = 0, -1, -1, distance + 1
        # the nearest counts, then the smaller SimHash: the order of slots changes when the table grows
        while times[slot] != 0:
            differs = simhashes[slot] ^ simhash[i]
            if differs & half == 0:
                if np.int64(now[i]) - np.int64(times[slot]) > life_s:
                    if free < 0:
                        free = slot
                else:
                    held += 1
                    bits = _popcount(differs)
                    if bits < nearest or (bits == nearest and best >= 0 and simhashes[slot] < simhashes[best]):
                        best, nearest = slot, bits
            slot = (slot + 1) & mask
        if best >= 0:
            founder[i], founder_simhash[i] = accounts[best], simhashes[best]
            if np.int64(now[i]) - np.int64(times[best]) >= life_s // 4:
                times[best] = now[i]
                stored[i] = 2
            continue
        if held >= cap:
            continue
        if free < 0:
            free = slot
            count += 1
        simhashes[free], accounts[free], times[free] = simhash[i], account[i], now[i]
        stored[i] = 1
    return count


@njit(cache=True)
def _rehash(old: Any, new: Any, shift: Any, oldest_s: int) -> int:
    mask = new[0].size - 1
    kept = 0
    for i in range(old[0].size):
        if old[2][i] == 0 or old[2][i] < oldest_s:
            continue
        slot: Any = _slot(old[0][i], shift, new[0].size)
        while new[2][slot] != 0:
            slot = (slot + 1) & mask
        new[0][slot], new[1][slot], new[2][slot] = old[0][i], old[1][i], old[2][i]
        kept += 1
    return kept


class NearPrompts:
    """Find the account that showed a near prompt within ``life_ms``, by one half (0: low, 1: high) of the SimHash.

    An entry takes 20 bytes in a hash table: SimHash, account, and the second of its last sighting.
    """

    def __init__(self, half: int, life_ms: int, max_distance: int, bucket_cap: int) -> None:
        self._half, self._shift = half, np.uint64(32 * half)
        self._life_s, self._distance, self._cap = max(4, life_ms // 1000), max_distance, bucket_cap
        self._columns = self._empty(_START_SLOTS)
        self._used = 0
        self._now_s = 0

    @staticmethod
    def _empty(slots: int) -> tuple[Any, ...]:
        return np.zeros(slots, np.uint64), np.zeros(slots, np.uint64), np.zeros(slots, np.uint32)

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        return sum(column.nbytes for column in self._columns)

    def match(self, simhash: Any, account: Any, time: Any) -> tuple[Any, Any, Any]:
        """Take in near-prompt sightings in order of time (ms).

        Returns the account and SimHash of the nearest that is held (0: nobody near) for each, and the rows that a
        checkpoint needs: entries that are new, or renewed after a quarter of their life.
        """
        n = simhash.size
        self._reserve(n)
        founder, founder_simhash, stored = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.uint8)
        now = (time // 1000).astype(np.uint32)
        if n:
            self._now_s = max(self._now_s, int(now.max()))
            self._used += _match(
                *self._columns, self._shift, simhash, account, now, self._life_s, self._distance, self._cap, founder,
                founder_simhash, stored,
            )  # fmt: skip
        where = np.flatnonzero(stored)
        rows = np.empty(where.size, ROW)
        new = stored[where] == 1
        rows["time"], rows["half"] = time[where], self._half
        rows["simhash"] = np.where(new, simhash[where], founder_simhash[where])
        rows["account"] = np.where(new, account[where], founder[where])
        return founder, founder_simhash, rows

    def load(self, rows: Any) -> None:
        """Take over rows of this half that `match` returned; of several for one entry the last counts."""
        rows = rows[rows["half"] == self._half]
        _, last = np.unique(rows["simhash"][::-1], return_index=True)
        rows = rows[rows.size - 1 - last]
        self._reserve(rows.size)
        times = (rows["time"] // 1000).astype(np.uint32)
        if rows.size:
            self._now_s = max(self._now_s, int(times.max()))
        source = (np.ascontiguousarray(rows["simhash"]), np.ascontiguousarray(rows["account"]), times)
        self._used += _rehash(source, self._columns, self._shift, self._now_s - self._life_s)

    def _reserve(self, more: int) -> None:
        slots = self._columns[0].size
        if self._used + more <= slots * _LOAD:
            return
        oldest = self._now_s - self._life_s - 3_600
        live = int(np.count_nonzero((self._columns[2] != 0) & (self._columns[2] >= oldest)))
        while live + more > slots * _LOAD / 1.3:
            slots *= 2
        new = self._empty(slots)
        self._used = _rehash(self._columns, new, self._shift, oldest)
        self._columns = new
