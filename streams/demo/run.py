"""Run the demo: a broker, a worker, traffic and a consumer; and stop all of it, however it ends."""

import contextlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
from confluent_kafka import KafkaException

from streams.config import Settings
from streams.contracts.alert import AlertEvent
from streams.demo.inbox import Inbox
from streams.demo.state import State
from streams.demo.worker_process import Numbers, WorkerProcess
from streams.errors import StillwatchError
from streams.evaluate.score import Score, Scorer
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import producer_config, reach
from streams.runtime.kafka_jars import jars_dir, kafka_version
from streams.runtime.topics import STAGES, create_topics, topic_specs

TRAFFIC_S, TRAFFIC_LEAST_S = 55.0, 30.0  # with 12 s to start and 8 s to drain and stop on two cores: 75 s
TRAFFIC_ENDS_S = 70.0  # after the start: a slow start shortens the traffic, so that all of it takes 90 s at most
READY_S = 60.0  # measured: 6 s
STUCK_S = 30.0  # without any progress; measured: 5 s to drain, of which the idle rule takes 3
STEP_S = 0.1  # how soon an alert is seen
ASK_S = 1.0  # the worker brings its figures up to date once a second
EASE_FROM_S, EASE_TO_S, SLOWEST = 4.0, 8.0, 0.1  # 2 to 2.5 s behind is what asking once a second sees at the least
IDLE_AFTER_S = 3  # wall time; the traffic of a partition never pauses so long, and the last tick need not wait for 10
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
QUICK_JAVA = "-XX:TieredStopAtLevel=1"  # measured: 19 core-seconds in a demo instead of 27; it ends before C2 pays
SKEW_MAX_MS = 600_000  # at hundreds of times the clock, partitions are minutes apart within a batch


class View(Protocol):
    """Who shows the state: a screen or plain lines."""

    def phase(self, text: str) -> None:
        """Something new is being done."""

    def alert(self, alert: AlertEvent) -> None:
        """A revision has come; the state holds it."""

    def tick(self) -> None:
        """Time has passed."""


def run(settings: Settings, given_cluster: bool, state: State, view: View, traffic_s: float | None = None) -> Score:
    """Run the demo to its end and judge it.

    ``given_cluster`` uses the settings' cluster instead of starting Kafka; ``traffic_s`` is the wall time of the
    traffic if the worker keeps up, None what suits a demo.
    Raises `StillwatchError` if anything that it needs fails. Everything it started is stopped on return and on raising.
    """
    stack = contextlib.ExitStack()
    try:
        return _Run(settings, given_cluster, state, view, stack).whole(traffic_s)
    finally:
        with _uninterrupted():
            _say(state, view, "stopping what was started")
            stack.close()


def private(settings: Settings, name: str) -> Settings:
    """Return settings for one demo: topics and groups of its own, and a worker that knows its traffic's end soon."""
    replace = msgspec.structs.replace
    kafka = replace(
        settings.kafka,
        group_prefix=name,
        internal_prefix=name,
        requests_topic=f"{name}.llm.requests",
        alerts_topic=f"{name}.llm.alerts",
        dead_letters_topic=f"{name}.llm.requests.dlq",
    )
    time_ = replace(settings.time, idle_after_s=IDLE_AFTER_S, skew_max_ms=max(SKEW_MAX_MS, settings.time.skew_max_ms))
    return replace(settings, kafka=kafka, time=time_)


