"""Event time of one source partition: watermark, late events, and clocks that run far ahead."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from streams.config import Time
from streams.contracts.packets import NO_TIME

CONFIRM_EVENTS = 3  # so many in a row confirm a time far ahead if they come from two accounts or more
CONFIRM_EVENTS_ALONE = 10  # one account alone needs more


class PartitionClock:
    """Give each event its effective time, record by record, so that where batches are cut cannot matter.

    The watermark is the largest accepted event time minus the lateness. A late event gets the watermark as its
    effective time. An event more than ``far_ahead_ms`` ahead of the watermark moves it only once confirmed: by 3 events
    in a row of at least 2 accounts, or 10 in a row of one, all that far ahead; then the watermark jumps to the smallest
    of them. Until then its effective time is watermark + far_ahead_ms.

    Before there is a watermark, events wait (at most 9) in `begin` for the same confirmation: else one broken clock at
    a partition's start would stay in the buffers of the stages below for years.

    Cannot see: a producer whose clock is wrong by less than ``far_ahead_ms``.
    """

    __slots__ = ("_far_ms", "_lateness_ms", "far", "last_time", "late", "run", "watermark")

    def __init__(self, settings: Time) -> None:
        self._lateness_ms = settings.lateness_ms
        self._far_ms = settings.far_ahead_ms
        self.watermark = NO_TIME
        self.last_time = NO_TIME  # largest effective time so far
        self.run: list[tuple[int, int]] = []  # (account, time) of unconfirmed events, in a row
        self.late = 0
        self.far = 0

    def begin(self, time: int, account: int) -> bool:
        """Take in an event while there is no watermark; tell whether there is one now."""
        self.run.append((account, time))
        if self._confirmed(account):
            self.confirm()
        return self.watermark != NO_TIME

    def confirm(self) -> None:
        """Believe the waiting events: what the end of input, or of patience, means."""
        if self.run:
            self.watermark = max(self.watermark, min(time for _, time in self.run))
            self.run.clear()

    def effective(self, event: Any, accounts: Any) -> Any:
        """Take in events in order of offset (arrays of ms and account hashes) and return their effective times, ms."""
        if not event.size:
            return event
        before = np.empty_like(event)  # the watermark before each event, if none is far ahead
        before[0] = self.watermark
        np.maximum.accumulate(np.maximum(event[:-1] - self._lateness_ms, self.watermark), out=before[1:])
        if int((event - before).max()) > self._far_ms:
            return np.array(self._one_by_one(event.tolist(), accounts.tolist()), np.int64)
        self.run.clear()
        self.late += int(np.count_nonzero(event < before))
        self.watermark = max(int(before[-1]), int(event[-1]) - self._lateness_ms)
        effective = np.maximum(event, before)
        self.last_time = max(self.last_time, int(effective.max()))
        return effective

    def _one_by_one(self, times: Sequence[int], accounts: Sequence[int]) -> list[int]:
        watermark, lateness = self.watermark, self._lateness_ms
        limit = watermark + self._far_ms
        out = []
        for time, account in zip(times, accounts, strict=True):
            if time > limit:
                self.run.append((account, time))
                self.far += 1
                if self._confirmed(account):
                    self.confirm()
                    watermark = self.watermark
                    limit = watermark + self._far_ms
                time = min(time, limit)
            else:
                if self.run:
                    self.run.clear()
                if time < watermark:
                    self.late += 1
                    time = watermark
                elif time - lateness > watermark:
                    self.watermark = watermark = time - lateness
                    limit = watermark + self._far_ms
            if time > self.last_time:
                self.last_time = time
            out.append(time)
        return out

    def first_times(self, event: Any) -> Any:
        """Effective times of the events that `begin` held back."""
        limit = self.watermark + self._far_ms
        effective = np.minimum(event, limit)
        self.far += int(np.count_nonzero(event > limit))
        self.last_time = max(self.last_time, int(effective.max(initial=NO_TIME)))
        return effective

    def _confirmed(self, account: int) -> bool:
        run = self.run
        return len(run) >= CONFIRM_EVENTS_ALONE or (
            len(run) >= CONFIRM_EVENTS and any(other != account for other, _ in run)
        )

    def dump(self) -> tuple[int, int, list[tuple[int, int]]]:
        """State as plain numbers."""
        return self.watermark, self.last_time, list(self.run)

    def load(self, state: tuple[int, int, list[tuple[int, int]]]) -> None:
        """Take over what `dump` gave."""
        self.watermark, self.last_time, self.run = state[0], state[1], [(a, t) for a, t in state[2]]
