"""Every token that somebody showed: its founder, how many accounts share it, and when it was last seen.

Packed arrays in a hash table, about 33 bytes a slot; most tokens are never shared and stop here.
"""

from typing import Any

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.tokens.link import absorb, token_slot

_START_SLOTS = 1 << 12
_LOAD = 0.6

ROW = np.dtype(
    [("token", "<u8"), ("founder", "<u8"), ("first", "<i8"), ("time", "<i8"), ("degree", "<u4"), ("kind", "u1")]
)


@compiled_with_arrays
def _find_all(tokens: Any, wanted: Any) -> Any:
    slots = np.empty(wanted.size, np.int64)
    for i in range(wanted.size):
        slots[i] = token_slot(tokens, wanted[i])
    return slots


@compiled
def _rehash(old: Any, new: Any, now_ms: int, life_ms: Any) -> int:
    kept = 0
    for i in range(old[0].size):
        token = old[0][i]
        if token == 0 or now_ms - old[3][i] > life_ms[old[5][i]]:
            continue
        slot = token_slot(new[0], token)
        new[0][slot], new[1][slot], new[2][slot] = token, old[1][i], old[2][i]
        new[3][slot], new[4][slot], new[5][slot] = old[3][i], old[4][i], old[5][i]
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
        self._columns = self._empty(_START_SLOTS)
        slot_bytes = self.nbytes // _START_SLOTS
        self._max_slots = max(_START_SLOTS, 1 << (max(1, max_bytes // slot_bytes).bit_length() - 1))
        self._used = 0
        self._now_ms = 0
        self.evicted_early = 0

    @staticmethod
    def _empty(slots: int) -> tuple[Any, ...]:
        return (
            np.zeros(slots, np.uint64), np.zeros(slots, np.uint64), np.zeros(slots, np.int64),
            np.zeros(slots, np.int64), np.zeros(slots, np.uint32), np.zeros(slots, np.uint8),
        )  # fmt: skip

    def __len__(self) -> int:
        return self._used

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        return sum(column.nbytes for column in self._columns)

    @property
    def shared(self) -> int:
        """Tokens that two accounts or more share."""
        return int(np.count_nonzero(self._columns[4] > 1))

    def absorb(self, token: Any, account: Any, time: Any, first: Any, kind: Any) -> tuple[Any, Any, Any, Any]:
        """Take in sightings in order; return per item its code, the degree after it, and founder with first time.

        The founder is given with the item that makes the degree 2 only (else 0).
        """
        n = token.size
        code, degree = np.zeros(n, np.uint8), np.zeros(n, np.uint32)
        founder, founder_first = np.zeros(n, np.uint64), np.zeros(n, np.int64)
        table = self.open(n, time)
        self._used += absorb(
            table, token, account, time, first, kind, self.life_ms, self.caps, code, degree, founder, founder_first
        )
        return code, degree, founder, founder_first

    def open(self, more: int, time: Any) -> tuple[Any, ...]:
        """Make room for so many tokens, seen at these times (ms); returns the table for `link`."""
        self._reserve(more)
        self._now_ms = max(self._now_ms, int(time.max(initial=0)))
        return self._columns

    def close(self, gained: int) -> None:
        """So many tokens have been added since `open`."""
        self._used += gained

    def rows(self, token: Any) -> Any:
        """Present rows of the given tokens (each once), for a checkpoint."""
        return self._rows_at(_find_all(self._columns[0], np.unique(token)))

    def all_rows(self) -> Any:
        """Rows of every token held."""
        return self._rows_at(np.flatnonzero(self._columns[0]))

    def _rows_at(self, slots: Any) -> Any:
        rows = np.empty(slots.size, ROW)
        for name, column in zip(("token", "founder", "first", "time", "degree", "kind"), self._columns, strict=True):
            rows[name] = column[slots]
        return rows

    def load(self, rows: Any) -> None:
        """Take over rows; of several for one token the last counts."""
        _, last = np.unique(rows["token"][::-1], return_index=True)
        rows = rows[rows.size - 1 - last]
        rows = rows[rows["kind"] < self.life_ms.size]
        self._reserve(rows.size)
        if rows.size:
            self._now_ms = max(self._now_ms, int(rows["time"].max()))
        source = tuple(
            np.ascontiguousarray(rows[name]) for name in ("token", "founder", "first", "time", "degree", "kind")
        )
        self._used = _rehash(source, self._columns, self._now_ms, self.life_ms)

    def _reserve(self, more: int) -> None:
        slots = self._columns[0].size
        if self._used + more <= slots * _LOAD:
            return
        live = int(
            np.count_nonzero(
                (self._columns[0] != 0) & (self._now_ms - self._columns[3] <= self.life_ms[self._columns[5]])
            )
        )
        while live + more > slots * _LOAD / 1.3:
            slots *= 2
        if slots > self._max_slots:
            slots = max(self._max_slots, 1 << int(more / _LOAD).bit_length())
            self._crowd_out(max(0, int(slots * _LOAD / 2) - more))
        new = self._empty(slots)
        self._used = _rehash(self._columns, new, self._now_ms, self.life_ms)
        self._columns = new

    def _crowd_out(self, keep: int) -> None:
        """Forget all tokens but so many: first those that nobody shares, of these the oldest."""
        used = np.flatnonzero(self._columns[0])
        order = np.lexsort((self._columns[3][used], self._columns[4][used] > 1))
        gone = used[order[: max(0, used.size - keep)]]
        self._columns[0][gone] = 0  # the table is about to be filled anew
        self.evicted_early += gone.size
