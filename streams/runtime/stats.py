"""What a running worker knows about itself: plain numbers, changed once a batch, read by the metrics server."""

import time
from dataclasses import dataclass, field

from streams.operator import Operator
from streams.runtime.histogram import ALERT_BOUNDS_S, BATCH_BOUNDS_S, Histogram

MIRROR_S = 1.0  # Prometheus asks every 15 s


@dataclass
class StageStats:
    """One stage in this process. Times are seconds of `time.time`, 0 meaning never; durations are seconds.

    Counters only grow while the process lives. Mappings are replaced or changed by the event loop's thread alone:
    a reader in another thread copies them first.
    """

    stage: str
    topic: str = ""  # the input
    # work
    batches: int = 0
    records: int = 0  # read
    skipped: int = 0  # batches of which nothing was new, or whose partition had moved away
    processing_s: float = 0.0
    processing: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS_S))  # seconds of each batch
    alert_latency: Histogram = field(default_factory=lambda: Histogram(ALERT_BOUNDS_S))  # event to alert, seconds
    last_batch_at: float = 0.0
    batch_began: float = 0.0  # monotonic; 0 between batches
    largest_batch: int = 0
    produced: int = 0  # records written, all roles
    produced_bytes: int = 0  # their values
    dead_letters: int = 0
    idle_declared: int = 0
    # the partitions of this worker
    ready: bool = False  # assigned (perhaps nothing) and restored
    assigned: tuple[int, ...] = ()
    lag: dict[int, int] = field(default_factory=dict)  # records, by partition
    held: frozenset[int] = frozenset()  # not fetched: too far ahead of the others in event time
    operators: dict[int, Operator] = field(default_factory=dict)  # for their counters and gauges
    counters: dict[tuple[str, ...], int] = field(default_factory=dict)  # of all operators so far, by `mirror`
    gauges: dict[int, dict[tuple[str, ...], float]] = field(default_factory=dict)  # by partition, by `mirror`
    rebalances: int = 0
    recovery_s: float = 0.0  # of the last restore
    recovery_total_s: float = 0.0
    recovered_keys: int = 0  # by the last restore
    # checkpoints
    checkpoints: int = 0
    checkpoint_at: float = 0.0  # when the last one was committed, or its state restored
    checkpoint_s: float = 0.0  # of the last one: capture to commit
    checkpoint_total_s: float = 0.0
    checkpoint_capture_s: float = 0.0  # of the last one: what the event loop was held up
    checkpoint_bytes: int = 0  # of the last one
    checkpoint_total_bytes: int = 0
    checkpoint_keys: int = 0  # of the last one
    checkpoint_total_keys: int = 0
    # trouble
    stuck: bool = False
    finished: bool = False  # --drain: every partition of this worker is done
    _mirror_due: float = 0.0
    _retired: dict[tuple[str, ...], int] = field(default_factory=dict)  # counts of operators that are gone

    def mirror(self, now_s: float | None = None) -> None:
        """Copy the operators' counters and gauges for the metrics server; call it in the event loop's thread.

        With ``now_s`` (monotonic) at most once a second: gauges may cost something.
        """
        if now_s is not None:
            if now_s < self._mirror_due:
                return
            self._mirror_due = now_s + MIRROR_S
        self.gauges = {partition: operator.gauges() for partition, operator in self.operators.items()}
        total = dict(self._retired)  # after the gauges: some counts are brought up to date with them
        for operator in self.operators.values():
            for key, count in operator.counters.items():
                total[key] = total.get(key, 0) + count
        self.counters = total

    def retire(self) -> None:
        """Let the operators go, but keep what they have counted."""
        self.mirror()
        self._retired = self.counters
        self.operators, self.gauges = {}, {}

    def checkpoint_age_s(self) -> float:
        """Seconds since the state was last safe; 0 before the first time."""
        return time.time() - self.checkpoint_at if self.checkpoint_at else 0.0


@dataclass
class HostStats:
    """One worker process."""

    stages: dict[str, StageStats] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    loop_heartbeat_at: float = 0.0  # the event loop ran a timer
    output_queue: int = 0  # records not yet acknowledged by the broker
    output_pauses: int = 0  # a full output queue held processing up
    watermarks: dict[int, float] = field(default_factory=dict)  # of all request partitions, by `progress`, in ms
    stopping: bool = False

    def ready(self) -> bool:
        """Every stage has its partitions and their state, and the worker is not on its way out."""
        return not self.stopping and bool(self.stages) and all(each.ready for each in self.stages.values())
