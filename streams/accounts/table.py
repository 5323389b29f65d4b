"""All accounts of a partition as rows, found and named by the hash of their id.

An account takes 128 bytes in the columns, 128 more from its 8th exchange on for the ids of its last events, and some
200 for its name; its River models come on top (`streams.accounts.account`).
"""

from typing import Any

import numpy as np

from streams.accounts.columns import Events
from streams.accounts.habits import Habits
from streams.accounts.row import ROW, TAKEN, take
from streams.compiled import compiled
from streams.contracts.hashing import hash64
from streams.errors import StateError

START_SLOTS = 1 << 10  # of the index
LOAD = 0.6
NAME_BYTES = 39  # of an account's id that a row holds itself; longer ones cost 100 bytes more
LONG = 255
FEW_IDS = 8  # event ids that a row holds itself; most accounts never have more


@compiled
def _slot(index: Any, hashes: Any, account: Any) -> Any:
    mask = index.size - 1
    slot = np.int64((account ^ (account >> np.uint64(32))) & np.uint64(mask))
    while index[slot] >= 0 and hashes[index[slot]] != account:
        slot = (slot + 1) & mask
    return slot


@compiled
def _find(
    index: Any, events: Any, text: Any, free: Any, top: int, hashes: Any, names: Any, at: Any, added: Any
) -> Any:  # fmt: skip
    """Give the row of each event's account; one from the stack of free rows if it has none yet."""
    n = 0
    for i in range(events.size):
        event = events[i]
        slot = _slot(index, hashes, event.account)
        if index[slot] < 0:
            top -= 1
            row = free[top]
            index[slot], hashes[row] = row, event.account
            size = min(np.int64(event.name_size), names.shape[1] - 1)
            names[row, 0] = size if size == event.name_size else LONG
            for k in range(size):
                names[row, k + 1] = text[event.name_at + k]
            added[n] = i
            n += 1
        at[i] = index[slot]
    return n, top


@compiled
def _index(index: Any, hashes: Any, rows: Any) -> None:
    for row in rows:
        index[_slot(index, hashes, hashes[row])] = row


@compiled
def _lookup(index: Any, hashes: Any, account: Any) -> Any:
    return index[_slot(index, hashes, account)]


def _stack(stack: Any, top: int, size: int, more: int) -> tuple[Any, int]:
    """Enlarge a stack of free places by the places from ``size`` on; the lowest comes off first."""
    new = np.zeros(size + more, np.int32)
    new[more : more + top] = stack[:top]
    new[:more] = np.arange(size + more - 1, size - 1, -1)
    return new, top + more


