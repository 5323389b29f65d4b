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
_LOAD = 0.5

ROW = np.dtype([("bucket", "<u8"), ("simhash", "<u8"), ("account", "<u8"), ("time", "<i8")])


@njit(cache=True)
def _popcount(x: Any) -> int:
    n = 0
    while x != 0:
        x &= x - np.uint64(1)
        n += 1
    return n


@njit(cache=True)
def _match(
    buckets: Any, simhashes: Any, accounts: Any, times: Any, bucket: Any, simhash: Any, account: Any, time: Any,
    life_ms: int, distance: int, cap: int, founder: Any, founder_simhash: Any, stored: Any,
) -> int:  # fmt: skip
    mask = buckets.size - 1
    count = 0
    for i in range(bucket.size):
        slot: Any = np.int64((bucket[i] ^ (bucket[i] >> np.uint64(32))) & np.uint64(mask))
        held, free, best, nearest = 0, -1, -1, distance + 1
        # the nearest counts, then the smaller SimHash: the order of slots changes when the table grows
        while buckets[slot] != 0:
            if buckets[slot] == bucket[i]:
                if time[i] - times[slot] > life_ms:
                    if free < 0:
                        free = slot
                else:
                    held += 1
                    bits = _popcount(simhashes[slot] ^ simhash[i])
                    if bits < nearest or (bits == nearest and best >= 0 and simhashes[slot] < simhashes[best]):
                        best, nearest = slot, bits
            slot = (slot + 1) & mask
        if best >= 0:
            founder[i], founder_simhash[i] = accounts[best], simhashes[best]
            if time[i] - times[best] >= life_ms // 4:
                times[best] = time[i]
                stored[i] = 2
            continue
        if held >= cap:
            continue
        if free < 0:
            free = slot
            count += 1
        buckets[free], simhashes[free], accounts[free], times[free] = bucket[i], simhash[i], account[i], time[i]
        stored[i] = 1
    return count


@njit(cache=True)
def _rehash(old: Any, new: Any, oldest_ms: int) -> int:
    mask = new[0].size - 1
    kept = 0
    for i in range(old[0].size):
        if old[0][i] == 0 or old[3][i] < oldest_ms:
            continue
        slot: Any = np.int64((old[0][i] ^ (old[0][i] >> np.uint64(32))) & np.uint64(mask))
        while new[0][slot] != 0:
            slot = (slot + 1) & mask
        new[0][slot], new[1][slot], new[2][slot], new[3][slot] = old[0][i], old[1][i], old[2][i], old[3][i]
        kept += 1
    return kept


class NearPrompts:
    """Find the first account that showed a near prompt within ``life_ms``."""

    def __init__(self, life_ms: int, max_distance: int, bucket_cap: int) -> None:
        self._life_ms, self._distance, self._cap = life_ms, max_distance, bucket_cap
        self._columns = self._empty(_START_SLOTS)
        self._used = 0
        self._now_ms = 0

    @staticmethod
    def _empty(slots: int) -> tuple[Any, ...]:
        return (*(np.zeros(slots, np.uint64) for _ in range(3)), np.zeros(slots, np.int64))

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        return sum(column.nbytes for column in self._columns)

    def match(self, bucket: Any, simhash: Any, account: Any, time: Any) -> tuple[Any, Any, Any]:
        """Take in near-prompt sightings in order of time.

        Returns the account and SimHash of the nearest that is held (0: nobody near) for each, and the rows that a
        checkpoint needs: entries that are new, or renewed after a quarter of their life.
        """
        n = bucket.size
        self._reserve(n)
        founder, founder_simhash, stored = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.uint8)
        if n:
            self._now_ms = max(self._now_ms, int(time.max()))
            self._used += _match(
                *self._columns, bucket, simhash, account, time, self._life_ms, self._distance, self._cap, founder,
                founder_simhash, stored,
            )  # fmt: skip
        where = np.flatnonzero(stored)
        rows = np.empty(where.size, ROW)
        new = stored[where] == 1
        rows["bucket"], rows["time"] = bucket[where], time[where]
        rows["simhash"] = np.where(new, simhash[where], founder_simhash[where])
        rows["account"] = np.where(new, account[where], founder[where])
        return founder, founder_simhash, rows

    def load(self, rows: Any) -> None:
        """Take over rows that `match` returned; of several for one entry the last counts."""
        order = np.lexsort((np.arange(rows.size), rows["simhash"], rows["bucket"]))
        rows = rows[order]
        last = np.ones(rows.size, bool)
        last[:-1] = (rows["bucket"][1:] != rows["bucket"][:-1]) | (rows["simhash"][1:] != rows["simhash"][:-1])
        rows = rows[last]
        self._reserve(rows.size)
        if rows.size:
            self._now_ms = max(self._now_ms, int(rows["time"].max()))
        source = tuple(np.ascontiguousarray(rows[name]) for name in ("bucket", "simhash", "account", "time"))
        self._used += _rehash(source, self._columns, self._now_ms - self._life_ms)

    def _reserve(self, more: int) -> None:
        slots = self._columns[0].size
        if self._used + more <= slots * _LOAD:
            return
        oldest = self._now_ms - self._life_ms - 3_600_000
        live = int(np.count_nonzero((self._columns[0] != 0) & (self._columns[3] >= oldest)))
        while live + more > slots * _LOAD / 1.3:
            slots *= 2
        new = self._empty(slots)
        self._used = _rehash(self._columns, new, oldest)
        self._columns = new
