"""Turn the numbers of a running worker into Prometheus metrics, when they are asked for.

Nothing here runs per event or per batch: the worker adds to plain integers (`stats`), and a scrape reads them. What a
scrape sees of the operators is at most one turn of the event loop's clockwork old.
"""

import math
import platform
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)

from streams.runtime.metric_table import (
    BUILD_INFO,
    COUNTED,
    EVIDENCE,
    GAUGED,
    HISTOGRAMS,
    PREFIX,
    PROCESS,
    STAGE,
    Counted,
    Gauged,
    Labels,
    Metric,
    Values,
)
from streams.runtime.stats import HostStats, StageStats

EVIDENCE_KEY = "evidence_bucket"


def make_registry(stats: HostStats) -> CollectorRegistry:
    """Return a registry of all metrics of this process, those of Python's process collector among them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCollector(stats))
    ProcessCollector(registry=registry)
    return registry


def undeclared(stats: StageStats) -> set[Labels]:
    """Return the keys of counters and gauges that no metric shows: a mistake in an operator or in the table."""
    gauges = {key for values in stats.gauges.values() for key in values}
    return {
        *(key for key in stats.counters if not _fits(key, COUNTED) and key[0] != EVIDENCE_KEY),
        *(key for key in gauges if not _fits(key, GAUGED)),
    }


class WorkerCollector:
    """Make all metric families of a worker at each scrape; may be called from any thread."""

    def __init__(self, stats: HostStats) -> None:
        self._stats = stats
        build = (version("stillwatch"), platform.python_version(), version("faust-streaming"), version("river"))
        self._build = (build, 1.0)

    def collect(self) -> Iterator[Family]:
        """Yield the families in the order of the table, each with the series of all stages."""
        stages = list(self._stats.stages.values())
        for head, counted in COUNTED.items():
            yield _family(counted.metric, (value for stats in stages for value in _counts(stats, head, counted)))
        yield _histogram(EVIDENCE, ((stats.stage, *_evidence(stats)) for stats in stages if _has_evidence(stats)))
        for head, gauged in GAUGED.items():
            yield _family(gauged.metric, (value for stats in stages for value in _gauges(stats, head, gauged)))
        for read in STAGE:
            series = (((stats.stage, *labels), value) for stats in stages for labels, value in read.values(stats))
            yield _summary(read.metric, series) if read.metric.kind == "summary" else _family(read.metric, series)
        for each in HISTOGRAMS:
            shown = [(stats.stage, each.histogram(stats)) for stats in stages if stats.stage in each.stages]
            yield _histogram(
                each.metric, ((stage, found.bounds, list(found.counts), found.sum) for stage, found in shown)
            )
        for process in PROCESS:
            yield _family(process.metric, process.values(self._stats))
        yield _family(BUILD_INFO, [self._build])


def _fits(key: Labels, table: dict[str, Counted] | dict[str, Gauged]) -> bool:
    """Tell whether a key has a metric and as many parts as that has labels."""
    found = table.get(key[0])
    if found is None:
        return False
    own = [label for label in found.metric.labels if label not in ("stage", "partition")]
    return len(key) - 1 == len(own)


def _counts(stats: StageStats, head: str, counted: Counted) -> Values:
    """Return the series of one count: those seen, and those that start at 0."""
    found = dict.fromkeys(counted.values, 0) if stats.stage in counted.stages else {}
    found |= {key[1:]: count for key, count in stats.counters.items() if key[0] == head and _fits(key, COUNTED)}
    return [((stats.stage, *labels), count) for labels, count in sorted(found.items())]


def _gauges(stats: StageStats, head: str, gauged: Gauged) -> Values:
    """Return the series of one gauge over the partitions of a stage."""
    found: dict[Labels, float] = {}
    for partition, values in sorted(stats.gauges.items()):
        for key, value in values.items():
            if key[0] != head or not _fits(key, GAUGED):
                continue
            labels = (str(partition), *key[1:]) if gauged.merge == "partition" else key[1:]
            before = found.get(labels)
            if before is None:
                found[labels] = value
            else:
                found[labels] = before + value if gauged.merge == "sum" else max(before, value)
    return [((stats.stage, *labels), value * gauged.scale) for labels, value in sorted(found.items())]


def _has_evidence(stats: StageStats) -> bool:
    return any(key[0] == EVIDENCE_KEY for key in stats.counters)


def _evidence(stats: StageStats) -> tuple[list[float], list[int], None]:
    """Return bounds without the last, counts with it, and no sum: evidence may be negative."""
    counts = {float(key[1]): count for key, count in stats.counters.items() if key[0] == EVIDENCE_KEY}
    beyond = counts.pop(math.inf, 0)
    bounds = sorted(counts)
    return bounds, [*(counts[bound] for bound in bounds), beyond], None


def _family(metric: Metric, series: Values) -> Family:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(PREFIX + metric.name, metric.help, labels=metric.labels)
    for labels, value in series:
        family.add_metric(labels, value)
    return family


def _summary(metric: Metric, series: Values) -> Family:
    """Make a summary of count and sum from series whose last label says which of the two they are."""
    family = SummaryMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    by_stage: dict[Labels, dict[str, float]] = {}
    for (*labels, part), value in series:
        by_stage.setdefault(tuple(labels), {})[part] = value
    for labels_, found in by_stage.items():
        family.add_metric(labels_, count_value=int(found["count"]), sum_value=found["sum"])
    return family


def _histogram(
    metric: Metric, series: Iterable[tuple[str, Collection[float], list[int], float | None]]
) -> HistogramMetricFamily:
    """Make a histogram from (stage, bounds, counts of each bucket by itself, sum)."""
    family = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    for stage, bounds, counts, total in series:
        buckets, so_far = [], 0
        for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        family.add_metric([stage], buckets, total)
    return family
