"""Every token that somebody showed: its founder, how many accounts share it, and when it was last seen.

Packed in a hash table, 26 bytes a slot; most tokens are never shared and stop here.
"""

from typing import Any

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.slots import LOAD, START_SLOTS, free_slots, room
from streams.tokens.link import KIND, SHARED, TOKEN, get, last_seen, put, token_slot

ROW = np.dtype(
    [("token", "<u8"), ("founder", "<u8"), ("first", "<i8"), ("time", "<i8"), ("degree", "<u4"), ("kind", "u1")]
)


@compiled_with_arrays
def _find_all(table: Any, wanted: Any) -> Any:
    slots = np.empty(wanted.size, np.int64)
    for i in range(wanted.size):
        slots[i] = token_slot(table, wanted[i])
    return slots


@compiled
def _live(table: Any, now_ms: int, life_ms: Any) -> int:
    count = 0
    for i in range(table.size):
        entry = table[i]
        count += entry.token != 0 and now_ms - last_seen(entry, now_ms) <= life_ms[entry.rest & KIND]
    return count


@compiled
def _write(table: Any, slots: Any, now_ms: int, rows: Any) -> None:
    for i in range(slots.size):
        entry, row = table[slots[i]], rows[i]
        row.token, row.founder = entry.token, entry.founder
        row.kind, row.first, row.time, row.degree = get(entry, now_ms)


@compiled
def _read(rows: Any, table: Any, now_ms: int, life_ms: Any) -> int:
    kept = 0
    for i in range(rows.size):
        row = rows[i]
        if row.token == 0 or now_ms - row.time > life_ms[row.kind]:
            continue
        entry = table[token_slot(table, row.token)]
        entry.token, entry.founder = row.token, row.founder
        put(entry, row.kind, row.first, row.time, np.int64(row.degree))
        kept += 1
    return kept


@compiled
def _rehash(old: Any, new: Any, now_ms: int, life_ms: Any) -> int:
    kept = 0
    for i in range(old.size):
        entry = old[i]
        if entry.token == 0:
            continue
        kind, _, last, _ = get(entry, now_ms)
        if now_ms - last > life_ms[kind]:
            continue
        place = new[token_slot(new, entry.token)]
        place.token, place.founder = entry.token, entry.founder
        place.second, place.count, place.rest = entry.second, entry.count, entry.rest
        kept += 1
    return kept


class TokenTable:
    """Degrees of tokens.

    ``life_ms`` gives the life of each kind: a token unseen for longer begins anew. ``degree_caps`` gives the degree
    above which only the count of a token of that kind travels on. Reaching ``max_bytes`` forgets tokens early, counted
    in ``evicted_early``: whoever shows one of them next is its founder.
    """

    def __init__(self, life_ms: Any, degree_caps: Any, max_bytes: int = 1 << 62) -> None:
        self.life_ms = np.array(life_ms, np.int64)
        self.caps = np.array(degree_caps, np.int64)
        self._table = free_slots(START_SLOTS, TOKEN)
        self._max_slots = max(START_SLOTS, max_bytes // TOKEN.itemsize)
        self._used = 0
        self._now_ms = 0
        self.evicted_early = 0

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        size: int = self._table.nbytes
        return size

    @property
    def shared(self) -> int:
        """Tokens that two accounts or more share."""
        return int(np.count_nonzero(self._table["rest"] & SHARED))

    def open(self, more: int, time: Any) -> Any:
        """Make room for so many tokens, seen at these times (ms); returns the table for `link`."""
        self._reserve(more)
        self._now_ms = max(self._now_ms, int(time.max(initial=0)))
        return self._table

    def close(self, gained: int) -> None:
        """So many tokens have been added since `open`."""
        self._used += gained

    def rows(self, token: Any) -> Any:
        """Present rows of the given tokens (each once) that are still held, for a checkpoint."""
        slots = _find_all(self._table, np.unique(token))
        return self._rows_at(slots[self._table["token"][slots] != 0])

    def tokens(self) -> Any:
        """Every token held."""
        found = self._table["token"]
        return found[found != 0]

    def _rows_at(self, slots: Any) -> Any:
        rows = np.empty(slots.size, ROW)
        _write(self._table, slots, self._now_ms, rows)
        return rows

    def load(self, rows: Any) -> None:
        """Take over rows; of several for one token the last counts."""
        _, last = np.unique(rows["token"][::-1], return_index=True)
        rows = rows[rows.size - 1 - last]
        rows = rows[rows["kind"] < self.life_ms.size]
        self._reserve(rows.size)
        if rows.size:
            self._now_ms = max(self._now_ms, int(rows["time"].max()))
        self._used = _read(rows, self._table, self._now_ms, self.life_ms)

    def _reserve(self, more: int) -> None:
        if self._used + more <= self._table.size * LOAD:
            return
        live = _live(self._table, self._now_ms, self.life_ms)
        slots = room(live + more)
        if slots > self._max_slots:
            slots = max(self._max_slots, int(more / LOAD) + 1)
            self._crowd_out(max(0, int(slots * LOAD / 2) - more))
        new = free_slots(slots, TOKEN)
        self._used = _rehash(self._table, new, self._now_ms, self.life_ms)
        self._table = new

    def _crowd_out(self, keep: int) -> None:
        """Forget all tokens but so many: first those that nobody shares, of these the oldest."""
        used = np.flatnonzero(self._table["token"])
        rows = self._rows_at(used)
        order = np.lexsort((rows["time"], rows["degree"] > 1))
        gone = used[order[: max(0, used.size - keep)]]
        self._table["token"][gone] = 0  # the table is about to be filled anew
        self.evicted_early += gone.size
