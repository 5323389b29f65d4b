"""Memory of first sightings: which account has shown which token, in packed arrays.

An entry is 12 bytes in a hash table: the pair's hash and the time of its last sighting. A pair is seen again
("renewed") once per quarter of its life, so that live links do not expire below.
"""

from typing import Any

import numpy as np

from streams.accounts.lay_out import see
from streams.compiled import compiled
from streams.segments import SegmentLog

ROW = np.dtype([("pair", "<u8"), ("account", "<u8"), ("offset", "<i8"), ("time", "<i8")])

_START_SLOTS = 1 << 12
_LOAD = 0.6  # linear probing stays short below this
_SLACK_S = 3_600  # entries are kept so much longer than they count, far beyond any lateness


@compiled
def _rehash(keys: Any, times: Any, new_keys: Any, new_times: Any, oldest_s: int) -> int:
    mask = new_keys.size - 1
    kept = 0
    for i in range(keys.size):
        pair = keys[i]
        if pair == 0 or times[i] < oldest_s:
            continue
        slot = (pair ^ (pair >> np.uint64(29))) & np.uint64(mask)
        while new_keys[slot] != 0:
            slot = (slot + np.uint64(1)) & np.uint64(mask)
        new_keys[slot] = pair
        new_times[slot] = times[i]
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
        self._max_slots = max(_START_SLOTS, 1 << (max(1, max_bytes // 12).bit_length() - 1))
        self._keys = np.zeros(_START_SLOTS, np.uint64)
        self._times = np.zeros(_START_SLOTS, np.uint32)
        self._used = 0
        self._now_s = 0
        self.evicted_early = 0
        self.durable = durable
        self._log = SegmentLog(prefix, ROW)

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        return self._keys.nbytes + self._times.nbytes

    def see(self, pairs: Any, times_ms: Any, accounts: Any, offsets: Any) -> Any:
        """Return KNOWN, FIRST or RENEWED for each pair (uint64; 0 is no pair), in order, and remember them."""
        out = np.empty(pairs.size, np.uint8)
        keys, times, life_s = self.open(pairs.size, times_ms)
        self.close(see(keys, times, pairs, (times_ms // 1000).astype(np.uint32), life_s, out))
        if self.durable:
            self.log(out, pairs, times_ms, accounts, offsets)
        return out

    def open(self, more: int, times_ms: Any) -> tuple[Any, Any, int]:
        """Make room for so many pairs, seen at these times; returns keys, times and life in seconds for `lay_out`."""
        self._reserve(more)
        self._now_s = max(self._now_s, int(times_ms.max(initial=0)) // 1000)
        return self._keys, self._times, self._life_s

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
        if self._used + more <= self._keys.size * _LOAD:
            return
        oldest = max(0, self._now_s - self._life_s - _SLACK_S)
        live = int(np.count_nonzero(self._times[self._keys != 0] >= oldest))
        slots = self._keys.size
        while (live + more) > slots * _LOAD / 1.3:
            slots *= 2
        if slots > self._max_slots:
            slots = self._max_slots
            ages = np.sort(self._times[self._keys != 0])
            keep = max(0, min(live, int(slots * _LOAD / 2)) - more)
            if keep < ages.size:
                oldest = max(oldest, int(ages[ages.size - keep]) + 1 if keep else int(ages[-1]) + 1)
            slots = max(slots, 1 << int(more / _LOAD).bit_length())
        keys, times = np.zeros(slots, np.uint64), np.zeros(slots, np.uint32)
        kept = _rehash(self._keys, self._times, keys, times, oldest)
        self.evicted_early += max(0, live - kept)
        self._keys, self._times, self._used = keys, times, kept

    def checkpoint(self) -> list[tuple[bytes, bytes | None]]:
        """Unsealed state records that changed since the last call; None is a tombstone."""
        return self._log.checkpoint((self._now_s - self._life_s - _SLACK_S) * 1000)

    def restore(self, segments: dict[bytes, bytes], covered: Any) -> None:
        """Load state records; ``covered(rows) -> mask`` tells which rows the restored state has seen."""
        rows = self._log.restore(segments)
        kept = rows[covered(rows)]
        if not kept.size:
            return
        self._reserve(kept.size)
        now = (kept["time"] // 1000).astype(np.uint32)
        self._now_s = int(now.max())
        pairs = np.ascontiguousarray(kept["pair"])
        self._used += see(self._keys, self._times, pairs, now, 0, np.empty(kept.size, np.uint8))
