"""One stage of a worker: its Faust app around its operators, with checkpoints, restores and the clockwork."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import structlog
from faust.types import TP

from streams.config import Settings
from streams.errors import BrokerError, StateError, StillwatchError
from streams.runtime.batches import Handover
from streams.runtime.checkpoint import StateWriter, group_metadata
from streams.runtime.faust_app import faust_app
from streams.runtime.host import Capture, OperatorFactory, StageHost
from streams.runtime.producer import Outputs
from streams.runtime.progress import Progress
from streams.runtime.restore import misfit, restore
from streams.runtime.shutdown import fail
from streams.runtime.stats import StageStats
from streams.runtime.transport import Consumer

DELIVERY_DEADLINE_S = 60.0  # longer than the producer's own limit, which ends the process with a better message
REVOKE_SHARE = 0.6  # of the session timeout: without heartbeats, the broker waits no longer for us
CAPTURE_SHARE = 0.01  # of the time: at full speed a snapshot costs as much as an event, and most accounts are busy
CAPTURE_SHARE_BEHIND = 0.1  # while changes are left over, which a crash would have to repeat from farther and farther
LONGEST_PAUSE_S = 10.0  # a crash repeats at most so much input at full speed: well within a minute's restart

log = structlog.get_logger("stillwatch.stage")


def pause_s(capture_s: float, more: bool) -> float:
    """Return how long to work on after a checkpoint that held processing up for ``capture_s``.

    ``more`` says that it had to leave changes for the next one.
    """
    return min(capture_s / (CAPTURE_SHARE_BEHIND if more else CAPTURE_SHARE), LONGEST_PAUSE_S)


class Stage:
    """One stage: the hooks of its consumer, its operators and the state of both."""

    def __init__(
        self,
        stage: str,
        settings: Settings,
        make_operator: OperatorFactory,
        outputs: Outputs,
        topic: str,
        instance: str,
        static: bool,
        limits: Mapping[int, int] | None,
    ) -> None:
        """``instance`` names this process; ``static`` makes it a static group member of that name."""
        self.stage = stage
        self.topic = topic
        self.group = f"{settings.kafka.group_prefix}-{stage}"
        self.stats = StageStats(stage, topic)
        self.host = StageHost(stage, outputs, self.stats, fail, limits)
        self._limits = limits or {}
        self.app = faust_app(settings, self.group, instance if static else None, self, self._on_batch)
        self.interval_s = float(
            settings.state.campaigns_interval_s if stage == "campaigns" else settings.state.interval_s
        )
        self._settings = settings
        self._make_operator = make_operator
        self._outputs = outputs
        self._instance = instance if static else None
        self._writer = StateWriter(settings, stage, topic, self.group, instance)
        # one thread: a write that outlives its waiter is still before the next one
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{stage}-state")
        self._checkpointing = asyncio.Lock()
        self._due = 0.0  # monotonic: no checkpoint by the timer before
        self._assignments = 0
        self.before_fetch: Callable[[Stage], None] | None = None  # may hold partitions back
        self.app.on_rebalance_complete.connect(self._on_assigned)
        self.app.timer(self.interval_s, name=f"{stage} checkpoint")(self._on_timer)

    def open(self) -> None:
        """Connect the writer of checkpoints while the group is joined; a restore comes after it in the same thread."""
        self._thread.submit(self._open)

    def _open(self) -> None:
        try:
            self._writer.open()
        except BrokerError as error:
            fail(f"{self.stage}: {error}", error.exit_code)

    @property
    def consumer(self) -> Consumer:
        """This stage's consumer; Faust makes it at the start."""
        return cast(Consumer, self.app.consumer)

    def _on_batch(self, handover: Handover) -> Any:
        if handover.batch.offsets[0] != handover.follows and handover.batch.partition in self.host.operators:
            return self._after_a_gap(handover)
        self.host.on_batch(handover)
        return self._outputs.room() if self._outputs.full() else None

    async def _after_a_gap(self, handover: Handover) -> None:
        """Take in a batch after offsets without records, unless aiokafka has passed records over or gone back.

        It goes on at the start of the log when the broker no longer has the offset that it asks for.
        """
        assignment, tp = self._assignments, TP(self.topic, handover.batch.partition)
        low = (await self.consumer.earliest_offsets(tp)).get(tp, 0)
        if assignment != self._assignments:
            return  # read again by whoever has the partition now
        if wrong := misfit(tp, handover.follows, low, handover.batch.offsets[0]):
            fail(f"{self.stage}: {wrong}", StateError.exit_code)
        self.host.on_batch(handover)
        if self._outputs.full():
            await self._outputs.room()

    # Checkpoints

    async def _on_timer(self, *_: Any) -> None:
        if self.host.closed:
            return  # the last one is written; one under way while the group is left would be refused
        if self.stats.ready and not self._checkpointing.locked() and time.monotonic() >= self._due:
            await self.checkpoint()

    async def checkpoint(self, complete: bool = False) -> None:
        """Write what changed, with ``complete`` until nothing is left; a failure ends the process."""
        async with self._checkpointing:
            while True:
                self.end_inputs()  # so that who commits the end of its input has told the stages below
                started = time.perf_counter()
                generation, member = self.consumer.group_member()
                if generation < 0 or not member:  # put out of the group; the broker would not check such offsets
                    log.warning("not a member of the group; its input is read again", stage=self.stage)
                    return
                capture = self.host.capture(self._max_keys(complete))
                if capture is None:
                    return
                self.stats.checkpoint_capture_s = time.perf_counter() - started
                self._due = time.monotonic() + pause_s(self.stats.checkpoint_capture_s, capture.more)
                metadata = group_metadata(self.group, generation, member, self._instance)
                await self._outputs.settle()
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, capture, metadata, started)
                if not (complete and capture.more):
                    return

    def _max_keys(self, complete: bool) -> int | None:
        if complete or self.stage == "campaigns":
            return None
        return max(1, self._settings.state.max_keys // max(1, len(self.host.operators)))

    def _write(self, capture: Capture, metadata: bytes, started: float) -> None:
        stats = self.stats
        try:
            if not capture.deliveries.wait(DELIVERY_DEADLINE_S):
                fail(f"{self.stage}: output was not delivered within {DELIVERY_DEADLINE_S:.0f} s.")
            written = self._writer.write(capture.parts, metadata)
        except BaseException as error:  # whatever it is: memory is ahead of what is stored
            fail(f"{self.stage}: {error}")
        stats.checkpoint_s = time.perf_counter() - started
        stats.checkpoint_total_s += stats.checkpoint_s
        stats.checkpoint_bytes, stats.checkpoint_keys = written.bytes, written.keys
        stats.checkpoint_total_bytes += written.bytes
        stats.checkpoint_total_keys += written.keys
        stats.checkpoint_at = time.time()
        stats.checkpoints += 1

    # Partitions come and go

    def next_offsets(self) -> Mapping[int, int]:
        """See `transport.Hooks`."""
        return self.host.next_offset

    def on_fetch(self) -> None:
        """See `transport.Hooks`."""
        if self.before_fetch is not None and self.stats.ready:
            self.before_fetch(self)

    async def before_revoke(self) -> None:
        """See `transport.Hooks`."""
        self._assignments += 1
        self.stats.ready = False
        if self.host.operators:
            self.stats.rebalances += 1
            last = self.checkpoint(complete=self.stage == "campaigns")
            try:
                await asyncio.wait_for(asyncio.shield(last), REVOKE_SHARE * self._settings.kafka.session_timeout_s)
            except TimeoutError:
                log.warning("a rebalance could not wait for the checkpoint; its input is read again", stage=self.stage)
        self.host.clear()

    async def _on_assigned(self, *_: Any, **__: Any) -> None:
        assignment = self._assignments
        partitions = sorted(tp.partition for tp in self.consumer.assignment() if tp.topic == self.topic)
        started = time.perf_counter()
        self.host.clear()
        try:
            restored = await asyncio.get_running_loop().run_in_executor(
                self._thread,
                restore,
                self._settings,
                self.group,
                self.topic,
                lambda partition: self._make_operator(self.stage, self._settings, partition),
                self.stage,
                partitions,
            )
        except StillwatchError as error:
            fail(f"{self.stage}: {error}", error.exit_code)
        except Exception as error:
            log.exception("restore failed", stage=self.stage)
            fail(f"{self.stage}: the state cannot be restored: {error!r}.")
        if assignment != self._assignments:
            return  # outdated: the next assignment is on its way
        self.host.install(restored)
        self.stats.recovery_s = time.perf_counter() - started
        self.stats.recovery_total_s += self.stats.recovery_s
        self.stats.checkpoint_at = time.time()
        self.stats.ready = True
        log.info(
            "partitions assigned",
            stage=self.stage,
            partitions=partitions,
            keys=self.stats.recovered_keys,
            seconds=round(self.stats.recovery_s, 3),
        )

    # The clockwork, a few times a second

    def done_to(self, partition: int) -> int:
        """Return the offset below which nothing of a partition is left to process."""
        return self.consumer.done_to(TP(self.topic, partition), self.host.next_offset[partition])

    def measure(self) -> None:
        """Bring the lag up to date; a partition counts once its end is known."""
        lags = {partition: self._lag(partition) for partition in self.host.operators}
        self.stats.lag = {partition: lag for partition, lag in lags.items() if lag is not None}
        self.stats.mirror(time.monotonic())

    def _lag(self, partition: int) -> int | None:
        end = self.consumer.stable_end(TP(self.topic, partition))
        return None if end is None else max(0, min(end, self._limits.get(partition, end)) - self.done_to(partition))

    def end_inputs(self) -> None:
        """Tell the operators whose input is worked through (--drain)."""
        for partition in list(self.host.operators):
            self.host.end_input(partition, self.done_to(partition))

    async def check_ends(self) -> None:
        """End the process if a log ends before what was read of it, which aiokafka and Faust pass over in silence."""
        for partition in list(self.host.operators):
            tp, assignment = TP(self.topic, partition), self._assignments
            end = self.consumer.stable_end(tp)
            if end is None or end >= self.host.next_offset[partition]:
                continue
            end = (await self.consumer.highwaters(tp)).get(tp)  # a new leader may tell less with its records at first
            if end is None or assignment != self._assignments:
                continue
            if wrong := misfit(tp, self.host.next_offset[partition], 0, end):
                fail(f"{self.stage}: {wrong}", StateError.exit_code)

    async def declare_idle(self, after_s: float) -> None:
        """Tell the operators whose input has paused for so long, after asking the broker where it ends."""
        for partition in [each for each in self.host.operators if self.host.quiet_s(each) >= after_s]:
            tp = TP(self.topic, partition)
            end = (await self.consumer.highwaters(tp)).get(tp)
            if end is None or partition not in self.host.operators or self.host.quiet_s(partition) < after_s:
                continue  # meanwhile it moved away, or on
            if self.done_to(partition) >= end:
                self.host.declare_idle(partition)

    def progress(self) -> dict[int, Progress]:
        """Return how far each partition is in event time."""
        found = {}
        for partition, operator in self.host.operators.items():
            watermark_ms = operator.gauges().get(("watermark_ms",))
            empty = watermark_ms is None and self._lag(partition) == 0
            found[partition] = Progress(watermark_ms, empty or self.host.nothing_comes(partition))
        return found

    def hold(self, partitions: frozenset[int]) -> None:
        """Fetch nothing more of these partitions until the next call."""
        self.stats.held = partitions
        self.consumer.held = frozenset(TP(self.topic, partition) for partition in partitions)

    async def finish(self, complete: bool) -> None:
        """Take in nothing more and write a last checkpoint."""
        self.end_inputs()
        self.host.closed = True
        if self.stats.ready:
            await self.checkpoint(complete)
        else:
            async with self._checkpointing:  # a rebalance is writing it
                pass
