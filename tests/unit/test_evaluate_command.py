"""``stillwatch evaluate`` on the command line."""

import json

import pytest
from click.testing import CliRunner

from streams.commands.evaluate import MONTH_ACCOUNTS, MONTH_KINDS, evaluate
from streams.simulator.kinds import KINDS, counts


def test_list_names_rows_goals_and_campaigns():
    """Whoever wants to run a row finds its name."""
    lines = CliRunner().invoke(evaluate, ["--list"]).output.splitlines()

    assert ["D1", "one", "fixed", "prompt", "50"] == lines[1].split()[:5]
    assert any(line.startswith("D16") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shapes", "D99"], "there is no row 'D99'"),
        (["--seeds", "1-x"], "neither a seed nor a range"),
        (["--seeds", "20-1"], "names no seed"),
        (["--contamination", "2"], "shares above 0 and up to 1"),
    ],
)
def test_mistakes_are_told_before_anything_runs(arguments, words):
    """The message says what is possible."""
    done = CliRunner().invoke(evaluate, arguments)

    assert 0 != done.exit_code
    assert words in done.output + str(done.exception)


def test_benign_traffic_alone_is_measured(tmp_path):
    """No rows: benign exchanges and false cases, for the seeds that were asked for."""
    asked = ["--shapes", "none", "--seeds", "7", "--accounts", "200", "--hours", "0.2", "--no-baselines", "--json"]

    done = CliRunner().invoke(evaluate, [*asked, "--out", str(tmp_path)])

    found = json.loads(done.stdout)
    assert ({"tuning": [7]}, 1, []) == (found["splits"], found["runs"], found["rows"])
    assert found["events"] == found["benign_exchanges"] == sum(kind["exchanges"] for kind in found["kinds"]) > 0
    assert "## False cases" in (tmp_path / "report.md").read_text()


def test_a_month_has_a_group_of_every_kind():
    """A group that is named has three accounts: of each benign kind there are five or more."""
    found = counts(MONTH_ACCOUNTS, MONTH_KINDS)

    assert {kind.name for kind in KINDS} == set(found)
    assert min(found.values()) >= 5


def test_crowds_and_months_run_on_the_seeds_that_were_asked_for(monkeypatch):
    """With seeds of one's own there are neither, unless theirs are given too."""
    asked = []

    def take(tasks, *_):
        asked.append([task.run.key for task in tasks])
        return []

    monkeypatch.setattr("streams.commands.evaluate._measure", take)
    for more in ([], ["--crowd-seeds", "8,9", "--month-seeds", "3"]):
        done = CliRunner().invoke(evaluate, ["--shapes", "none", "--seeds", "7", "--no-baselines", "--json", *more])
        assert 0 == done.exit_code, done.output

    assert [["benign/7"], ["benign/7", "crowds/8", "crowds/9", "month/3"]] == asked
