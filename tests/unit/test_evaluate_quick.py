"""The evaluation in its quick mode, of the rows whose outcome is sure: two minutes of CPU."""

import json

import pytest
from click.testing import CliRunner

from streams.commands.evaluate import evaluate

CLUSTERS = ("D1", "D2", "D4", "D5-10", "D11", "D16")  # what must be caught on any seed and at any size
GROUPS = {"template", "prefix", "union", "careful-union"}  # methods whose alarms are about several accounts


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_quick_evaluation_catches_clusters_and_names_nobody_benign(tmp_path):
    """On a tuning seed: no benign account named, clusters caught within ten times their goals, and all written."""
    asked = ["--quick", "--shapes", ",".join(CLUSTERS), "--jobs", "1"]  # other tests run meanwhile
    done = CliRunner().invoke(evaluate, [*asked, "--json", "--out", str(tmp_path)])

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
    assert {
        "report.md",
        "report.json",
        "leak.svg",
        "members.svg",
        "precision.svg",
        "reliability.svg",
        "tail.svg",
        "runs.jsonl",
    } == {path.name for path in tmp_path.iterdir()}
    assert_that_a_higher_threshold_names_fewer(found["baselines"])


def assert_that_a_higher_threshold_names_fewer(baselines: list[dict]) -> None:
    """Whoever exceeds the higher of two thresholds exceeds the lower one; the matched one may be either of them.

    A law only where an alarm is about one account or window: those of groups are repeated as they grow, and where they
    are cut into cases depends on who was in the first.
    """
    differ = set()
    for base in baselines:
        if base["name"] in GROUPS:
            continue
        higher, lower = (0, 1) if base["matched_threshold"] >= base["usual_threshold"] else (1, 0)
        for what in ("false_cases", "innocents"):
            assert base[what][higher] <= base[what][lower], (base, what)
            if base[what][higher] < base[what][lower]:
                differ.add(base["name"])
    assert differ >= {"rate", "hst-shared"}  # so that a mix-up of the two would be seen
