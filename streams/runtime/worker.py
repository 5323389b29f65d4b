"""Host any of the stages in one process: `stillwatch worker`."""

import asyncio
import gc
import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from streams.config import Settings
from streams.errors import BrokerError, TopicError
from streams.operator import ALERTS, DEAD_LETTERS, EVIDENCE, SIGHTINGS
from streams.runtime import allocator, blocks
from streams.runtime.drain import INPUTS, Drain
from streams.runtime.host import OperatorFactory
from streams.runtime.kafka_client import reach
from streams.runtime.liveness import LOOK_S, Liveness
from streams.runtime.producer import Deliveries, Outputs
from streams.runtime.progress import ProgressReader, progress_records, too_far_ahead
from streams.runtime.shutdown import (
    CHECKPOINT_DEADLINE_S,
    STOP_DEADLINE_S,
    STUCK_EXIT_CODE,
    end_after,
    fail,
)
from streams.runtime.stage import Stage
from streams.runtime.stats import HostStats
from streams.runtime.topics import PROGRESS, STAGES, check_topics, input_partitions, topic_name
from streams.settings import maker

CLOCK_S = 0.2  # lag, end of input
PROGRESS_S = 1.0
LEAVE_DEADLINE_S = 4.0  # measured: 1 to 2 s to leave three groups
# Measured: 138-147k events/s with 100,000 objects against 112k with Python's own. A pause scans what is left of so many
# times that: 0.24 s with 4 and 0.53 s with 10, for the same CPU. All that lives is hardly ever scanned: operators leave
# no garbage (test_operators_garbage.py).
GC_THRESHOLDS = (100_000, 4, 12_500)

log = structlog.get_logger("stillwatch.worker")


