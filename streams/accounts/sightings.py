"""Memory of first sightings: which account has shown which token, in packed arrays.

An entry is 10 bytes in a hash table: 48 bits of the pair's hash and the time of its last sighting. A pair is seen
again ("renewed") once per quarter of its life, so that live links do not expire below. Among a hundred million pairs
one new one in three million is taken for another that is known.
"""

from typing import Any

import numpy as np

from streams.accounts.lay_out import PAIR, see
from streams.compiled import compiled
from streams.segments import SegmentLog
from streams.slots import LOAD, START_SLOTS, free_slots, home, room

ROW = np.dtype([("pair", "<u8"), ("account", "<u8"), ("offset", "<i8"), ("time", "<i8")])

_SLACK_S = 3_600  # entries are kept so much longer than they count, far beyond any lateness


@compiled
def _live(table: Any, oldest_s: int) -> int:
    count = 0
    for i in range(table.size):
        count += table[i].high != 0 and table[i].second >= oldest_s
    return count


@compiled
def _rehash(old: Any, new: Any, oldest_s: int) -> int:
    kept = 0
    for i in range(old.size):
        if old[i].high == 0 or old[i].second < oldest_s:
            continue
        slot = home(np.uint64(old[i].high), new.size)
        while new[slot].high != 0:
            slot += 1
            if slot == new.size:
                slot = 0
        new[slot].high, new[slot].low, new[slot].second = old[i].high, old[i].low, old[i].second
        kept += 1
    return kept


class FirstSightings:
    """Tell first sightings from known ones over one horizon.

    An entry older than ``life_ms`` counts as never seen, whether or not it is still in the table. Reaching
    ``max_bytes`` forgets the older half early and is counted in ``evicted_early``: a token may then be reported as new
    once more.
    """

    def __init__(self, prefix: bytes, life_ms: int, max_bytes: int, durable: bool = True) -> None:
        self._life_s = max(4, life_ms // 1000)
        self._max_slots = max(START_SLOTS, max_bytes // PAIR.itemsize)
        self._table = free_slots(START_SLOTS, PAIR)
        self._used = 0
        self._now_s = 0
        self._forgotten_s = 0  # everything before was forgotten early
        self.evicted_early = 0
        self.durable = durable
        self._log = SegmentLog(prefix, ROW)

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        size: int = self._table.nbytes
        return size

    def see(self, pairs: Any, times_ms: Any, accounts: Any, offsets: Any) -> Any:
        """Return KNOWN, FIRST or RENEWED for each pair (uint64; 0 is no pair), in order, and remember them."""
        out = np.empty(pairs.size, np.uint8)
        table, life_s = self.open(pairs.size, times_ms)
        self.close(see(table, pairs, (times_ms // 1000).astype(np.uint32), life_s, out))
        if self.durable:
            self.log(out, pairs, times_ms, accounts, offsets)
        return out

    def open(self, more: int, times_ms: Any) -> tuple[Any, int]:
        """Make room for so many pairs, seen at these times; returns table and life in seconds for `lay_out`."""
        self._reserve(more)
        self._now_s = max(self._now_s, int(times_ms.max(initial=0)) // 1000)
        return self._table, self._life_s

    def close(self, gained: int) -> None:
        """So many pairs have been added since `open`."""
        self._used += gained

    def log(self, seen: Any, pairs: Any, times_ms: Any, accounts: Any, offsets: Any) -> None:
        """Note what is new for the next checkpoint; ``seen`` and ``pairs`` may have several columns per event."""
        where = np.nonzero(seen)
        event = where[0]
        if event.size:
            rows = np.empty(event.size, ROW)
            rows["pair"], rows["account"] = pairs[where], accounts[event]
            rows["offset"], rows["time"] = offsets[event], times_ms[event]
            self._log.append(rows)

    def _reserve(self, more: int) -> None:
        if self._used + more <= self._table.size * LOAD:
            return
        oldest = max(0, self._now_s - self._life_s - _SLACK_S)
        live = _live(self._table, oldest)
        slots = room(live + more)
        if slots > self._max_slots:
            slots = self._max_slots
            ages = np.sort(self._table["second"][self._table["high"] != 0])
            keep = max(0, min(live, int(slots * LOAD / 2)) - more)
            if keep < ages.size:
                oldest = max(oldest, int(ages[ages.size - keep]) + 1 if keep else int(ages[-1]) + 1)
            slots = max(slots, int(more / LOAD) + 1)
            self._forgotten_s = max(self._forgotten_s, oldest)
        table = free_slots(slots, PAIR)
        kept = _rehash(self._table, table, oldest)
        self.evicted_early += max(0, live - kept)
        self._table, self._used = table, kept

    def checkpoint(self) -> list[tuple[bytes, bytes | None]]:
        """Unsealed state records that changed since the last call; None is a tombstone."""
        return self._log.checkpoint(max(self._now_s - self._life_s - _SLACK_S, self._forgotten_s) * 1000)

    def restore(self, segments: dict[bytes, bytes], covered: Any) -> None:
        """Load state records; ``covered(rows) -> mask`` tells which rows the restored state has seen."""
        rows = self._log.restore(segments)
        kept = rows[covered(rows)]
        if not kept.size:
            return
        # more than fit: the oldest were forgotten early, or are of pairs that were seen again
        if (most := int(self._max_slots * LOAD)) < kept.size:
            kept = kept[np.sort(np.argsort(kept["time"], kind="stable")[-most:])]
        self._reserve(kept.size)
        now = (kept["time"] // 1000).astype(np.uint32)
        self._now_s = int(now.max())
        pairs = np.ascontiguousarray(kept["pair"])
        self._used += see(self._table, pairs, now, 0, np.empty(kept.size, np.uint8))
