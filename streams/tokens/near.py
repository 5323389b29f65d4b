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
from streams.tokens.link import match, near_slot

_START_SLOTS = 1 << 12
_LOAD = 0.7

ROW = np.dtype([("simhash", "<u8"), ("account", "<u8"), ("time", "<i8"), ("half", "u1")])


@compiled
def _rehash(old: Any, new: Any, shift: Any, oldest_s: int) -> int:
    mask = new[0].size - 1
    kept = 0
    for i in range(old[0].size):
        if old[2][i] == 0 or old[2][i] < oldest_s:
            continue
        slot: Any = near_slot(old[0][i], shift, new[0].size)
        while new[2][slot] != 0:
            slot = (slot + 1) & mask
        new[0][slot], new[1][slot], new[2][slot] = old[0][i], old[1][i], old[2][i]
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
        self._columns = self._empty(_START_SLOTS)
        slot_bytes = self.nbytes // _START_SLOTS
        self._max_slots = max(_START_SLOTS, 1 << (max(1, max_bytes // slot_bytes).bit_length() - 1))
        self._used = 0
        self._now_s = 0
        self.evicted_early = 0

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
        founder, founder_simhash, stored = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.uint8)
        table = self.open(n, time)
        self._used += match(
            table, self._shift, simhash, account, (time // 1000).astype(np.uint32), self.life_s, self.distance,
            self.cap, founder, founder_simhash, stored,
        )  # fmt: skip
        where = np.flatnonzero(stored)
        new = stored[where] == 1
        simhashes = np.where(new, simhash[where], founder_simhash[where])
        return (
            founder,
            founder_simhash,
            self.rows(time[where], simhashes, np.where(new, account[where], founder[where])),
        )

    def open(self, more: int, time: Any) -> tuple[Any, ...]:
        """Make room for so many entries, seen at these times (ms); returns the table for `link`."""
        self._reserve(more)
        self._now_s = max(self._now_s, int(time.max(initial=0)) // 1000)
        return self._columns

    def close(self, gained: int) -> None:
        """So many entries have been added since `open`."""
        self._used += gained

    def rows(self, time: Any, simhash: Any, account: Any) -> Any:
        """Rows of entries, for a checkpoint."""
        rows = np.empty(time.size, ROW)
        rows["time"], rows["half"], rows["simhash"], rows["account"] = time, self._half, simhash, account
        return rows

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
        self._used += _rehash(source, self._columns, self._shift, self._now_s - self.life_s)

    def _reserve(self, more: int) -> None:
        slots = self._columns[0].size
        if self._used + more <= slots * _LOAD:
            return
        oldest = self._now_s - self.life_s - 3_600
        live = int(np.count_nonzero((self._columns[2] != 0) & (self._columns[2] >= oldest)))
        while live + more > slots * _LOAD / 1.3:
            slots *= 2
        if slots > self._max_slots:
            slots = max(self._max_slots, 1 << int(more / _LOAD).bit_length())
            seen = np.sort(self._columns[2][self._columns[2] != 0])
            keep = max(0, int(slots * _LOAD / 2) - more)
            if keep < seen.size:
                oldest = max(oldest, int(seen[seen.size - keep - 1]) + 1)
        new = self._empty(slots)
        self._used = _rehash(self._columns, new, self._shift, oldest)
        if slots >= self._max_slots and live > self._used:
            self.evicted_early += live - self._used
        self._columns = new