class Worker:
    """The stages of this process, their common output, and the ways in which it ends."""

    def __init__(
        self,
        settings: Settings,
        stages: Sequence[str],
        make_operator: OperatorFactory,
        instance: str | None = None,
        drain: bool = False,
    ) -> None:
        """Check the cluster and connect; raises `BrokerError` or `TopicError` that say what to do."""
        self.settings = settings
        self.drain = drain
        maker(settings)  # kept: the code that runs is the one that is there now, whatever an upgrade puts in its place
        allocator.share_one_heap()
        admin = reach(settings)
        if wrong := [each for each in check_topics(settings, admin) if each.level != "note"]:
            raise TopicError(
                "The topics are not as needed:\n"
                + "\n".join(f"  {e.topic}: {e.what} is {e.found}, needed: {e.needed} ({e.advice})" for e in wrong)
                + "\n`stillwatch topics create` makes what is missing; `stillwatch topics check` shows the rest."
            )
        self.stats = HostStats()
        roles = (SIGHTINGS, EVIDENCE, ALERTS, DEAD_LETTERS, PROGRESS)
        self._outputs = Outputs(settings, {role: topic_name(settings, role) for role in roles}, fail)
        self._drain = Drain(settings, stages) if drain else None
        self._left: dict[str, list[int]] = {}  # what others were last seen not to have done, by stage
        self._ask_due = 0.0  # monotonic: when the groups are asked next what is left
        name = instance or f"worker-{uuid.uuid4().hex[:12]}"
        self._stages: list[Stage] = []
        for stage in STAGES:
            if stage in stages:
                topic = topic_name(settings, INPUTS[stage])
                self._stages.append(
                    Stage(
                        stage,
                        settings,
                        make_operator,
                        self._outputs,
                        topic,
                        name,
                        instance is not None,
                        self._drain.limits if self._drain and stage == "accounts" else None,
                    )
                )
        self.stats.stages = {each.stage: each.stats for each in self._stages}
        self._accounts = next((each for each in self._stages if each.stage == "accounts"), None)
        self._progress = ProgressReader(settings, settings.kafka.request_partitions) if self._accounts else None
        if self._accounts:
            self._accounts.before_fetch = self._keep_together
        self._progress_due = 0.0
        self._published = Deliveries(fail)
        self._faust: faust.Worker | None = None
        self._ending: asyncio.Task[None] | None = None
        self._hurried: threading.Timer | None = None  # ends the process if a signal's end takes too long
        self._beat = 0.0  # monotonic: when the event loop last ran the clock

    def run(self) -> int:
        """Work until a signal or the end of the input (--drain); returns the exit code. A failure ends the process."""
        for stage in self._stages:
            stage.open()
        if self._progress:
            self._progress.start()
        blocks.warm_up()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        try:
            loop.run_until_complete(self._main())
        except Exception as error:
            log.exception("the event loop ended")
            fail(f"{type(error).__name__}: {error}")
        if self._progress:
            self._progress.stop()
        if missing := self._outputs.close(1.0):
            log.warning("output was not delivered; it follows from input that is read again", records=missing)
        return 0

    async def _main(self) -> None:
        worker = self._faust = _FaustWorker(self._on_signal, *(stage.app for stage in self._stages))
        clocks = [asyncio.create_task(clock) for clock in (self._clock(), self._ends_clock())]
        running = asyncio.create_task(worker.start())  # returns when it was stopped
        done, _ = await asyncio.wait([running, *clocks], return_when=asyncio.FIRST_COMPLETED)
        if error := next((task.exception() for task in done), None) or worker.crash_reason:
            raise error
        if self._ending is not None:
            await self._ending

    # The end

    def _on_signal(self, number: int) -> None:
        if not self._hurried:
            self._hurried = end_after(STOP_DEADLINE_S, "not stopped in time; what is not committed is read again")
        self._stop(signal.Signals(number).name)

    def _stop(self, reason: str) -> None:
        """Begin to end in order: last checkpoints, leave the groups."""
        if self._ending is None:
            log.info("stopping", reason=reason)
            self.stats.stopping = True
            self._ending = asyncio.get_running_loop().create_task(self._finish())

    async def _finish(self) -> None:
        began = time.monotonic()
        complete = {each.stage: self.drain or each.stage == "campaigns" for each in self._stages}
        last = asyncio.gather(*(each.finish(complete[each.stage]) for each in self._stages))
        try:
            await asyncio.wait_for(last, CHECKPOINT_DEADLINE_S if self._hurried else None)
        except TimeoutError:  # this is no end in order, and to leave the group would refuse what is under way
            fail("the last checkpoint took too long; its input is read again")
        if self._hurried:
            self._hurried.cancel()
        left_s = STOP_DEADLINE_S - (time.monotonic() - began) if self._hurried else LEAVE_DEADLINE_S
        end_after(min(LEAVE_DEADLINE_S, left_s), "", 0)  # all is safe: now only good manners take time
        if self._faust is not None:
            await self._faust.stop()

    # Clocks

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_S)
            self.stats.loop_heartbeat_at, self._beat = time.time(), time.monotonic()
            self.stats.output_queue, self.stats.output_pauses = len(self._outputs), self._outputs.pauses
            if self._ending is not None:
                continue
            for stage in self._stages:
                if stage.stats.ready:
                    stage.measure()
            if self._accounts and self._accounts.stats.ready:
                if self.drain:
                    self._accounts.end_inputs()
                self._publish_progress(self._accounts)
            if self._drain and self._finished() and await self._nothing_left(self._drain) and self._finished():
                self._stop("the input is worked through")

    def _publish_progress(self, accounts: Stage) -> None:
        if time.monotonic() >= self._progress_due:
            self._progress_due = time.monotonic() + PROGRESS_S
            self._outputs.send(progress_records(accounts.progress()), self._published)

    def _keep_together(self, accounts: Stage) -> None:
        """Stop fetching what is too far ahead of the others."""
        if self._progress is None:
            return
        own, others = accounts.progress(), self._progress.published
        kafka = self.settings.kafka
        accounts.hold(too_far_ahead(own, others, kafka.request_partitions, self.settings.time.skew_max_ms))
        known = {**others, **own}
        self.stats.watermarks = {each: at.watermark_ms for each, at in known.items() if at.watermark_ms is not None}

    def _finished(self) -> bool:
        for stage in self._stages:
            stage.stats.finished = stage.stats.ready and stage.host.finished()
        return all(stage.stats.finished for stage in self._stages)

    async def _nothing_left(self, drain: Drain) -> bool:
        """Tell whether the other workers have finished, too; asks once a second."""
        own = {stage.stage: tuple(stage.host.operators) for stage in self._stages}
        if all(len(own[stage]) == input_partitions(self.settings, stage) for stage in own):
            return True
        if time.monotonic() < self._ask_due:
            return False
        self._ask_due = time.monotonic() + PROGRESS_S
        try:
            left = await asyncio.get_running_loop().run_in_executor(None, drain.missing, own)
        except (BrokerError, KafkaException) as error:
            log.warning("what is left is unknown", reason=str(error))
            return False
        if left and left != self._left:
            log.info("done here; waiting for the others, or for their partitions", left=left)
        self._left = left
        return not left

    async def _ends_clock(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            try:
                for stage in self._stages:
                    if stage.stats.ready and self._ending is None:
                        await stage.check_ends()
                accounts = self._accounts
                if accounts and accounts.stats.ready and not self.drain and self._ending is None:
                    await accounts.declare_idle(float(self.settings.time.idle_after_s))
            except KafkaError as error:
                log.warning("the end of the input is unknown: no partition is idle", reason=str(error))

    # Liveness

    def _watch(self) -> None:
        """End the process when it no longer works though there is work: an orchestrator starts it anew."""
        liveness = Liveness(float(self.settings.health.stuck_after_s))
        while True:
            time.sleep(LOOK_S)
            if self.stats.stopping:
                return
            if reason := liveness.reason(self.stats, self._beat, time.monotonic()):
                fail(reason, STUCK_EXIT_CODE)


class _FaustWorker(faust.Worker):
    """Faust's worker without its terminal output, logging and signal handling; its apps start side by side.

    One after another, three stages take three times as long to join their groups.
    """

    def __init__(self, on_signal: Callable[[int], None], *apps: faust.App) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(*apps, quiet=True, override_logging=False, redirect_stdouts=False, loop=loop)
        self.spinner = None
        self._on_signal_number = on_signal
        self._apps: list[Any] = []

    def install_signal_handlers(self) -> None:
        """End in order on SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._on_signal_number, number)

    def on_init_dependencies(self) -> list[Any]:
        """Keep the apps for `on_started`."""
        self._apps = list(super().on_init_dependencies())
        return []

    async def on_started(self) -> None:
        """Start the apps, then wait until the worker is stopped."""
        for app in self._apps:
            self.add_dependency(app)
        await asyncio.gather(*(app.maybe_start() for app in self._apps))
        await super().on_started()
