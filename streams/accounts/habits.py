"""What River knows of each account's habits: asked for all events of a batch at once, taught eight events at a time.

A River object costs little by itself; to visit six of them for one event of one of a million accounts costs cache
misses. So an account's last events wait in a column until there are eight, and what its models then say (means,
deviations, a median) is kept in a column as well, against which the next eight are scored. The eighth event of an
account teaches, wherever batches are cut.
"""

from typing import Any

import numpy as np

from streams.accounts.account import SURPRISE_MAX, AccountModels
from streams.accounts.features import LAYOUT
from streams.compiled import compiled, compiled_with_arrays

SKIPPED, DUPLICATE, ACCEPTED = range(3)  # what became of an event
TOGETHER = 8  # events that wait for each other

HABITS = np.dtype(
    [
        ("stated", "<f8", (5,)),  # what `AccountModels.stated` gave last
        ("waiting", "u1"),  # so many of the next
        ("events", "<u4", (3, TOGETHER)),  # gaps in ms, output and input tokens
    ]
)  # fmt: skip
_RATE_AT, _SIZE_AT, _INPUT_AT, _CHANGE_AT, _ESTABLISHED_AT = (
    np.uint64(LAYOUT[name][0])
    for name in ("rate_surprise", "size_surprise", "input_surprise", "rate_change", "established")
)
_INPUT_MAX = 3
_U32_MAX = 2**32 - 1


@compiled
def _deviations(distance: Any, deviation: Any) -> Any:
    return np.uint64(min(np.float64(SURPRISE_MAX), distance / deviation)) if distance > 0.0 else np.uint64(0)


@compiled_with_arrays
def _learn(
    place: Any, habits: Any, free: Any, top: int, at: Any, events: Any, taken: Any, start: int, from_event: int,
    made: Any, full: Any, waited: Any, taught: int,
) -> Any:  # fmt: skip
    """Score events from ``start`` on and let them wait, up to one whose account has to be taught first.

    Of the places in ``full`` the first ``taught`` have been taught since. Returns where it stopped, the top of the
    stack of free places, and how many were made and are full.
    """
    for k in range(taught):
        habits[full[k, 0]].waiting = 0
    n_made, n_full = 0, 0
    for i in range(start, at.size):
        out, event, r = taken[i], events[i], at[i]
        if out.outcome != ACCEPTED:
            continue
        p = place[r]
        if p >= 0 and habits[p].waiting == TOGETHER:
            return i, top, n_made, n_full
        if out.fresh and p >= 0:
            place[r] = -1
            free[top] = p
            top += 1
            p = np.int32(-1)
        if out.count < from_event:
            continue
        out.bits |= np.uint64(1) << _ESTABLISHED_AT
        if p < 0:
            top -= 1
            p = free[top]
            place[r] = p
            made[n_made] = p
            n_made += 1
            own = habits[p]
            own.stated[:], own.waiting = np.nan, 0
            continue
        own = habits[p]
        gap_ms = min(max(out.gap_ms, np.int64(0)), np.int64(_U32_MAX))
        output, input_ = min(event.output, np.int64(_U32_MAX)), min(event.input, np.int64(_U32_MAX))
        gap, size = np.log2(gap_ms / 1000.0 + 0.25), np.log2(output + 1.0)
        above = np.log2(input_ + 1.0) - own.stated[4]
        out.bits |= _deviations(own.stated[0] - gap, own.stated[1]) << _RATE_AT
        out.bits |= _deviations(size - own.stated[2], own.stated[3]) << _SIZE_AT
        if above >= 2.0:
            out.bits |= np.uint64(min(np.float64(_INPUT_MAX), above / 2.0)) << _INPUT_AT
        w = own.waiting
        own.events[0, w], own.events[1, w], own.events[2, w] = gap_ms, output, input_
        own.waiting = w + 1
        if w + 1 == TOGETHER:
            full[n_full, 0], full[n_full, 1] = p, i
            waited[n_full] = own.events
            n_full += 1
    return at.size, top, n_made, n_full


