"""Ticks of event time: wait for every source, then act on what a tick holds, in one order.

Tokens and campaigns use this. The result does not depend on how records of different sources interleave, how they were
cut, or how often a sender repeated them.
"""

from typing import Any

import numpy as np
from msgspec import Struct

from streams.contracts.packets import ENDED, NO_TIME, RUNNING, Column
from streams.rows import joined


class Source(Struct, array_like=True):
    """What is known of one sender: how far it is, and the highest item taken from it."""

    watermark: int = NO_TIME
    last_time: int = NO_TIME
    status: int = RUNNING
    seen: int = -1


class _Entry(Struct):
    """An input record with items still to be acted on, and the state of the sources before it came."""

    offset: int
    source: int
    columns: list[Column]
    last: list[int]  # largest time in each
    before: list[tuple[int, int, int, int]]


class Position(Struct, array_like=True):
    """Where a restored buffer goes on: part of a stage's marker."""

    offset: int  # next input record to read
    done: int  # end of the last tick acted on, ms
    sources: list[tuple[int, int, int, int]]  # before the record at `offset`
    applied: list[int]  # highest item per source at the time of the snapshot


class TickBuffer:
    """Hold items of several sources until the watermarks of all of them have passed.

    ``columns`` names how many kinds of item a record may carry (a structured array each, with fields offset and time).
    An item at or below the highest one seen of its source is a repeat and dropped. An item of a tick that is already
    over can only come from a source that was declared idle: it is moved into the next tick and counted in ``forced``.
    """

    def __init__(self, sources: int, tick_ms: int) -> None:
        self.tick_ms = tick_ms
        self.sources = [Source() for _ in range(sources)]
        self.done = NO_TIME
        self.next_offset = 0
        self.repeated = 0
        self.forced = 0
        self._entries: list[_Entry] = []
        self._restored = [-1] * sources  # items up to here of ticks up to `done` are in the restored state

    def __len__(self) -> int:
        return sum(column.size for entry in self._entries for column in entry.columns)

    def add(
        self, offset: int, source: int, watermark: int, last_time: int, status: int, columns: list[Column]
    ) -> list[Any]:
        """Take in one record; return for each column the mask of items that are new (None: all of them)."""
        state = self.sources[source]
        before = [(s.watermark, s.last_time, s.status, s.seen) for s in self.sources] if columns else []
        kept, masks, highest = [], [], state.seen
        for column in columns:
            mask = None
            if column.size:
                offsets = column["offset"]
                highest = max(highest, int(offsets[-1]))
                if int(offsets[0]) <= state.seen:
                    mask = offsets > state.seen
                    self.repeated += int(column.size - np.count_nonzero(mask))
                times = column["time"]
                if int(times.min()) <= self.done:
                    old = times <= self.done
                    applied = old & (offsets <= self._restored[source])
                    mask = ~applied if mask is None else mask & ~applied
                    old &= ~applied
                    column = column.copy()
                    column["time"][old] = self.done + 1
                    self.forced += int(np.count_nonzero(old if mask is None else old & mask))
                if mask is not None:
                    column = column.compress(mask)
            masks.append(mask)
            kept.append(column)
        if any(column.size for column in kept):
            last = [int(column["time"].max()) if column.size else NO_TIME for column in kept]
            self._entries.append(_Entry(offset, source, kept, last, before))
        state.seen = highest
        state.status = status
        state.watermark = max(state.watermark, watermark)
        state.last_time = max(state.last_time, last_time)
        self.next_offset = offset + 1
        return masks

    @property
    def ended(self) -> bool:
        """Every source has declared the end of its input."""
        return all(source.status == ENDED for source in self.sources)

    @property
    def quiet(self) -> bool:
        """No source is running: each is idle or has ended."""
        return all(source.status != RUNNING for source in self.sources)

    def due(self) -> int | None:
        """End of the last tick that may be acted on, ms; None if there is no new one."""
        if self.quiet:
            last = max(source.last_time for source in self.sources)
            end = -(-last // self.tick_ms) * self.tick_ms if last != NO_TIME else NO_TIME
        else:
            watermark = min(source.watermark for source in self.sources if source.status == RUNNING)
            end = (watermark - 1) // self.tick_ms * self.tick_ms if watermark != NO_TIME else NO_TIME
        return end if end > self.done else None

    def take(self, until: int) -> list[Column]:
        """Remove and return the items up to ``until`` (a column each, unsorted); they count as acted on."""
        taken: list[list[Column]] = []
        left = []
        for entry in self._entries:
            while len(taken) < len(entry.columns):
                taken.append([])
            for i, (column, last) in enumerate(zip(entry.columns, entry.last, strict=True)):
                if last <= until:
                    taken[i].append(column)
                    entry.columns[i] = column[:0]
                else:
                    mask = column["time"] <= until
                    taken[i].append(column.compress(mask))
                    entry.columns[i] = column.compress(~mask)
            if max(entry.last) > until:
                left.append(entry)
        self._entries = left
        self.done = until
        return [joined(parts) for parts in taken]

    def position(self) -> Position:
        """Where a restore goes on: at the oldest record that still has items to be acted on."""
        # what was restored holds items beyond those read again so far
        applied = [max(source.seen, old) for source, old in zip(self.sources, self._restored, strict=True)]
        if self._entries:
            first = self._entries[0]
            return Position(first.offset, self.done, first.before, applied)
        now = [(s.watermark, s.last_time, s.status, s.seen) for s in self.sources]
        return Position(self.next_offset, self.done, now, applied)

    def restore(self, position: Position) -> None:
        """Go on from ``position``; the number of sources may only have grown."""
        for i, (watermark, last_time, status, seen) in enumerate(position.sources[: len(self.sources)]):
            self.sources[i] = Source(watermark, last_time, status, seen)
        self.done, self.next_offset = position.done, position.offset
        self._restored[: len(position.applied)] = position.applied[: len(self.sources)]
