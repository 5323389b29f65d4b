"""A worker under a steady load for hours: does its memory grow, does it fall behind?

Event time runs `SPEED` times faster than the clock and all lifetimes are divided by `SCALE`, so that accounts and
tokens come, expire and are evicted many times over within the run. The requests topic forgets by size
(`retention.bytes`), the topics between the stages by age, as the product has it; checkpoints are on.
"""

import math
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its documented place, which its type hints do not re-export
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.bench.crowd import START_MS, Turnover
from streams.bench.memory import disk_bytes, memory_of
from streams.bench.soaked import Line, Soaked, soaked
from streams.config import Settings
from streams.demo.worker_process import Numbers, WorkerProcess
from streams.errors import StillwatchError
from streams.operator import EVIDENCE, SIGHTINGS
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import client_config, producer_config
from streams.runtime.topics import create_topics, topic_name
from streams.simulator.generate import Event
from streams.simulator.sinks import produce

# Event time by the clock: an hour, at which the last stage tidies up, is two minutes. A second by the clock has so many
# ticks, which are nearly empty where there are more: at 60 an event cost 45 to 51 us (`--soak`, 20,000 events/s).
SPEED = 30
SCALE = 84  # 14 days become 4 hours: 8 minutes by the clock
STAY_TTLS = 2  # an account is busy for so many lifetimes: beyond the 6 hours after which it enters the reference
SLACK_MS = 3_600_000  # first sightings stay in memory for so much longer than they count
LINE_S = 10.0
LEAST_LINES = 20  # of a short run
READY_S = 120.0
LOOK_S = 0.1
ANSWER_S = 30.0  # of a worker that is too busy to say how far it is
SKEW_MAX_MS = 600_000  # 20 s by the clock

SEGMENT_BYTES = 1 << 20  # the least that Kafka 4 allows
EVENT_BYTES = 800  # of a crowd's, as Kafka keeps them
RETAINED_S = 120.0  # how far the worker may fall behind before input is gone
LEAST_RETAINED_S = 10.0
PROPERTIES = {"log.retention.check.interval.ms": "2000", "log.initial.task.delay.ms": "2000"}


class _Load:
    """The open loop: events go out at their moments, however the worker fares."""

    def __init__(self, settings: Settings, accounts: int, rate: float) -> None:
        self.sent = 0
        self._settings, self._rate = settings, rate
        self._crowd = Turnover(accounts, STAY_TTLS * settings.accounts.ttl_ms)
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, "load")
        self._done: Future[int] | None = None

    def start(self) -> None:
        """Send from now on."""
        kafka = self._settings
        self._done = self._thread.submit(
            produce, self._events(), kafka.kafka.requests_topic, producer_config(kafka), lambda _: None, float(SPEED),
            self._stop.is_set,
        )  # fmt: skip

    def judged(self, watermark_ms: int) -> int:
        """Return how many events have a time up to this one."""
        return max(0, math.floor((watermark_ms - START_MS) / self._step_ms()) + 1) if watermark_ms else 0

    def check(self) -> None:
        """Raise what has ended the load."""
        if self._done is not None and self._done.done():
            self._done.result()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.shutdown()

    def _step_ms(self) -> float:
        return 1_000 * SPEED / self._rate

    def _events(self) -> Iterator[Event]:
        for time_ms, account, line in self._crowd.lines(self._step_ms()):
            yield Event(time_ms, account.decode(), line)
            self.sent += 1


