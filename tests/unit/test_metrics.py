"""Metrics: what is declared, what a scrape shows, and that both are the same."""

import math
import re
import threading
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from streams.runtime.histogram import Histogram, alert_latency_s
from streams.runtime.metric_table import METRICS, PREFIX, metrics_table
from streams.runtime.metrics import make_registry, undeclared
from streams.runtime.stats import HostStats, StageStats

DEPLOY = Path(__file__).parents[2] / "deploy"
LABELS = {
    *("stage", "outcome", "reason", "field", "category", "severity", "status", "model", "kind", "segment", "partition"),
    *("version", "python", "faust", "river"),
}


class FakeOperator:
    """What metrics see of an operator."""

    def __init__(
        self, counters: dict[tuple[str, ...], int], gauges: dict[tuple[str, ...], float] | None = None
    ) -> None:
        self.counters = counters
        self._gauges = gauges or {}

    def gauges(self) -> dict[tuple[str, ...], float]:
        return dict(self._gauges)


EVERYTHING_COUNTED = {
    ("events", "accepted"): 90,
    ("events", "late"): 10,
    ("dead_letters", "broken_json"): 3,
    ("field_faults", "user_agent"): 4,
    ("misrouted", "missing_key"): 1,
    ("watermark_forced",): 2,
    ("sightings",): 5,
    ("signals",): 6,
    ("links",): 7,
    ("repeated_items",): 8,
    ("tokens_evicted_early",): 9,
    ("accounts_evicted",): 10,
    ("alerts", "distillation", "high", "open"): 11,
    ("drift", "adwin"): 12,
    ("model_learn", "ewmean"): 13,
    ("model_skip", "ewmean"): 14,
    ("model_capped", "half_space_trees"): 16,
    ("reference_swaps",): 17,
    ("state_made_otherwise",): 18,
    ("evidence_bucket", "-5"): 1,
    ("evidence_bucket", "0"): 2,
    ("evidence_bucket", "2.5"): 3,
    ("evidence_bucket", "+Inf"): 4,
    ("ticks",): 15,
}
EVERYTHING_GAUGED = {
    ("watermark_ms",): 1_767_225_600_042.0,
    ("held", "accounts"): 20.0,
    ("reference_size", "pro/code"): 30.0,
    ("reference_age_ms", "pro/code"): 1_500.0,
    ("quarantine_share",): 0.25,
    ("buffered_items",): 40.0,
    ("state_bytes",): 50.0,
    ("threshold_nats",): 11.5,
}


def worker(*stages: StageStats) -> HostStats:
    for stage in stages:
        stage.mirror()
    return HostStats(stages={stage.stage: stage for stage in stages}, watermarks={0: 1_000.0})


def full_worker() -> HostStats:
    """A worker in which every metric has a value."""
    campaigns = StageStats("campaigns", lag={0: 7}, operators={0: FakeOperator(EVERYTHING_COUNTED, EVERYTHING_GAUGED)})
    campaigns.alert_latency.observe(3.0)
    return worker(StageStats("accounts"), StageStats("tokens"), campaigns)


