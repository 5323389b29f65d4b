"""All accounts of a partition as rows: what goes event by event, compiled.

An account takes 160 bytes in the columns, 128 more from its 8th exchange on for the ids of its last events, and some
200 for its name; its River models come on top (`streams.accounts.account`).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from streams.contracts.hashing import hash64
from streams.errors import StateError

VISITS_MAX = 200  # visits
PLACES = 4  # how many of an account's networks and clients are counted: office, home, a server, a phone
USUAL_VISITS = 3  # a stolen key's probe and the start of its burst are two visits
VISIT_PAUSE_MS = 240_000
FEW_IDS = 8  # event ids that a row holds itself; most accounts never have more
SKIPPED, DUPLICATE, ACCEPTED = range(3)
USUAL = [("values", "<u8", (PLACES,)), ("visits", "u1", (PLACES,))]

ROW = np.dtype(
    [
        ("applied", "<i8"),  # offset of the last record that is part of this state
        ("last_time", "<i8"), ("org", "<u8"), ("mail", "<u8"), ("created_at", "<i8"), ("plan", "<u8"),
        # the two that most exchanges come from, with their votes
        ("network", USUAL), ("client", USUAL),
        ("count", "<u4"), ("misrouted", "u1"),
    ]
)  # fmt: skip


class Outcome(NamedTuple):
    """What became of each event of a batch, as columns."""

    outcome: Any  # SKIPPED, DUPLICATE or ACCEPTED
    count: Any  # the account's exchanges, this one included
    gap_ms: Any  # since the one before, -1: none
    bits: Any  # for what is not one of the account's usual networks or clients
    fresh: Any  # 1: the account was away for its lifetime and begins anew with this event
    introduced: Any  # 1: what the account says of itself is new; then the next three hold
    org: Any
    mail: Any
    created_at: Any


@njit(cache=True)
def _visit(usual: Any, value: Any) -> None:
    # Misra and Gries (1982), but what is new takes a visit from the least used place only, so passers-by cost no habit
    least = 0
    for j in range(PLACES):
        if usual.visits[j] > 0 and usual.values[j] == value:
            usual.visits[j] = min(VISITS_MAX, usual.visits[j] + 1)
            return
        if usual.visits[j] < usual.visits[least]:
            least = j
    if usual.visits[least] <= 1:
        usual.values[least], usual.visits[least] = value, 1
    else:
        usual.visits[least] -= 1


@njit(cache=True)
def _other(usual: Any, value: Any) -> bool:
    most, here = 0, 0
    for j in range(PLACES):
        most = max(most, usual.visits[j])
        if usual.values[j] == value:
            here = usual.visits[j]
    return here < min(most, USUAL_VISITS)


@njit(cache=True)
def _take(
    rows: Any, few: Any, many: Any, many_at: Any, free: Any, top: int, dirty: Any,
    at: Any, offset: Any, time: Any, digest: Any, network: Any, client: Any, mail: Any, org: Any, plan: Any,
    created: Any, ttl_ms: int, ring: int, outcome: Any, counts: Any, gaps: Any, bits: Any, fresh: Any, introduced: Any,
    orgs: Any, mails: Any, createds: Any, newly_dirty: Any,
) -> int:  # fmt: skip
    for i in range(at.size):
        r = at[i]
        row = rows[r]
        n: Any = np.int64(row.count)
        if n > 0 and time[i] - row.last_time > ttl_ms:
            fresh[i] = 1
            n = 0
            row.org, row.mail, row.created_at, row.plan = 0, 0, 0, 0
            row.network.visits[:] = 0
            row.client.visits[:] = 0
            row.last_time, row.applied = 0, -1
        elif offset[i] <= row.applied:
            continue
        ids = few[r] if many_at[r] < 0 else many[many_at[r]]
        known = False
        for j in range(min(n, ring)):
            if ids[j] == digest[i]:
                known = True
                break
        if known:
            outcome[i] = 1
            continue
        if n >= few.shape[1] and many_at[r] < 0 and ring > few.shape[1]:
            top -= 1
            many_at[r] = free[top]
            many[free[top], : few.shape[1]] = ids
            ids = many[free[top]]
        ids[n % ring] = digest[i]
        gap = np.int64(-1)
        if n > 0:
            gap = time[i] - row.last_time
            row.last_time = max(row.last_time, time[i])
        else:
            row.last_time = time[i]
        row.applied = offset[i]
        row.count = n + 1
        if dirty[r] < 0:
            dirty[r] = offset[i]
            newly_dirty[i] = 1
        if (
            n == 0
            or (org[i] != 0 and org[i] != row.org)
            or (mail[i] != 0 and mail[i] != row.mail)
            or (plan[i] != 0 and plan[i] != row.plan)
            or (created[i] != 0 and created[i] != row.created_at)
        ):
            introduced[i] = 1
            row.org = org[i] if org[i] != 0 else row.org
            row.mail = mail[i] if mail[i] != 0 else row.mail
            row.plan = plan[i] if plan[i] != 0 else row.plan
            row.created_at = created[i] if created[i] != 0 else row.created_at
            orgs[i], mails[i], createds[i] = row.org, row.mail, row.created_at
        # the first exchange of a visit has a vote: however long a burst from elsewhere goes on, it makes no habit
        visit = gap < 0 or gap >= VISIT_PAUSE_MS
        if network[i] != 0:
            if _other(row.network, network[i]):
                bits[i] |= np.uint64(1) << np.uint64(42)
            if visit:
                _visit(row.network, network[i])
        if client[i] != 0:
            if _other(row.client, client[i]):
                bits[i] |= np.uint64(1) << np.uint64(43)
            if visit:
                _visit(row.client, client[i])
        outcome[i], counts[i], gaps[i] = 2, n + 1, gap
    return top


class AccountTable:
    """Rows of accounts by name. A row that is let go is used again."""

    def __init__(self, ring: int) -> None:
        """``ring`` event ids of each account are remembered."""
        self._ring = ring
        self.index: dict[str, int] = {}
        self.names: list[str | None] = []
        self.hashes = np.zeros(0, np.uint64)
        self.rows = np.zeros(0, ROW)
        self.dirty_at = np.zeros(0, np.int64)  # offset that made a row dirty, -1: clean
        self._few = np.zeros((0, min(FEW_IDS, ring)), np.uint32)
        self._many = np.zeros((0, ring), np.uint32)
        self._many_at = np.zeros(0, np.int32)  # place of a row in the above, -1: none
        self._free: list[int] = []
        self._free_many = np.zeros(0, np.int32)  # a stack ...
        self._top = 0  # ... of so many

    def __len__(self) -> int:
        return len(self.index)

    @property
    def nbytes(self) -> int:
        """Size of the columns in bytes, without names."""
        columns = (self.hashes, self.rows, self.dirty_at, self._few, self._many, self._many_at, self._free_many)
        return sum(column.nbytes for column in columns)

    def find(self, names: Any) -> tuple[Any, list[int]]:
        """Rows of accounts; those not yet known get one, and are returned as well."""
        index = self.index
        found: list[int | None] = list(map(index.get, names))
        new: list[int] = []
        if None in found:
            for i, row in enumerate(found):
                if row is None:
                    name = names[i]
                    if (row := index.get(name)) is None:
                        row = self._insert(name)
                        new.append(row)
                    found[i] = row
        return np.array(found, np.int64), new

    def _insert(self, name: str) -> int:
        if not self._free:
            self._grow()
        row = self._free.pop()
        self.index[name] = row
        self.names[row] = name
        self.hashes[row] = hash64(name.encode())
        return row

    def _grow(self) -> None:
        size = self.rows.size
        more = max(256, size // 2)
        self.names += [None] * more
        self.hashes = np.concatenate([self.hashes, np.zeros(more, np.uint64)])
        fresh = np.zeros(more, ROW)
        fresh["applied"] = -1
        self.rows = np.concatenate([self.rows, fresh])
        self.dirty_at = np.concatenate([self.dirty_at, np.full(more, -1)])
        self._few = np.concatenate([self._few, np.zeros((more, self._few.shape[1]), np.uint32)])
        self._many_at = np.concatenate([self._many_at, np.full(more, -1, np.int32)])
        self._free += range(size + more - 1, size - 1, -1)

    def _reserve_many(self, more: int) -> None:
        if self._top >= more:
            return
        size = self._many.shape[0]
        add = max(more, size // 2)
        self._many = np.concatenate([self._many, np.zeros((add, self._ring), np.uint32)])
        stack = np.zeros(size + add, np.int32)
        stack[: self._top] = self._free_many[: self._top]
        stack[self._top : self._top + add] = np.arange(size + add - 1, size - 1, -1)
        self._free_many = stack
        self._top += add

    def take(self, at: Any, columns: tuple[Any, ...], ttl_ms: int) -> tuple[Outcome, Any]:
        """Take in events of the rows ``at``, in order.

        ``columns`` are offset, time, hash of the event's id, and tokens of network, client, mail domain, organisation
        and plan, and the creation time (0 where unknown). Also returns the mask of events that made a clean row dirty.
        """
        n = at.size
        self._reserve_many(n)
        found = Outcome(
            np.zeros(n, np.uint8), np.zeros(n, np.uint32), np.zeros(n, np.int64), np.zeros(n, np.uint64),
            np.zeros(n, np.uint8), np.zeros(n, np.uint8), np.zeros(n, np.uint64), np.zeros(n, np.uint64),
            np.zeros(n, np.int64),
        )  # fmt: skip
        newly_dirty = np.zeros(n, np.uint8)
        self._top = _take(
            self.rows, self._few, self._many, self._many_at, self._free_many, self._top, self.dirty_at, at, *columns,
            ttl_ms, self._ring, *found, newly_dirty,
        )  # fmt: skip
        return found, newly_dirty

    def unseen_since(self, oldest_ms: int) -> list[int]:
        """Rows of accounts last seen before a time."""
        return np.flatnonzero((self.rows["count"] > 0) & (self.rows["last_time"] < oldest_ms)).tolist()

    def remove(self, row: int) -> str:
        """Let a row go; returns the account's name."""
        name = self.names[row] or ""
        del self.index[name]
        self.names[row] = None
        self.rows[row] = np.zeros(1, ROW)[0]
        self.rows["applied"][row], self.dirty_at[row] = -1, -1
        if self._many_at[row] >= 0:
            self._free_many[self._top] = self._many_at[row]
            self._top += 1
            self._many_at[row] = -1
        self._free.append(row)
        return name

    def dump(self, row: int) -> tuple[bytes, bytes]:
        """A row and the ids of its last events."""
        ids = self._few[row] if self._many_at[row] < 0 else self._many[self._many_at[row]]
        return self.rows[row].tobytes(), ids[: min(int(self.rows["count"][row]), self._ring)].tobytes()

    def load(self, name: str, row_bytes: bytes, ids_bytes: bytes) -> int:
        """Take over what `dump` gave; raises `StateError` if it does not fit."""
        ids = np.frombuffer(ids_bytes, np.uint32)
        if len(row_bytes) != ROW.itemsize:
            raise StateError(f"an account takes {ROW.itemsize} bytes, its state record has {len(row_bytes)}")
        at = self._insert(name)
        self.rows[at] = np.frombuffer(row_bytes, ROW)[0]
        if ids.size != min(int(self.rows["count"][at]), self._ring):
            ids = ids[:0]  # another number of ids was remembered: none of them is where it should be
        if ids.size > self._few.shape[1]:
            self._reserve_many(1)
            self._top -= 1
            self._many_at[at] = self._free_many[self._top]
            self._many[self._many_at[at], : ids.size] = ids
        else:
            self._few[at, : ids.size] = ids
        return at
