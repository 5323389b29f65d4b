"""Faust's aiokafka transport, with four differences.

Batches instead of records; offsets are committed by checkpoints alone; the consumer starts where the restored state
ends; partitions can be held back without losing what was fetched. What is overridden is pinned by contract tests.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, cast

from aiokafka.consumer import fetcher
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.runtime.batches import Handover
from streams.runtime.blocks import FetchResult, PartitionRecords, RecordBatches

# The broker answers a fetch once it has so much, or after so long. Measured against a single byte: 82-99k events/s for
# 57-62k, 5 % less CPU, and up to 50 ms more a hop, which is little beside the lateness. (Faust waits up to 1.5 s.)
FETCH_MIN_BYTES = 65_536
FETCH_MAX_WAIT_MS = 50
IDLE_POLL_S = 0.25  # Faust has 1.0; a seek waits for the poll under way
HELD_POLL_S = 0.1  # a poll that leaves partitions out cannot see that they are let go


# its fetcher takes no other way
fetcher.MemoryRecords, fetcher.PartitionRecords, fetcher.FetchResult = RecordBatches, PartitionRecords, FetchResult


class Hooks(Protocol):
    """What the consumer asks of the stage it feeds."""

    topic: str

    async def before_revoke(self) -> None:
        """Take a last checkpoint while the partitions are still ours; must return before the session ends."""

    def on_fetch(self) -> None:
        """Bring the consumer's `held` up to date; called before each fetch: only what is in flight runs ahead."""

    def next_offsets(self) -> Mapping[int, int]:
        """Return, for each partition that is restored, the next offset its operator needs."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around aiokafka, with larger fetches and without records of aborted transactions."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_min_bytes = FETCH_MIN_BYTES
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        consumer._isolation_level = "read_committed"
        return consumer


class Consumer(driver.Consumer):
    """Faust's consumer for one stage."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hooks: Hooks = cast(Transport, self.transport).hooks
        self.held: frozenset[TP] = frozenset()  # partitions that are not fetched for now
        self._fetching = asyncio.Lock()  # no seek while a fetch is on its way, or its records could not be told apart
        self._seeks = 0
        self._round = 0  # the seek that the records now being handed over came after
        self._fetched: dict[TP, int] = {}  # next offset after the last record fetched since the last seek
        self._follows: dict[TP, int | None] = {}  # next offset after the last record before the chunk to come
        self._reached: dict[TP, int] = {}  # positions, which pass offsets without records (ends of transactions)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        async with self._fetching:
            self.hooks.on_fetch()
            self._reached = self._positions()
            records = await self._fetch(active_partitions, min(timeout, IDLE_POLL_S))
            self._round = self._seeks
            for tp, found in records.items():
                self._follows[tp] = self._fetched.get(tp)
                if tp in self._fetched:  # else it was revoked, or not sought yet: its records are nobody's
                    self._fetched[tp] = found[-1].offset + 1
            return records

    async def _fetch(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        if not (self.held and active_partitions):
            return await super()._getmany(active_partitions, timeout)
        # Not Faust's pause_partitions: it drops what is already fetched of them. The set given here is a copy.
        if free := active_partitions - self.held:
            return await super()._getmany(free, min(timeout, HELD_POLL_S))
        await self.sleep(HELD_POLL_S)
        return {}

    def _to_message(self, tp: TP, record: Any) -> Any:
        follows = self._follows.get(tp)
        if self._round == self._seeks and follows is not None:  # else it was fetched before the seek: read again
            record.value = Handover(record.batch, follows)
            self._follows[tp] = record.offset + 1
        return super()._to_message(tp, record)

    def _positions(self) -> dict[TP, int]:
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return {}
        states = {tp: assignment.state_value(tp) for tp in assignment.tps}
        return {tp: state.position for tp, state in states.items() if state.has_valid_position}

    def done_to(self, tp: TP, next_offset: int) -> int:
        """Return the offset below which nothing of a partition is left to process, given its operator's next one.

        This passes offsets without records, which an operator never sees.
        """
        if self._fetched.get(tp) != next_offset:
            return next_offset  # a chunk is still on its way
        return max(next_offset, self._reached.get(tp, 0))

    def stable_end(self, tp: TP) -> int | None:
        """Return the end of what can be read of an assigned partition, as of the last fetch; None before the first."""
        try:
            end = self._thread._ensure_consumer().last_stable_offset(tp)
        except AssertionError:  # aiokafka's way to say that it is no longer assigned
            return None
        return None if end is None or end < 0 else end

    def group_member(self) -> tuple[int, str]:
        """Return our generation of the group and our member id."""
        coordinator = self._thread._ensure_consumer()._coordinator
        return coordinator.generation, coordinator.member_id

    async def perform_seek(self) -> None:
        """Go to the offsets that the restored operators need, not to the committed ones."""
        async with self._fetching:
            offsets = {TP(self.hooks.topic, each): offset for each, offset in self.hooks.next_offsets().items()}
            if not offsets:
                return  # called in the midst of a rebalance: called again at its end
            seek = self._forget_fetched()
            try:
                await self.seek_wait(offsets)
            except IllegalStateError:
                self.log.info("Partitions moved away while seeking; the next assignment seeks again.")
                return
            if seek != self._seeks:
                return  # they were revoked meanwhile
            self._fetched = dict(offsets)
            self._read_offset.update({tp: offset or None for tp, offset in offsets.items()})

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Take the last checkpoint before Faust lets the partitions go; batches still queued are skipped.

        So are those that come before the next seek: a recovery that ends late lets Faust fetch on from the committed
        offsets, which are not where the operators will be.
        """
        self.app.flow_control.suspend()
        await self.hooks.before_revoke()
        self._forget_fetched()
        await super().on_partitions_revoked(revoked)

    def _forget_fetched(self) -> int:
        """Hand nothing over that was fetched so far; returns the number of this seek."""
        self._seeks += 1
        self._fetched, self._reached = {}, {}
        return self._seeks


class Transport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer = Consumer

    def __init__(self, url: Any, app: Any, hooks: Hooks, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(url, app, loop)
        self.hooks = hooks