def scaled(settings: Settings, retained_s: float) -> Settings:
    """Return settings with lives of hours instead of weeks, and topics between the stages that forget as fast."""
    lives = ("ttl_ms", "infrastructure_ttl_ms", "content_ttl_ms", "near_prompt_ttl_ms")
    accounts, replace = settings.accounts, msgspec.structs.replace
    return replace(
        settings,
        accounts=replace(accounts, **{name: getattr(accounts, name) // SCALE for name in lives}),
        campaigns=replace(settings.campaigns, close_after_ms=settings.campaigns.close_after_ms // SCALE),
        time=replace(settings.time, skew_max_ms=max(SKEW_MAX_MS, settings.time.skew_max_ms)),
        kafka=replace(settings.kafka, internal_retention_ms=round(retained_s * 1_000)),
    )


def steady_s(settings: Settings) -> float:
    """Return when the last of what came first is gone, by the clock: from then on as much goes as comes."""
    life_ms = (STAY_TTLS + 1) * settings.accounts.ttl_ms + settings.time.far_ahead_ms + SLACK_MS
    return life_ms / 1_000 / SPEED


def soak(
    path: Path, minutes: float, rate: float, accounts: int, settings: Settings, report: Callable[[str, int], None]
) -> Soaked:
    """Run a worker under ``rate`` events/s for so long, and append a line to ``path`` every `LINE_S`.

    ``accounts`` are busy at any time. Raises `StillwatchError` if the worker or the load fails.
    """
    seconds = minutes * 60
    retained_s = min(RETAINED_S, max(LEAST_RETAINED_S, seconds / 4))
    settings = scaled(settings, retained_s)
    with (
        LocalBroker(properties=PROPERTIES, report=lambda text: report(text, 0)) as broker,
        tempfile.TemporaryDirectory(prefix="stillwatch-soak-") as folder,
    ):
        kafka = msgspec.structs.replace(settings.kafka, bootstrap=broker.bootstrap)
        settings = msgspec.structs.replace(settings, kafka=kafka)
        create_topics(settings)
        bound(settings, rate, retained_s)
        worker, load = WorkerProcess(settings, Path(folder), "--instance", "soak"), _Load(settings, accounts, rate)
        lines: list[Line] = []
        try:
            report("start the worker", 0)
            worker.start()
            _numbers(worker, READY_S, lambda numbers: numbers.ready)
            began = time.monotonic()
            load.start()
            every_s = min(LINE_S, seconds / LEAST_LINES)
            for n in range(1, round(seconds / every_s) + 1):
                _sleep_until(began + n * every_s, worker, load)
                lines.append(_line(began, worker, load, settings, broker.data_dir))
                with path.open("ab") as file:
                    file.write(msgspec.json.encode(lines[-1]) + b"\n")
                report(_told(lines[-1]), lines[-1].judged)
        finally:
            load.stop()
            worker.stop()
    return soaked(lines, rate, steady_s(settings))


def bound(settings: Settings, rate: float, retained_s: float) -> None:
    """Let the requests topic forget what is over a size, and topics have segments so small that it happens soon."""
    partition_bytes = max(2 * SEGMENT_BYTES, round(rate * EVENT_BYTES * retained_s / settings.kafka.request_partitions))
    small = {"segment.bytes": str(SEGMENT_BYTES)}
    changes = {
        settings.kafka.requests_topic: small | {"retention.bytes": str(partition_bytes)},
        topic_name(settings, SIGHTINGS): small,
        topic_name(settings, EVIDENCE): small,
    }
    admin = AdminClient(client_config(settings))
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
            ],
        )
        for topic, config in changes.items()
    ]
    for future in admin.incremental_alter_configs(resources).values():
        future.result()


def _sleep_until(moment: float, worker: WorkerProcess, load: _Load) -> None:
    while (left := moment - time.monotonic()) > 0:
        worker.check()
        load.check()
        time.sleep(min(left, 1.0))


def _numbers(
    worker: WorkerProcess, timeout_s: float, wanted: Callable[[Numbers], bool] = lambda numbers: True
) -> Numbers:
    deadline = time.monotonic() + timeout_s
    while (found := worker.numbers()) is None or not wanted(found):
        worker.check()
        if time.monotonic() > deadline:
            raise StillwatchError(f"The worker has not answered for {timeout_s:.0f} s.")
        time.sleep(LOOK_S)
    return found


def _line(began: float, worker: WorkerProcess, load: _Load, settings: Settings, data_dir: Path) -> Line:
    numbers = _numbers(worker, ANSWER_S)
    sent, seconds = load.sent, time.monotonic() - began
    judged = min(sent, load.judged(numbers.watermark_ms))
    resident, proportional = memory_of(worker.pid)
    names = {topic_name(settings, role) for role in (SIGHTINGS, EVIDENCE)} | {settings.kafka.requests_topic}
    return Line(
        seconds=round(seconds, 1),
        sent=sent,
        judged=judged,
        lag=sent - judged,
        rss_bytes=resident,
        pss_bytes=proportional,
        cpu_s=round(numbers.cpu_s, 1),
        disk_bytes=disk_bytes(data_dir / "log"),
        log_bytes=disk_bytes(data_dir / "log", names),
        forgotten=_forgotten(settings),
        checkpoint_bytes=numbers.checkpoint_bytes,
        held=numbers.held,
        state_bytes=numbers.state_bytes,
    )


def _forgotten(settings: Settings) -> int:
    """Return how many requests the broker has deleted."""
    consumer = Consumer(client_config(settings) | {"group.id": "stillwatch-soak"})
    try:
        partitions = range(settings.kafka.request_partitions)
        topic = settings.kafka.requests_topic
        return sum(int(consumer.get_watermark_offsets(TopicPartition(topic, p), 10.0)[0]) for p in partitions)
    finally:
        consumer.close()


def _told(line: Line) -> str:
    return (
        f"{line.seconds / 60:.1f} min, {line.rss_bytes / 1e6:,.0f} MB, lag {line.lag:,}, "
        f"{line.disk_bytes / 1e6:,.0f} MB on the broker's disk; judged"
    )