def scrape(stats: HostStats) -> dict[tuple[str, ...], float]:
    """Return samples by name without prefix and label values with the stage first, as Prometheus would read them."""
    order = ["stage", *sorted(LABELS - {"stage"}), "le"]
    text = generate_latest(make_registry(stats)).decode()
    return {
        (
            sample.name.removeprefix(PREFIX),
            *(sample.labels[name] for name in order if name in sample.labels),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def named(text: str) -> set[str]:
    """Return the names of our metrics in a text, histogram and summary series as their family."""
    found = set(re.findall(rf"\b{PREFIX}[a-z0-9_]+", text))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def test_names_keep_the_conventions():
    """Names are unique, counters end in _total, base units are suffixes, labels are enumerations."""
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        if metric.unit in ("seconds", "bytes", "ratio"):
            assert metric.name.removesuffix("_total").endswith(metric.unit)
        assert set(metric.labels) <= LABELS
        assert metric.help.endswith(".")


def test_scrape_shows_exactly_what_is_declared():
    """Each declared metric is in a full scrape, and nothing else is but the process metrics."""
    text = generate_latest(make_registry(full_worker())).decode()
    shown = {
        sample.name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.startswith(("process_", "python_"))
    }

    assert {PREFIX + metric.name for metric in METRICS} == shown


def test_scrape_in_openmetrics_is_valid():
    """The strict OpenMetrics parser accepts a full scrape."""
    families = list(parse_openmetrics(generate_openmetrics(make_registry(full_worker())).decode()))
    assert len(families) >= len(METRICS)


def test_labels_are_as_declared():
    """Each series has the labels of its metric and no others."""
    declared = {PREFIX + metric.name: set(metric.labels) for metric in METRICS}
    text = generate_latest(make_registry(full_worker())).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = re.sub(r"_(bucket|sum|count)$", "", sample.name)
            if name in declared:
                assert declared[name] == set(sample.labels) - {"le"}, name


def test_operator_counts_are_shown():
    """Counts and gauges of operators appear under their metric, in base units."""
    found = scrape(full_worker())

    assert found["events_total", "campaigns", "late"] == 10
    assert found["alerts_total", "campaigns", "distillation", "high", "open"] == 11
    assert found["misrouted_records_total", "campaigns", "missing_key"] == 1
    assert found["watermark_timestamp_seconds", "campaigns", "0"] == pytest.approx(1_767_225_600.042)
    assert found["reference_age_seconds", "campaigns", "pro/code"] == 1.5
    assert found["quarantine_ratio", "campaigns"] == 0.25
    assert found["consumer_lag_records", "campaigns", "0"] == 7
    assert found["request_watermark_timestamp_seconds", "0"] == 1.0


def test_partitions_of_a_stage_are_added_up():
    """Counts and sizes are sums over partitions; watermarks stay by partition; ages and shares are the largest."""
    one = FakeOperator(
        {("events", "accepted"): 1}, {("held", "accounts"): 2.0, ("watermark_ms",): 1_000.0, ("quarantine_share",): 0.1}
    )
    other = FakeOperator(
        {("events", "accepted"): 10},
        {("held", "accounts"): 20.0, ("watermark_ms",): 2_000.0, ("quarantine_share",): 0.3},
    )
    found = scrape(worker(StageStats("accounts", operators={0: one, 3: other})))

    assert found["events_total", "accounts", "accepted"] == 11
    assert found["held_objects", "accounts", "accounts"] == 22
    assert found["watermark_timestamp_seconds", "accounts", "0"] == 1.0
    assert found["watermark_timestamp_seconds", "accounts", "3"] == 2.0
    assert found["quarantine_ratio", "accounts"] == 0.3


def test_counts_survive_a_rebalance():
    """A counter never falls: what operators counted before they were taken away stays in it."""
    stage = StageStats("accounts", operators={0: FakeOperator({("events", "accepted"): 5})})
    stage.retire()
    assert scrape(worker(stage))["events_total", "accounts", "accepted"] == 5

    stage.operators = {1: FakeOperator({("events", "accepted"): 2}, {("held", "accounts"): 1.0})}
    stats = worker(stage)
    assert scrape(stats)["events_total", "accounts", "accepted"] == 7
    stage.retire()
    stage.retire()
    found = scrape(stats)
    assert found["events_total", "accounts", "accepted"] == 7
    assert ("held_objects", "accounts", "accounts") not in found


def test_counts_start_at_zero():
    """Series that alerts build on exist before the first event, or the first increase would be missed."""
    found = scrape(worker(StageStats("accounts")))
    assert found["events_total", "accounts", "late"] == 0
    assert found["misrouted_records_total", "accounts", "missing_key"] == 0
    assert found["batches_total", "accounts", "skipped"] == 0


def test_histogram_buckets_are_cumulative():
    """A bucket counts all observations up to its bound, the bound included."""
    stage = StageStats("tokens", processing=Histogram((0.01, 0.1)))
    for seconds in (0.01, 0.02, 0.05, 3.0):
        stage.processing.observe(seconds)
    found = scrape(worker(stage))

    assert [1, 3, 4] == [found["batch_processing_seconds_bucket", "tokens", le] for le in ("0.01", "0.1", "+Inf")]
    assert found["batch_processing_seconds_count", "tokens"] == 4
    assert found["batch_processing_seconds_sum", "tokens"] == pytest.approx(3.08)


def test_evidence_is_a_histogram():
    """Counts by bound become cumulative buckets in order of the bounds; negative ones are allowed."""
    found = scrape(full_worker())
    bounds = ("-5.0", "0.0", "2.5", "+Inf")
    assert [1, 3, 6, 10] == [found["evidence_nats_bucket", "campaigns", le] for le in bounds]
    assert ("evidence_nats_sum", "campaigns") not in found


def test_undeclared_keys_are_found():
    """A key that no metric shows, or with the wrong number of parts, is told, and does not break a scrape."""
    stage = StageStats("tokens", operators={0: FakeOperator({("links", "x"): 1, ("typo",): 2}, {("held",): 3.0})})
    stats = worker(stage)

    assert undeclared(stage) == {("links", "x"), ("typo",), ("held",)}
    assert scrape(stats)["links_total", "tokens"] == 0
    assert undeclared(full_worker().stages["campaigns"]) == set()


def test_scrapes_while_the_worker_counts():
    """A scrape from another thread never fails or goes backwards while operators come, count and go."""
    counters: dict[tuple[str, ...], int] = {("events", "accepted"): 0}
    stage = StageStats("accounts", operators={0: FakeOperator(counters)})
    stats = worker(stage)
    seen: list[float] = []
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            while len(seen) < 40:
                seen.append(scrape(stats)["events_total", "accounts", "accepted"])
        except BaseException as error:
            failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    turn = 0
    while watcher.is_alive():
        turn += 1
        counters["events", "accepted"] += 1
        counters["field_faults", f"field{turn % 300}"] = turn
        stage.lag = dict.fromkeys(range(turn % 7), turn)
        stage.mirror()
        if turn % 50 == 0:
            stage.retire()
            counters = {("events", "accepted"): 0}
            stage.operators = {turn: FakeOperator(counters)}
    stage.mirror()

    assert failures == []
    assert sorted(seen) == seen
    assert seen[0] < seen[-1] <= turn
    assert scrape(stats)["events_total", "accounts", "accepted"] == turn


def test_latency_of_an_alert():
    """The latency is the time since ce_time, never negative, and unknown without that header."""
    headers = [("ce_id", b"x:1"), ("ce_time", b"2026-01-01T00:00:00.042Z")]
    assert alert_latency_s(headers, 1_767_225_602.542) == pytest.approx(2.5)
    assert alert_latency_s(headers, 0.0) == 0.0
    assert alert_latency_s([], 1.0) is None


def test_mirror_is_paced():
    """The clockwork may ask several times a second; the operators are read once a second."""
    counters = {("events", "accepted"): 1}
    stage = StageStats("accounts", operators={0: FakeOperator(counters)})
    stage.mirror(100.0)
    counters["events", "accepted"] = 2
    stage.mirror(100.9)
    assert stage.counters == {("events", "accepted"): 1}
    stage.mirror(101.0)
    assert stage.counters == {("events", "accepted"): 2}


def test_page_of_metrics_is_generated():
    """deploy/METRICS.md holds the table that `python -m streams.runtime.metric_table` prints."""
    assert metrics_table() in (DEPLOY / "METRICS.md").read_text()


@pytest.mark.parametrize("name", ["rules.yml", "METRICS.md", "prometheus.yml"])
def test_deployed_files_name_metrics_that_exist(name):
    """Each of our metrics that a rule, scrape configuration or page names is declared."""
    mentioned = named((DEPLOY / name).read_text())
    assert mentioned <= {PREFIX + metric.name for metric in METRICS}
    assert mentioned or name == "prometheus.yml"


def test_histogram_takes_every_number():
    """Infinity belongs to the last bucket."""
    histogram = Histogram((1.0,))
    histogram.observe(math.inf)
    assert histogram.counts == [0, 1]
