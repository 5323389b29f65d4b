"""Simulated traffic for the demo: made ahead in one thread, sent at the pace of a running clock in another."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from streams.contracts.fingerprint import fingerprint
from streams.simulator.generate import Event, Simulation
from streams.simulator.plan import Plan
from streams.simulator.sinks import produce
from streams.simulator.truth import Truth

CHUNK_EVENTS = 500
AHEAD_CHUNKS = 120  # 60,000 events of 0.9 KB: the pauses between slices of the simulator do not show
STEP_S = 0.02
SLOWEST, FASTEST = 0.5, 1.5  # of the nominal speed: how what was lost to a slow consumer may be made up


class Traffic:
    """One run of a plan. `prepare` begins to make events, `flow` to send them; `stop` ends both."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.truth: Truth | None = None  # grows while events are made
        self.ease = 1.0  # factor on the speed, set by whoever watches the consumer
        self.nominal = 0.0  # event time per wall time, as asked for
        self.speed = 0.0  # the same, now
        self.clock_ms = plan.span.start_ms  # event time of what has been sent
        self.last_ms = 0  # of the last event sent
        self.sent = 0
        self.arrived = 0
        self._ready: queue.Queue[list[Event]] = queue.Queue(AHEAD_CHUNKS)
        self._made = threading.Event()
        self._sent = threading.Event()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def prepare(self) -> None:
        """Begin to make events; first compile what the worker will need, which it then finds in numba's cache."""
        self._start("simulate", self._make)

    def flow(self, topic: str, config: dict[str, Any], seconds: float) -> None:
        """Begin to send, so as to be done in so many seconds if the consumer keeps up."""
        self._start("produce", lambda: self._send(topic, config, seconds))

    @property
    def done(self) -> bool:
        """Everything was sent and has arrived."""
        self.check()
        return self._sent.is_set()

    def check(self) -> None:
        """Raise what a thread failed with."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the threads; events that were made and not sent are dropped."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _start(self, name: str, work: Any) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error
                self._stop.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _make(self) -> None:
        fingerprint("compile me")
        simulation = Simulation(self.plan)
        self.truth = simulation.truth
        chunk: list[Event] = []
        for event in simulation:
            chunk.append(event)
            if len(chunk) == CHUNK_EVENTS:
                if not self._put(chunk):
                    return
                chunk = []
        self._put(chunk)
        self._made.set()

    def _put(self, chunk: list[Event]) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(chunk, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _send(self, topic: str, config: dict[str, Any], seconds: float) -> None:
        self.nominal = (self.plan.span.end_ms - self.plan.span.start_ms) / 1_000 / seconds
        events = self._paced(time.monotonic() + seconds)
        self.arrived = produce(events, topic, config, lambda _: None, stop=self._stop.is_set)
        if not self._stop.is_set():
            self._sent.set()

    def _paced(self, deadline: float) -> Iterator[Event]:
        span, nominal = self.plan.span, self.nominal
        now = time.monotonic()
        clock = float(span.start_ms)
        for chunk in self._chunks():
            for event in chunk:
                while event.time_ms > clock:
                    if self._stop.is_set():
                        return
                    time.sleep(STEP_S)
                    before, now = now, time.monotonic()
                    needed = (span.end_ms - clock) / 1_000 / max(deadline - now, STEP_S)
                    self.speed = min(max(needed, SLOWEST * nominal), FASTEST * nominal) * self.ease
                    # a step is short even after a pause, so that what was made meanwhile does not come as a burst
                    clock += self.speed * 1_000 * min(now - before, 10 * STEP_S)
                    self.clock_ms = min(int(clock), span.end_ms)
                self.sent += 1
                self.last_ms = event.time_ms
                yield event

    def _chunks(self) -> Iterator[list[Event]]:
        while not self._stop.is_set():
            try:
                yield self._ready.get(timeout=0.1)
            except queue.Empty:
                if self._made.is_set() and self._ready.empty():
                    return
