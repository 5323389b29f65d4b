"""Declare every metric: the one place to look up or add a name.

Conventions (prometheus.io/docs/practices/naming): one prefix, base units, the unit as suffix, ``_total`` for counters.
Labels are enumerations, stages and partitions; never an account, a token or a case.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from streams.runtime.histogram import Histogram
from streams.runtime.stats import HostStats, StageStats

PREFIX = "stillwatch_"

Kind = Literal["counter", "gauge", "histogram", "summary", "info"]
Labels = tuple[str, ...]
Values = Iterable[tuple[Labels, float]]


class Metric(NamedTuple):
    """What the table shows of a metric; ``unit`` is what one unit of its value is, "" for none."""

    name: str  # without the prefix
    kind: Kind
    unit: str
    labels: Labels
    help: str


class Counted(NamedTuple):
    """A count that an operator keeps: the rest of its key follows the stage as label values."""

    metric: Metric
    stages: tuple[str, ...]  # where it starts at 0, so that the first increase is seen
    values: tuple[Labels, ...] = ((),)


class Gauged(NamedTuple):
    """A present value that an operator reports, over the partitions of a stage."""

    metric: Metric
    scale: float = 1.0
    merge: Literal["sum", "max", "partition"] = "sum"


class Read(NamedTuple):
    """A number of a stage or of the process, and how to get it; label values follow the stage."""

    metric: Metric
    values: Callable[[StageStats], Values]


class ReadHistogram(NamedTuple):
    """A histogram of a stage."""

    metric: Metric
    histogram: Callable[[StageStats], Histogram]
    stages: tuple[str, ...]


class ReadProcess(NamedTuple):
    """A number of the whole process."""

    metric: Metric
    values: Callable[[HostStats], Values]


ALL = ("accounts", "tokens", "campaigns")
ACCOUNTS, TOKENS, CAMPAIGNS = ("accounts",), ("tokens",), ("campaigns",)


def _counted(name: str, unit: str, labels: Labels, text: str) -> Metric:
    return Metric(f"{name}_total", "counter", unit, ("stage", *labels), text)


def _stage(name: str, kind: Kind, unit: str, text: str, value: Callable[[StageStats], float]) -> Read:
    return Read(Metric(name, kind, unit, ("stage",), text), lambda stats: [((), value(stats))])


def _process(name: str, kind: Kind, unit: str, text: str, value: Callable[[HostStats], float]) -> ReadProcess:
    return ReadProcess(Metric(name, kind, unit, (), text), lambda stats: [((), value(stats))])


def _by_partition(values: dict[int, float] | dict[int, int], scale: float = 1.0) -> Values:
    return [((str(partition),), value * scale) for partition, value in sorted(values.items())]


OUTCOMES = ("accepted", "late", "duplicate", "dead_letter", "misrouted", "far_ahead")

# Counts of operators, by the first part of their key.
COUNTED: dict[str, Counted] = {
    "events": Counted(
        _counted(
            "events",
            "events",
            ("outcome",),
            "Accepted, duplicate and dead_letter are all events; late, far_ahead and misrouted are among these.",
        ),
        ACCOUNTS,
        tuple((outcome,) for outcome in OUTCOMES),
    ),
    "dead_letters": Counted(
        _counted(
            "dead_letters",
            "records",
            ("reason",),
            "Records that cannot be used, by the first fault found; a `broken_packet` between stages has no letter.",
        ),
        (),
        (),
    ),
    "field_faults": Counted(
        _counted("field_faults", "events", ("field",), "Events with a faulty optional field, taken as unknown."), (), ()
    ),
    "misrouted": Counted(
        _counted("misrouted_records", "records", ("reason",), "Records in another partition than their account's."),
        ACCOUNTS,
        (("missing_key",), ("other_partition",)),
    ),
    "watermark_forced": Counted(
        _counted(
            "watermark_forced",
            "items",
            (),
            "Items of an idle partition that came after their tick; above 0, runs may differ.",
        ),
        ("tokens", "campaigns"),
    ),
    "sightings": Counted(_counted("sightings", "items", (), "Tokens shown by an account, sent on."), ACCOUNTS),
    "signals": Counted(_counted("signals", "items", (), "Contributions of exchanges, sent on."), ACCOUNTS),
    "links": Counted(_counted("links", "items", (), "Memberships of shared tokens, sent on."), TOKENS),
    "repeated_items": Counted(
        _counted("repeated_items", "items", (), "Items sent again by a restarted worker, dropped."),
        ("tokens", "campaigns"),
    ),
    "ticks": Counted(_counted("ticks", "ticks", (), "Steps of event time acted on."), CAMPAIGNS),
    "tokens_evicted_early": Counted(
        _counted("tokens_evicted_early", "tokens", (), "First sightings and tokens forgotten early: no more memory."),
        ("accounts", "tokens"),
    ),
    "accounts_evicted": Counted(
        _counted("accounts_evicted", "accounts", (), "Accounts forgotten after their time to live."),
        ("accounts", "campaigns"),
    ),
    "accounts_evicted_early": Counted(
        _counted("accounts_evicted_early", "accounts", (), "Accounts forgotten early, over max_accounts."),
        ("accounts", "campaigns"),
    ),
    "alerts": Counted(
        _counted("alerts", "revisions", ("category", "severity", "status"), "Published revisions of cases."), (), ()
    ),
    "drift": Counted(
        _counted("drift_detections", "detections", ("model",), "Changes that a detector reported."), (), ()
    ),
    "model_learn": Counted(_counted("model_learn", "updates", ("model",), "Observations that a model learnt."), (), ()),
    "model_skip": Counted(
        _counted("model_skip", "updates", ("model",), "Observations kept from a model because they may be hostile."),
        (),
        (),
    ),
    "model_capped": Counted(
        _counted("model_capped", "updates", ("model",), "Observations of clusters that had their share in a model."),
        (),
        (),
    ),
    "state_made_otherwise": Counted(
        _counted(
            "state_made_otherwise",
            "partitions",
            (),
            "Partitions restored from state that other code or other settings made.",
        ),
        ALL,
    ),
    "reference_swaps": Counted(
        _counted("reference_swaps", "swaps", (), "Times that a benign reference was replaced by its challenger."),
        ("campaigns",),
    ),
}

# The key ("evidence_bucket", le) counts the groups above the next lower bound and not above ``le``; the last is "+Inf".
EVIDENCE = Metric("evidence_nats", "histogram", "nats", ("stage",), "Evidence of scored groups against the benign.")

# Present values of operators, by the first part of their key.
GAUGED: dict[str, Gauged] = {
    "watermark_ms": Gauged(
        Metric(
            "watermark_timestamp_seconds",
            "gauge",
            "seconds",
            ("stage", "partition"),
            "Event time up to which everything is taken in, by input partition.",
        ),
        0.001,
        "partition",
    ),
    "held": Gauged(
        Metric("held_objects", "gauge", "objects", ("stage", "kind"), "Accounts, tokens, clusters and cases in memory.")
    ),
    "buffered_items": Gauged(
        Metric("buffered_items", "gauge", "items", ("stage",), "Items that wait for their tick to end.")
    ),
    "state_bytes": Gauged(
        Metric("state_bytes", "gauge", "bytes", ("stage",), "Estimated size of the state in memory.")
    ),
    "reference_size": Gauged(
        Metric(
            "reference_observations",
            "gauge",
            "observations",
            ("stage", "segment"),
            "Observations in the benign reference of a segment.",
        )
    ),
    "reference_age_ms": Gauged(
        Metric(
            "reference_age_seconds",
            "gauge",
            "seconds",
            ("stage", "segment"),
            "Event time since the benign reference of a segment last learnt.",
        ),
        0.001,
        "max",
    ),
    "quarantine_share": Gauged(
        Metric(
            "quarantine_ratio",
            "gauge",
            "ratio",
            ("stage",),
            "Share of the last hour's accounts that are kept from the reference: in ordinary traffic a quarter.",
        ),
        merge="max",
    ),
    "threshold_nats": Gauged(
        Metric("evidence_threshold_nats", "gauge", "nats", ("stage",), "Evidence at which a case opens now."),
        merge="max",
    ),
}

STAGE: tuple[Read, ...] = (
    Read(
        _counted("batches", "batches", ("outcome",), "Batches of input; skipped ones held nothing new or moved away."),
        lambda stats: [(("processed",), stats.batches), (("skipped",), stats.skipped)],
    ),
    _stage("records_read_total", "counter", "records", "Input records taken in.", lambda stats: stats.records),
    _stage("records_produced_total", "counter", "records", "Output records sent.", lambda stats: stats.produced),
    _stage("produced_bytes_total", "counter", "bytes", "Values of output records.", lambda stats: stats.produced_bytes),
    _stage(
        "last_batch_timestamp_seconds",
        "gauge",
        "seconds",
        "When the last batch was done.",
        lambda stats: stats.last_batch_at,
    ),
    _stage(
        "idle_declared_total",
        "counter",
        "times",
        "Times an input partition was found idle.",
        lambda stats: stats.idle_declared,
    ),
    Read(
        Metric("consumer_lag_records", "gauge", "records", ("stage", "partition"), "Input records not yet taken in."),
        lambda stats: _by_partition(stats.lag),
    ),
    _stage(
        "partitions_assigned",
        "gauge",
        "partitions",
        "Input partitions of this worker.",
        lambda stats: len(stats.assigned),
    ),
    _stage(
        "partitions_held",
        "gauge",
        "partitions",
        "Input partitions too far ahead to be fetched.",
        lambda stats: len(stats.held),
    ),
    _stage(
        "stage_ready", "gauge", "", "1 if the partitions are assigned and restored.", lambda stats: float(stats.ready)
    ),
    _stage(
        "stage_stuck",
        "gauge",
        "",
        "1 if there is input and nothing was done for long.",
        lambda stats: float(stats.stuck),
    ),
    _stage("rebalances_total", "counter", "times", "Times partitions were taken away.", lambda stats: stats.rebalances),
    _stage("recovery_seconds", "gauge", "seconds", "How long the last restore took.", lambda stats: stats.recovery_s),
    _stage("recovered_keys", "gauge", "keys", "Keys read by the last restore.", lambda stats: stats.recovered_keys),
    _stage(
        "checkpoint_age_seconds",
        "gauge",
        "seconds",
        "Time since the state was last safe; 0 before the first time.",
        lambda stats: stats.checkpoint_age_s(),
    ),
    Read(
        Metric("checkpoint_duration_seconds", "summary", "seconds", ("stage",), "From capture to commit."),
        lambda stats: [(("count",), stats.checkpoints), (("sum",), stats.checkpoint_total_s)],
    ),
    _stage(
        "checkpoint_capture_seconds",
        "gauge",
        "seconds",
        "How long the last capture held processing up.",
        lambda stats: stats.checkpoint_capture_s,
    ),
    _stage(
        "checkpoint_size_bytes", "gauge", "bytes", "Size of the last checkpoint.", lambda stats: stats.checkpoint_bytes
    ),
    _stage(
        "checkpoint_written_bytes_total",
        "counter",
        "bytes",
        "Size of all checkpoints.",
        lambda stats: stats.checkpoint_total_bytes,
    ),
    _stage(
        "checkpoint_written_keys_total",
        "counter",
        "keys",
        "Keys in all checkpoints.",
        lambda stats: stats.checkpoint_total_keys,
    ),
)

HISTOGRAMS: tuple[ReadHistogram, ...] = (
    ReadHistogram(
        Metric("batch_processing_seconds", "histogram", "seconds", ("stage",), "Time to work on one batch."),
        lambda stats: stats.processing,
        ALL,
    ),
    ReadHistogram(
        Metric(
            "event_to_alert_seconds", "histogram", "seconds", ("stage",), "From detection in event time to sending."
        ),
        lambda stats: stats.alert_latency,
        CAMPAIGNS,
    ),
)

PROCESS: tuple[ReadProcess, ...] = (
    _process(
        "ready", "gauge", "", "1 if every stage is ready and the worker is not stopping.", lambda stats: stats.ready()
    ),
    _process(
        "loop_heartbeat_timestamp_seconds",
        "gauge",
        "seconds",
        "When the event loop last ran a timer.",
        lambda stats: stats.loop_heartbeat_at,
    ),
    _process("start_timestamp_seconds", "gauge", "seconds", "When the worker started.", lambda stats: stats.started_at),
    _process(
        "output_queue_records", "gauge", "records", "Output not yet acknowledged.", lambda stats: stats.output_queue
    ),
    _process(
        "output_pauses_total",
        "counter",
        "times",
        "Times a full output queue held processing up.",
        lambda s: s.output_pauses,
    ),
    ReadProcess(
        Metric(
            "request_watermark_timestamp_seconds",
            "gauge",
            "seconds",
            ("partition",),
            "Watermark of each request partition, as all workers publish them.",
        ),
        lambda stats: _by_partition(dict(stats.watermarks), 0.001),
    ),
)

BUILD_INFO = Metric("build_info", "info", "", ("version", "python", "faust", "river"), "What is running.")

METRICS: tuple[Metric, ...] = (
    *(each.metric for each in COUNTED.values()),
    EVIDENCE,
    *(each.metric for each in GAUGED.values()),
    *(each.metric for each in STAGE),
    *(each.metric for each in HISTOGRAMS),
    *(each.metric for each in PROCESS),
    BUILD_INFO,
)


def metrics_table() -> str:
    """Return the table of all metrics as Markdown."""
    rows = ["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    for metric in sorted(METRICS):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{PREFIX}{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(metrics_table(), end="")