class AccountTable:
    """Rows of accounts by the hash of their name. A row that is let go is used again."""

    def __init__(self, ring: int, river_from_event: int) -> None:
        """``ring`` event ids of each account are remembered; it has River models from so many events on."""
        self._ring = ring
        self.habits = Habits(river_from_event)
        self._index = np.full(START_SLOTS, -1, np.int32)  # hash table of rows, -1: free
        self._names = np.zeros((0, 1 + NAME_BYTES), np.uint8)  # how many, then so many; `LONG`: in the dictionary
        self._long_names: dict[int, bytes] = {}
        self.hashes = np.zeros(0, np.uint64)
        self.rows = np.zeros(0, ROW)
        self.dirty_at = np.zeros(0, np.int64)  # offset that made a row dirty, -1: clean
        self._few = np.zeros((0, min(FEW_IDS, ring)), np.uint32)
        self._many = np.zeros((0, ring), np.uint32)
        self._many_at = np.zeros(0, np.int32)  # place of a row in the above, -1: none
        self._free = np.zeros(0, np.int32)  # rows: a stack ...
        self._top = 0  # ... of so many
        self._free_many = np.zeros(0, np.int32)  # the same of places in `_many`
        self._top_many = 0

    def __len__(self) -> int:
        return self.rows.size - self._top

    @property
    def nbytes(self) -> int:
        """Size of the columns in bytes."""
        columns = (
            self.hashes, self.rows, self.dirty_at, self._few, self._many, self._many_at, self._free_many, self._free,
            self._names, self._index,
        )  # fmt: skip
        return sum(column.nbytes for column in columns) + self.habits.nbytes

    def name(self, row: int) -> str:
        """Account id of a row."""
        held = self._names[row]
        return (self._long_names[row] if held[0] == LONG else held[1 : held[0] + 1].tobytes()).decode()

    def find(self, events: Events) -> Any:
        """Rows of the accounts of events; those not yet known get one."""
        n = events.offset.size
        self._reserve(n)
        at, added = np.empty(n, np.int64), np.empty(n, np.int64)
        new, self._top = _find(
            self._index, events.rows, np.frombuffer(events.text, np.uint8), self._free, self._top, self.hashes,
            self._names, at, added,
        )  # fmt: skip
        for i in added[:new][self._names[at[added[:new]], 0] == LONG].tolist():
            self._long_names[int(at[i])] = events.name(i).encode()
        return at

    def _reserve(self, more: int) -> None:
        """Make room for so many accounts."""
        if self._top < more:
            self._grow(max(more, 256, self.rows.size // 8))
        slots = self._index.size
        while (len(self) + more) > slots * LOAD:
            slots *= 2
        if slots > self._index.size:
            self._rebuild(slots)

    def _rebuild(self, slots: int) -> None:
        self._index = np.full(slots, -1, np.int32)
        used = np.ones(self.hashes.size, bool)
        used[self._free[: self._top]] = False
        _index(self._index, self.hashes, np.flatnonzero(used))

    def _grow(self, more: int) -> None:
        size = self.rows.size

        def longer(column: Any, fill: int = 0) -> Any:
            return np.concatenate([column, np.full((more, *column.shape[1:]), fill, column.dtype)])

        self.hashes, self._few, self._names = longer(self.hashes), longer(self._few), longer(self._names)
        self.dirty_at, self._many_at = longer(self.dirty_at, -1), longer(self._many_at, -1)
        fresh = np.zeros(more, ROW)
        fresh["applied"] = -1
        self.rows = np.concatenate([self.rows, fresh])
        self.habits.grow(more)
        self._free, self._top = _stack(self._free, self._top, size, more)

    def _reserve_many(self, more: int) -> None:
        if self._top_many < more:
            size = self._many.shape[0]
            add = max(more, size // 8)
            self._many = np.concatenate([self._many, np.zeros((add, self._ring), np.uint32)])
            self._free_many, self._top_many = _stack(self._free_many, self._top_many, size, add)

    def take(self, at: Any, time: Any, events: Events, ttl_ms: int) -> Any:
        """Take in events of the rows ``at``, in order, at their effective times; returns `TAKEN`."""
        self._reserve_many(at.size)
        taken = np.zeros(at.size, TAKEN)
        self._top_many = take(
            self.rows, self._few, self._many, self._many_at, self._free_many, self._top_many, self.dirty_at, at,
            events.offset, time, events.rows, ttl_ms, self._ring, taken,
        )  # fmt: skip
        return taken

    def unseen_since(self, oldest_ms: int) -> list[int]:
        """Rows of accounts last seen before a time."""
        return np.flatnonzero((self.rows["count"] > 0) & (self.rows["last_time"] < oldest_ms)).tolist()

    def least(self, n: int) -> list[int]:
        """Rows of the ``n`` accounts that are the least loss: by the order of magnitude of their exchanges, then age.

        Whoever floods a partition with new ids pushes out his own ids first, and no account that has its models.
        """
        rows = np.flatnonzero(self.rows["count"])
        magnitude = np.minimum(np.frexp(self.rows["count"][rows])[1], 4)
        found: list[int] = rows[np.lexsort((self.rows["last_time"][rows], magnitude))[:n]].tolist()
        return found

    def remove(self, rows: list[int]) -> list[str]:
        """Let rows go; returns the accounts' names."""
        if not rows:
            return []
        names = [self.name(row) for row in rows]
        self.rows[rows] = np.zeros(1, ROW)[0]
        self.rows["applied"][rows], self.dirty_at[rows] = -1, -1
        for row in rows:
            self._long_names.pop(row, None)
        self.habits.remove(rows)
        many = self._many_at[rows]
        many = many[many >= 0]
        self._free_many[self._top_many : self._top_many + many.size] = many
        self._top_many += many.size
        self._many_at[rows] = -1
        self._free[self._top : self._top + len(rows)] = rows
        self._top += len(rows)
        self._rebuild(self._index.size)
        return names

    def knows(self, name: str) -> bool:
        """Tell whether an account has a row."""
        return bool(_lookup(self._index, self.hashes, np.uint64(hash64(name.encode()))) >= 0)

    def dump(self, row: int) -> tuple[bytes, bytes]:
        """A row and the ids of its last events."""
        ids = self._few[row] if self._many_at[row] < 0 else self._many[self._many_at[row]]
        return self.rows[row].tobytes(), ids[: min(int(self.rows["count"][row]), self._ring)].tobytes()

    def load(self, name: str, row_bytes: bytes, ids_bytes: bytes) -> int:
        """Take over what `dump` gave; raises `StateError` if it does not fit."""
        ids = np.frombuffer(ids_bytes, np.uint32)
        if len(row_bytes) != ROW.itemsize:
            raise StateError(f"an account takes {ROW.itemsize} bytes, its state record has {len(row_bytes)}")
        self._reserve(1)
        self._top -= 1
        at = int(self._free[self._top])
        self.hashes[at] = hash64(name.encode())
        _index(self._index, self.hashes, np.array([at]))
        text = name.encode()
        if len(text) > NAME_BYTES:
            self._names[at, 0], self._long_names[at] = LONG, text
        else:
            self._names[at, : len(text) + 1] = [len(text), *text]
        self.rows[at] = np.frombuffer(row_bytes, ROW)[0]
        if ids.size != min(int(self.rows["count"][at]), self._ring):
            ids = ids[:0]  # another number of ids was remembered: none of them is where it should be
        if ids.size > self._few.shape[1]:
            self._reserve_many(1)
            self._top_many -= 1
            self._many_at[at] = self._free_many[self._top_many]
            self._many[self._many_at[at], : ids.size] = ids
        else:
            self._few[at, : ids.size] = ids
        return at