class Habits:
    """River models of the accounts of a table, by row, from an account's ``from_event``-th exchange on."""

    def __init__(self, from_event: int) -> None:
        self._from_event = from_event
        self.place = np.zeros(0, np.int32)  # of a row, -1: none
        self._columns = np.zeros(0, HABITS)
        self._models: list[AccountModels | None] = []
        self._free = np.zeros(0, np.int32)  # a stack ...
        self._top = 0  # ... of so many

    def __len__(self) -> int:
        return len(self._models) - self._top

    @property
    def nbytes(self) -> int:
        """Size of the columns in bytes, without the models."""
        return self.place.nbytes + self._columns.nbytes + self._free.nbytes

    def grow(self, rows: int) -> None:
        """Make room for so many rows more."""
        self.place = np.concatenate([self.place, np.full(rows, -1, np.int32)])

    def _reserve(self, more: int) -> None:
        if self._top >= more:
            return
        size = self._columns.size
        add = max(more, size // 4)
        self._columns = np.concatenate([self._columns, np.zeros(add, HABITS)])
        self._models += [None] * add
        stack = np.zeros(size + add, np.int32)
        stack[: self._top] = self._free[: self._top]
        stack[self._top : self._top + add] = np.arange(size + add - 1, size - 1, -1)
        self._free, self._top = stack, self._top + add

    def learn(self, at: Any, events: Any, taken: Any) -> None:
        """Score the events of rows ``at`` against their accounts' pasts, learn them, and add to their ``bits``."""
        self._reserve(at.size)
        made, full = np.empty(at.size, np.int32), np.empty((at.size, 2), np.int64)
        waited = np.empty((at.size, 3, TOGETHER), np.int64)
        start = n_full = 0
        while start < at.size or n_full:
            start, self._top, n_made, n_full = _learn(
                self.place, self._columns, self._free, self._top, at, events, taken, start, self._from_event, made,
                full, waited, n_full,
            )  # fmt: skip
            for place in made[:n_made].tolist():
                self._models[place] = AccountModels()
            if n_full:
                self._teach(full[:n_full].tolist(), waited[:n_full].tolist(), taken)

    def _teach(self, full: list[list[int]], waited: list[list[list[int]]], taken: Any) -> None:
        """Teach what waited at places, each given with the event that completed it."""
        stated = self._columns["stated"]
        for (place, i), events in zip(full, waited, strict=True):
            model: Any = self._models[place]
            if model.learn(*events):
                taken["bits"][i] |= np.uint64(1) << _CHANGE_AT
            stated[place] = model.stated()

    def remove(self, rows: list[int]) -> None:
        """Forget what is known of rows."""
        places = self.place[rows]
        places = places[places >= 0]
        for place in places.tolist():
            self._models[place] = None
        self._free[self._top : self._top + places.size] = places
        self._top += places.size
        self.place[rows] = -1

    def dump(self, row: int) -> tuple[list[Any], bytes] | None:
        """Plain numbers of a row's models, and the events that wait."""
        place = int(self.place[row])
        if place < 0:
            return None
        model: Any = self._models[place]
        own = self._columns[place]
        waiting = int(own["waiting"])
        return model.dump(), own["events"][:, :waiting].tobytes()

    def load(self, row: int, dumps: list[Any], waiting_bytes: bytes) -> None:
        """Take over what `dump` gave; raises `StateError` or ValueError if it does not fit."""
        waiting = np.frombuffer(waiting_bytes, np.uint32).reshape(3, -1)
        if waiting.shape[1] >= TOGETHER:
            raise ValueError(f"{waiting.shape[1]} events wait, {TOGETHER - 1} at most may")
        self._reserve(1)
        self._top -= 1
        place = int(self._free[self._top])
        self.place[row] = place
        model = self._models[place] = AccountModels.load(dumps)
        own = self._columns[place]
        own["stated"], own["waiting"] = model.stated(), waiting.shape[1]
        own["events"][:, : waiting.shape[1]] = waiting
