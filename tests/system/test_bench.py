"""The command `bench` on a real broker."""

import json

from click.testing import CliRunner

from streams.cli import main


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


def test_rows_that_are_none():
    """A row that does not exist is refused with those that do."""
    result = CliRunner().invoke(main, ["bench", "--rows", "decode,fly"])
    assert 2 == result.exit_code
    assert "decode, replay, worker" in result.output
