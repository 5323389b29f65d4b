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

from streams.compiled import compiled
from streams.slots import LOAD, START_SLOTS, free_slots, room
from streams.tokens.link import NEAR, near_home

ROW = np.dtype([("simhash", "<u8"), ("account", "<u8"), ("time", "<i8"), ("half", "u1")])


@compiled
def _live(table: Any, oldest_s: int) -> int:
    count = 0
    for i in range(table.size):
        count += table[i].second != 0 and table[i].second >= oldest_s
    return count


@compiled
def _rehash(old: Any, new: Any, shift: Any, oldest_s: int) -> int:
    kept = 0
    for i in range(old.size):
        entry = old[i]
        if entry.second == 0 or entry.second < oldest_s:
            continue
        slot: Any = near_home(entry.simhash, shift, new.size)
        while new[slot].second != 0:
            slot += 1
            if slot == new.size:
                slot = 0
        new[slot].simhash, new[slot].account, new[slot].second = entry.simhash, entry.account, entry.second
        kept += 1
    return kept


class NearPrompts:
    """Find the account that showed a near prompt within ``life_ms``, by one half (0: low, 1: high) of the SimHash.

    An entry takes 20 bytes in a hash table: SimHash, account, and the second of its last sighting. Reaching
    ``max_bytes`` forgets the older half early, counted in ``evicted_early``.
    """

    def __init__(self, half: int, life_ms: int, max_distance: int, bucket_cap: int, max_bytes: int = 1 << 62) -> None:
        self._half, self._shift = half, np.uint64(32 * half)
        self.life_s, self.distance, self.cap = max(4, life_ms // 1000), max_distance, bucket_cap
        self._table = free_slots(START_SLOTS, NEAR)
        self._max_slots = max(START_SLOTS, max_bytes // NEAR.itemsize)
        self._used = 0
        self._now_s = 0
        self.forgotten_s = 0  # everything before was forgotten early
        self.evicted_early = 0

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        size: int = self._table.nbytes
        return size

    def open(self, more: int, time: Any) -> Any:
        """Make room for so many entries, seen at these times (ms); returns the table for `link`."""
        self._reserve(more)
        self._now_s = max(self._now_s, int(time.max(initial=0)) // 1000)
        return self._table

    def close(self, gained: int) -> None:
        """So many entries have been added since `open`."""
        self._used += gained

    def rows(self, time: Any, simhash: Any, account: Any) -> Any:
        """Rows of entries, for a checkpoint."""
        rows = np.empty(time.size, ROW)
        rows["time"], rows["half"], rows["simhash"], rows["account"] = time, self._half, simhash, account
        return rows

    def load(self, rows: Any) -> None:
        """Take over rows of this half as `rows` made them; of several for one entry the last counts."""
        rows = rows[rows["half"] == self._half]
        _, last = np.unique(rows["simhash"][::-1], return_index=True)
        rows = rows[rows.size - 1 - last]
        if (most := int(self._max_slots * LOAD)) < rows.size:
            rows = rows[np.sort(np.argsort(rows["time"], kind="stable")[-most:])]
        self._reserve(rows.size)
        source = np.zeros(rows.size, NEAR)
        source["simhash"], source["account"], source["second"] = rows["simhash"], rows["account"], rows["time"] // 1000
        self._now_s = max(self._now_s, int(source["second"].max(initial=0)))
        self._used += _rehash(source, self._table, self._shift, self._now_s - self.life_s)

    def _reserve(self, more: int) -> None:
        if self._used + more <= self._table.size * LOAD:
            return
        oldest = self._now_s - self.life_s - 3_600
        live = _live(self._table, oldest)
        slots = room(live + more)
        if slots > self._max_slots:
            slots = max(self._max_slots, int(more / LOAD) + 1)
            seen = np.sort(self._table["second"][self._table["second"] != 0])
            keep = max(0, int(slots * LOAD / 2) - more)
            if keep < seen.size:
                oldest = max(oldest, int(seen[seen.size - keep - 1]) + 1)
                self.forgotten_s = max(self.forgotten_s, oldest)
        new = free_slots(slots, NEAR)
        self._used = _rehash(self._table, new, self._shift, oldest)
        if slots >= self._max_slots and live > self._used:
            self.evicted_early += live - self._used
        self._table = new
