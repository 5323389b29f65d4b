"""The command `bench` on a real broker."""

import json

import pytest
from click.testing import CliRunner

from streams.bench.table import KINDS, NOT_INSTALLED, missing
from streams.cli import main

FRAMEWORKS = ("accounts-volatile", "accounts", "faust", "faust-take", "quix", "bytewax")


def test_all_rows():
    """Every row is measured in one run, and the worker gives the alerts of the replay."""
    arguments = ["bench", "--accounts", "500", "--events", "50000", "--json"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    found = json.loads(result.stdout)
    decode, replay, worker = found["rows"]
    assert ["decode only", "replay", "worker"] == [row["row"] for row in found["rows"]]
    assert [50_000, 50_000] == [row["events"] for row in (decode, replay)]
    assert "" == worker["void"]
    assert replay["alerts"] == worker["alerts"] > 0
    # replay and worker are so close by now that a busy machine may turn them round
    assert decode["cpu_us_per_event"] < min(replay["cpu_us_per_event"], worker["cpu_us_per_event"])
    assert {"accounts", "tokens", "campaigns"} == set(replay["stages_us_per_event"])
    assert replay["memory_bytes"] > 0
    assert worker["start_cpu_s"] > 0
    assert 0 < sum(worker["threads_us_per_event"].values()) <= 1.1 * worker["cpu_us_per_event"]


@pytest.mark.slow
def test_side_by_side(tmp_path):
    """Every framework that is installed gives the product's sightings and signals; others are said to be missing."""
    page = tmp_path / "bench.md"
    names = ("aiokafka", "confluent", "worker-decode", *FRAMEWORKS)
    arguments = ["bench", "--accounts", "500", "--events", "30000", "--rows", ",".join(names)]
    result = CliRunner().invoke(main, [*arguments, "--markdown", str(page), "--json"], catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    lines = {line["name"]: line for line in json.loads(result.stdout)["lines"]}
    assert set(names) == set(lines)
    for name, line in lines.items():
        assert (NOT_INSTALLED if missing(name) else "") == line["void"], name
    cpu = {name: line["cpu_us_per_event"][0] for name, line in lines.items() if not line["void"]}
    assert 5 * cpu["accounts"] < min(cpu["faust"], cpu["faust-take"])
    assert 1.0 == lines["worker-decode"]["share_of_limit"]
    assert all(KINDS[name].label in page.read_text() for name in names)
    assert page.with_suffix(".svg").read_text().startswith("<svg")


def test_two_workers():
    """Two workers over more partitions give the alerts of the replay, and the CPU of both counts."""
    arguments = ["bench", "--accounts", "500", "--events", "100000", "--rows", "campaigns,replay,worker-two", "--json"]
    partitions = {f"STILLWATCH_KAFKA__{name}_PARTITIONS": "8" for name in ("REQUEST", "SIGHTING")}
    result = CliRunner().invoke(main, arguments, env=partitions, catch_exceptions=False)
    alone, replay, two = json.loads(result.stdout)["rows"]
    assert ["", "", ""] == [row["void"] for row in (alone, replay, two)]  # first: it names the cause
    assert 0 == result.exit_code, result.output
    assert replay["alerts"] == two["alerts"] > 0
    assert two["cpu_us_per_event"] > 0.7 * replay["cpu_us_per_event"]
    assert {"signals", "links"} == set(alone["us_per_item"])


def test_rows_that_are_none():
    """A row that does not exist is refused with those that do."""
    result = CliRunner().invoke(main, ["bench", "--rows", "decode,fly"])
    assert 2 == result.exit_code
    assert "replay, worker-volatile, worker" in result.output
