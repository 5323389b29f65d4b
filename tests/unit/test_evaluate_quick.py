"""The whole evaluation in its quick mode: minutes."""

import json

import pytest
from click.testing import CliRunner

from streams.commands.evaluate import evaluate

CLUSTERS = ("D1", "D2", "D4", "D5-10", "D11", "D16")  # what must be caught on any seed and at any size


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(1_800)
def test_quick_evaluation_catches_clusters_and_names_nobody_benign(tmp_path):
    """On a tuning seed: no benign account named, clusters caught within ten times their goals, and all written."""
    done = CliRunner().invoke(evaluate, ["--quick", "--json", "--out", str(tmp_path)])

    assert 0 == done.exit_code, done.output
    found = json.loads(done.stdout)
    rows = {row["id"]: row for row in found["rows"]}
    assert ([1], {"tuning"}) == (found["splits"]["tuning"], set(found["splits"]))
    assert (0, 0) == (found["benign_named"], found["false_cases"])
    for name in CLUSTERS:
        row = rows[name]
        assert row["caught"] == row["seeds"] == 1, name
        assert row["figure"]["median"] <= 10 * row["goal"], name
        assert 1.0 == row["precision"], name
        assert row["recall"] >= 0.8, name
    assert all(base["false_cases"][0] <= base["false_cases"][1] for base in found["baselines"])
    assert {"report.md", "report.json", "leak.svg", "members.svg", "reliability.svg", "tail.svg", "runs.jsonl"} == {
        path.name for path in tmp_path.iterdir()
    }
