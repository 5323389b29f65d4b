"""Run the operators of one stage over their partitions: batches in, records out, checkpoints in between.

Knows no Faust and no broker. Everything here is called by the event loop's thread and never waits, so that a rebalance
finds each batch either taken in whole or not at all.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streams.config import Settings
from streams.operator import ALERTS, DEAD_LETTERS, Batch, Operator, Record
from streams.runtime.batches import Handover
from streams.runtime.checkpoint import Part
from streams.runtime.histogram import alert_latency_s
from streams.runtime.producer import Deliveries, Outputs
from streams.runtime.restore import Restored
from streams.runtime.stats import StageStats

OperatorFactory = Callable[[str, Settings, int], Operator]


class Capture(NamedTuple):
    """What one checkpoint writes, and the output that must be delivered before."""

    parts: list[Part]
    deliveries: Deliveries
    more: bool


class StageHost:
    """The operators of one stage in this process, by input partition."""

    def __init__(
        self,
        stage: str,
        outputs: Outputs,
        stats: StageStats,
        fail: Callable[[str], Any],
        limits: Mapping[int, int] | None = None,
    ) -> None:
        """``limits``: where the input ends, by partition (--drain); None means that it goes on."""
        self.stage = stage
        self.stats = stats
        self.operators: dict[int, Operator] = {}
        self.next_offset: dict[int, int] = {}
        self.closed = False  # nothing more is taken in
        self._outputs = outputs
        self._fail = fail
        self._limits = limits
        self._ended: set[int] = set()
        self._idle: set[int] = set()
        self._moved_at: dict[int, float] = {}  # monotonic: when a partition's offset last changed
        self._deliveries = Deliveries(fail)

    def install(self, restored: Mapping[int, Restored]) -> None:
        """Begin with these operators, all that is assigned."""
        now = time.monotonic()
        self.clear()
        self.operators = {partition: each.operator for partition, each in restored.items()}
        self.next_offset = {partition: each.next_offset for partition, each in restored.items()}
        self._moved_at = dict.fromkeys(restored, now)
        self.stats.operators = dict(self.operators)
        self.stats.assigned = tuple(sorted(restored))
        self.stats.recovered_keys = sum(each.keys for each in restored.values())

    def clear(self) -> None:
        """Forget everything: the partitions may belong to somebody else from now on."""
        self.operators, self.next_offset = {}, {}
        self._ended.clear()
        self._idle.clear()
        self.stats.retire()
        self.stats.assigned, self.stats.lag, self.stats.held = (), {}, frozenset()

    def on_batch(self, handover: Handover) -> None:
        """Take in one batch and send what follows from it."""
        batch, follows = handover
        partition = batch.partition
        expected = self.next_offset.get(partition)
        limit = self._limits[partition] if self._limits is not None else None
        if expected is None or self.closed or (limit is not None and limit <= expected):
            self.stats.skipped += 1
            return  # read again by whoever has the partition next
        if follows > expected:
            self._fail(
                f"{self.stage}: records {expected} to {follows - 1} of partition {partition} were lost in Faust."
            )
        started = time.perf_counter()
        after = batch.offsets[-1] + 1 if limit is None else min(batch.offsets[-1] + 1, limit)
        batch = _cut(batch, expected, limit)
        if not batch.offsets:
            self.stats.skipped += 1
            self.next_offset[partition] = max(expected, after)  # the last offsets before a limit may have no records
            return
        self.stats.batch_began = time.monotonic()
        try:
            self.emit(self.operators[partition].on_batch(batch))
        finally:
            self.stats.batch_began = 0.0
        self.next_offset[partition] = after
        self._moved_at[partition] = time.monotonic()
        self._idle.discard(partition)
        stats, size = self.stats, len(batch.offsets)
        stats.batches += 1
        stats.records += size
        stats.largest_batch = max(stats.largest_batch, size)
        stats.last_batch_at = time.time()
        elapsed = time.perf_counter() - started
        stats.processing_s += elapsed
        stats.processing.observe(elapsed)

    def emit(self, records: list[Record]) -> None:
        """Send an operator's records and count them."""
        if not records:
            return
        self._outputs.send(records, self._deliveries)
        stats = self.stats
        stats.produced += len(records)
        for record in records:
            stats.produced_bytes += len(record.value)
            if record.role == DEAD_LETTERS:
                stats.dead_letters += 1
            elif record.role == ALERTS and (latency := alert_latency_s(record.headers, time.time())) is not None:
                stats.alert_latency.observe(latency)

    def end_input(self, partition: int, done_to: int) -> None:
        """Tell the operator that its input has ended, once everything below its limit is done (--drain, accounts)."""
        if self._limits is None or self.closed or partition in self._ended or done_to < self._limits[partition]:
            return
        self._ended.add(partition)
        operator = self.operators[partition]
        if not operator.finished:  # a restored one may have been told before
            self.emit(operator.on_end())

    def declare_idle(self, partition: int) -> None:
        """Tell the operator, once until its next record, that its input has paused."""
        if partition not in self._idle and not self.closed:
            self._idle.add(partition)
            self.stats.idle_declared += 1
            self.emit(self.operators[partition].on_idle())

    def quiet_s(self, partition: int) -> float:
        """Seconds since the last record of a partition; 0 if it has been declared idle already."""
        return 0.0 if partition in self._idle else time.monotonic() - self._moved_at[partition]

    def nothing_comes(self, partition: int) -> bool:
        """Tell whether the stages below have been told not to wait for a partition."""
        return partition in self._idle or partition in self._ended or self.operators[partition].finished

    def finished(self) -> bool:
        """Tell whether every partition here is done; True if there is none."""
        return all(operator.finished for operator in self.operators.values())

    def capture(self, max_keys: int | None) -> Capture | None:
        """Take a checkpoint of each partition; None if nothing changed. The caller must write it or end the process."""
        parts = []
        for partition, operator in self.operators.items():
            checkpoint = operator.checkpoint(max_keys)
            if checkpoint is not None:
                parts.append(Part(partition, checkpoint))
        if not parts:
            return None
        deliveries, self._deliveries = self._deliveries, Deliveries(self._fail)
        return Capture(parts, deliveries, any(part.checkpoint.more for part in parts))


def _cut(batch: Batch, start: int, end: int | None) -> Batch:
    """Return the records of a batch from offset ``start`` on, and before ``end``."""
    offsets = batch.offsets
    first, last = 0, len(offsets)
    while first < last and offsets[first] < start:
        first += 1
    if end is not None:
        while last > first and offsets[last - 1] >= end:
            last -= 1
    if first == 0 and last == len(offsets):
        return batch
    return Batch(batch.partition, offsets[first:last], batch.keys[first:last], batch.values[first:last])
