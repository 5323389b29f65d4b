"""What the demo knows at a moment: written by the run, read by whoever shows it."""

import time
from collections import deque
from dataclasses import dataclass, field

from streams.contracts.fold import Case
from streams.demo.traffic import Traffic
from streams.demo.worker_process import Numbers
from streams.evaluate.score import Score

RATE_S = 4.0  # events per second are averaged over so long
WAIT_MS = 6_000  # event time that the last stage has to wait for by itself: the lateness and one tick


@dataclass
class State:
    """One run so far. ``cases`` holds each case as it stands with its first revision's time, newest last."""

    seed: int
    traffic: Traffic
    phase: str = "starting"
    kafka: str = ""
    worker_pid: int = 0
    began: float = field(default_factory=time.monotonic)
    numbers: Numbers = field(default_factory=Numbers)
    cases: dict[str, Case] = field(default_factory=dict)
    opened_ms: dict[str, int] = field(default_factory=dict)
    score: Score | None = None
    revisions: int = 0
    _points: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def elapsed_s(self) -> float:
        """Wall time since the start."""
        return time.monotonic() - self.began

    @property
    def behind_s(self) -> float:
        """Wall time, at the nominal speed, by which the last stage is behind the traffic as of its last word."""
        if not self.traffic.sent or not self.traffic.nominal:
            return 0.0
        judged = self.numbers.watermark_ms or self.traffic.plan.span.start_ms
        return max(0.0, (self.traffic.last_ms - judged - WAIT_MS) / 1_000 / self.traffic.nominal)

    @property
    def rate(self) -> float:
        """Events a second that the worker took in lately."""
        if len(self._points) < 2:
            return 0.0
        (began, first), (ended, last) = self._points[0], self._points[-1]
        return (last - first) / max(ended - began, 0.001)

    def update(self, numbers: Numbers) -> None:
        """Take over what the worker says."""
        self.numbers = numbers
        self._points.append((time.monotonic(), numbers.events))
        while len(self._points) > 2 and self._points[-1][0] - self._points[0][0] > RATE_S:
            self._points.popleft()
