"""The command `bench --soak` on a real broker, for seconds instead of hours."""

import json

import pytest
from click.testing import CliRunner

from streams.bench.soak import LEAST_LINES
from streams.cli import main

MINUTES, RATE = 0.3, 2_000


@pytest.mark.system
def test_a_short_soak(tmp_path):
    """Its lines go forward and hold figures of the worker and the broker, old requests are deleted meanwhile, and its
    verdict says that it was too short."""
    path = tmp_path / "soak.jsonl"
    arguments = ["bench", "--soak", str(path), "--minutes", str(MINUTES), "--rate", str(RATE), "--accounts", "1000"]
    result = CliRunner().invoke(main, [*arguments, "--json"], catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    found = json.loads(result.stdout)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert LEAST_LINES == len(lines)
    for name in ("seconds", "sent", "judged", "cpu_s", "forgotten", "checkpoint_bytes"):
        values = [line[name] for line in lines]
        assert sorted(values) == values, name
        assert values[-1] > 0, name
    for line in lines:
        assert line["sent"] - line["judged"] == line["lag"] >= 0
        assert line["sent"] <= 1.2 * RATE * line["seconds"] + 1_000
        assert line["rss_bytes"] > 100_000_000
        assert 0 < line["pss_bytes"] <= line["rss_bytes"]
        assert line["log_bytes"] <= line["disk_bytes"]
    last = lines[-1]
    assert 0 < last["held"]["campaigns accounts"] <= last["held"]["accounts accounts"] <= 2_000
    assert {"accounts", "tokens", "campaigns"} == set(last["state_bytes"])
    assert (last["sent"], last["forgotten"], False) == (found["sent"], found["forgotten"], found["steady"])
    assert 0 < found["events_per_s"] < 2 * RATE