class _Run:
    def __init__(self, settings: Settings, given: bool, state: State, view: View, stack: contextlib.ExitStack) -> None:
        self._settings, self._given = settings, given
        self._state, self._view, self._stack = state, view, stack
        self._asked = 0.0

    def whole(self, traffic_s: float | None) -> Score:
        """Start everything, let the traffic flow, wait until all of it has been judged, and say how it went."""
        state, traffic = self._state, self._state.traffic
        if not self._given:
            self._say("looking for Apache Kafka")
            jars_dir(self._say)
        state.began = time.monotonic()  # fetching Kafka happens once and depends on the network
        self._stack.callback(traffic.stop)
        traffic.prepare()
        self._start_kafka()
        worker = self._start_worker()
        inbox = Inbox(self._settings)
        self._stack.callback(inbox.close)
        left_s = TRAFFIC_ENDS_S - state.elapsed_s
        self._flow(worker, inbox, traffic_s or min(TRAFFIC_S, max(TRAFFIC_LEAST_S, left_s)))
        self._drain(worker, inbox)
        self._say("stopping the worker")
        code = worker.stop()
        self._until(inbox.at_end, "the last alerts", STUCK_S, lambda: self._take(inbox))
        if code != 0:
            raise StillwatchError(f"The worker did not end in order (exit {code}).")
        score = state.score = self._scorer().score(inbox.revisions)
        return score

    def _start_kafka(self) -> None:
        state = self._state
        if self._given:
            state.kafka = f"Kafka at {self._settings.kafka.bootstrap}"
        else:
            self._say(f"starting Apache Kafka {kafka_version()}")
            broker = self._stack.enter_context(LocalBroker(java_args=[QUICK_JAVA], report=self._say))
            kafka = msgspec.structs.replace(self._settings.kafka, bootstrap=broker.bootstrap)
            self._settings = msgspec.structs.replace(self._settings, kafka=kafka)
            state.kafka = f"Apache Kafka {kafka_version()} at {broker.bootstrap}"
        self._say(f"creating topics {self._settings.kafka.internal_prefix}.* on {state.kafka}")
        if self._given:
            self._stack.callback(_remove_topics, self._settings)
        create_topics(self._settings)

    def _start_worker(self) -> WorkerProcess:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="stillwatch-demo-"))
        worker = WorkerProcess(self._settings, Path(folder))
        self._stack.callback(worker.stop)
        worker.start()
        self._state.worker_pid = worker.pid
        self._say(f"starting the worker (process {worker.pid})")

        def ready() -> bool:
            worker.check()
            numbers = worker.numbers()
            return numbers is not None and numbers.ready

        self._until(ready, "the worker", READY_S, self._state.traffic.check)
        return worker

    def _flow(self, worker: WorkerProcess, inbox: Inbox, traffic_s: float) -> None:
        traffic, kafka = self._state.traffic, self._settings.kafka
        accounts = traffic.plan.accounts + sum(each.accounts for each in traffic.plan.campaigns)
        self._say(
            f"traffic flows: {traffic.plan.hours:g} h of {accounts:,} accounts in about {traffic_s:.0f} s, "
            f"{len(traffic.plan.campaigns)} campaigns among them"
        )
        self._stack.callback(traffic.stop)  # before the broker goes, or its producer would wait for that
        traffic.flow(kafka.requests_topic, producer_config(self._settings) | {"log_level": 0}, traffic_s)
        while not traffic.done:
            self._step(worker, inbox)
            behind = (self._state.behind_s - EASE_FROM_S) / (EASE_TO_S - EASE_FROM_S)
            traffic.ease = min(1.0, max(SLOWEST, 1.0 - behind))

    def _drain(self, worker: WorkerProcess, inbox: Inbox) -> None:
        """Wait until the last tick has been judged: nothing lags, and the idle rule has closed the input."""
        state = self._state
        self._say(f"the traffic has ended ({state.traffic.arrived:,} events): waiting until all of it is judged")

        def judged() -> bool:
            numbers = state.numbers
            return (
                numbers.events >= state.traffic.arrived
                and not any(numbers.lag.values())
                and numbers.watermark_ms >= state.traffic.last_ms
                and inbox.at_end()
            )

        self._until(judged, "the end of the traffic", STUCK_S, lambda: self._step(worker, inbox))

    def _step(self, worker: WorkerProcess, inbox: Inbox) -> None:
        worker.check()
        self._take(inbox)
        if time.monotonic() >= self._asked + ASK_S:
            self._asked = time.monotonic()
            numbers: Numbers | None = worker.numbers()
            if numbers is not None:
                self._state.update(numbers)
            if self._state.traffic.truth is not None:
                self._state.score = self._scorer().score(inbox.revisions, self._state.traffic.clock_ms)
        self._view.tick()

    def _take(self, inbox: Inbox) -> None:
        for alert in inbox.poll(STEP_S):
            self._state.revisions += 1
            self._state.opened_ms.setdefault(alert.alert_id, alert.detected_at)
            self._state.cases = {**self._state.cases, alert.alert_id: inbox.case(alert.alert_id)}
            self._view.alert(alert)

    def _scorer(self) -> Scorer:
        truth = self._state.traffic.truth
        if truth is None:
            raise StillwatchError("The simulator has made nothing.")
        return Scorer(truth, self._settings.time.lateness_ms)

    def _until(self, condition: Callable[[], bool], what: str, timeout_s: float, meanwhile: Callable[[], Any]) -> None:
        moved, where = time.monotonic(), self._where()
        while not condition():
            before, where = where, self._where()
            if where != before:
                moved = time.monotonic()
            if time.monotonic() > moved + timeout_s:
                raise StillwatchError(f"Waited {timeout_s:.0f} s for {what} in vain: {where}.")
            meanwhile()
            time.sleep(STEP_S / 2)

    def _where(self) -> str:
        numbers, traffic = self._state.numbers, self._state.traffic
        return (
            f"{numbers.events:,} of {traffic.sent:,} events taken in, lag {numbers.lag}, judged up to "
            f"{numbers.watermark_ms} of {traffic.last_ms}"
        )

    def _say(self, text: str) -> None:
        _say(self._state, self._view, text)


def _say(state: State, view: View, text: str) -> None:
    state.phase = text
    view.phase(text)


def _remove_topics(settings: Settings) -> None:
    """Take back what was made on somebody's cluster; what cannot be removed is left."""
    topics = [each.name for each in topic_specs(settings)]
    groups = [f"{settings.kafka.group_prefix}-{name}" for name in (*STAGES, "demo")]
    with contextlib.suppress(KafkaException, StillwatchError):
        admin = reach(settings)
        for future in (*admin.delete_topics(topics).values(), *admin.delete_consumer_groups(groups).values()):
            with contextlib.suppress(KafkaException):  # not made yet, or somebody still reads
                future.result()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a second Ctrl-C pass while things are being stopped."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
