"""Disturbances do what they say, and the command writes what the library makes."""

import gzip
import json
from collections import Counter

import pytest
import zstandard
from click.testing import CliRunner

from streams.commands.simulate import simulate
from streams.contracts.hashing import partition_of
from streams.simulator import disturb
from streams.simulator.campaigns import DEFAULTS, parse
from streams.simulator.generate import Simulation, generate
from streams.simulator.plan import Disturbances, Plan
from streams.simulator.truth import read

LATENESS_MS = 5_000  # the detector's default


def delays(events):
    """How far each event lies behind the largest time before it, in ms."""
    largest, found = 0, []
    for event in events:
        found.append(max(largest - event.time_ms, 0))
        largest = max(largest, event.time_ms)
    return found


def disturbed(**shares):
    """A clean run, and the same run with disturbances."""
    plan = Plan(seed=4, accounts=400, hours=2.0)
    return list(generate(plan)), list(
        generate(Plan(seed=4, accounts=400, hours=2.0, disturbances=Disturbances(**shares)))
    )


def test_late_events_come_late_and_none_is_lost():
    """About the given share comes at least a minute too late; the events are the same."""
    clean, late = disturbed(late=0.05)
    found = delays(late)

    assert sorted(clean) == sorted(late)
    assert 0.03 * len(late) < sum(delay > disturb.LATE_MS[0] / 2 for delay in found) < 0.06 * len(late)


def test_reordered_events_stay_within_the_lateness():
    """Events out of order are never so late that the detector would call them late."""
    clean, mixed = disturbed(reordered=0.3)

    assert clean != mixed
    assert sorted(clean) == sorted(mixed)
    assert 0 < max(delays(mixed)) < LATENESS_MS


def test_duplicates_are_the_same_bytes_again():
    """About the given share of the events comes exactly twice, a little later."""
    clean, twice = disturbed(duplicates=0.1)
    counts = Counter(twice)

    assert set(clean) == set(counts)
    assert {1, 2} == set(counts.values())
    assert 0.08 * len(clean) < len(twice) - len(clean) < 0.12 * len(clean)


def test_duplicates_are_not_counted_in_the_truth():
    """The truth counts exchanges, not deliveries."""
    simulation = Simulation(Plan(accounts=100, hours=1.0, disturbances=Disturbances(duplicates=0.5)))

    assert sum(1 for _ in simulation) > simulation.truth.events


@pytest.mark.parametrize("partitions", [2, 4, 8])
def test_a_hot_partition_gets_its_share(partitions):
    """One partition carries 60 % of the traffic, the others share the rest."""
    wanted = Disturbances(hot_share=0.6, partitions=partitions)
    loads = Counter(
        partition_of(e.account_id, partitions)
        for e in generate(Plan(seed=9, accounts=3_000, hours=2.0, disturbances=wanted))
    )

    assert 0.5 < max(loads.values()) / loads.total() < 0.7
    assert partitions == len(loads)


def run(*arguments):
    """Run the command and return its result."""
    return CliRunner().invoke(simulate, [*map(str, arguments)])


SMALL = ("--accounts", 60, "--hours", 0.5, "--campaigns", "none", "--campaign", "fixed_prompt:accounts=5,start_h=0")


@pytest.mark.parametrize(
    ("suffix", "open_"),
    [(".jsonl", open), (".jsonl.gz", gzip.open), (".jsonl.zst", zstandard.open)],
)
def test_the_command_writes_the_events_and_the_truth(tmp_path, suffix, open_):
    """The file holds the library's events, compressed by its suffix, equal on every run; the truth lies beside it."""
    out, truth = tmp_path / f"traffic{suffix}", tmp_path / "truth.json"
    first = run(*SMALL, "--out", out, "--truth", truth, "--json")
    again = tmp_path / f"again{suffix}"
    run(*SMALL, "--out", again)
    spec = parse("fixed_prompt:accounts=5,start_h=0", DEFAULTS)
    expected = [e.value for e in generate(Plan(accounts=60, hours=0.5, campaigns=(spec,)))]

    with open_(out, "rb") as lines:
        assert expected == lines.read().splitlines()
    assert out.read_bytes() == again.read_bytes()
    summary = json.loads(first.stdout)
    assert len(expected) == summary["events"] == read(truth).events
    assert 5 == summary["campaigns"][0]["accounts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either"),
        (("--out", "a.jsonl", "--topic"), "give either"),
        (("--out", "a.jsonl", "--speed", 2), "--speed needs --topic"),
        (("--out", "no-such-folder/a.jsonl"), "no folder"),
        (("--out", "a.jsonl", "--start", "yesterday"), "no ISO 8601 time"),
        (("--out", "a.jsonl", "--campaign", "hidra"), "did you mean 'hydra'"),
    ],
)
def test_a_wrong_command_line_is_explained(tmp_path, monkeypatch, arguments, message):
    """What does not fit together ends with status 2 and says what to change."""
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)

    assert 2 == result.exit_code
    assert message in result.output


def test_the_command_lists_what_there_is():
    """The list names every shape and kind."""
    output = run("--list").output

    assert all(name in output for name in (*DEFAULTS, "hobbyist", "llm_gateway"))


def test_the_start_moves_the_events(tmp_path):
    """The first event lies in the hour that --start names."""
    run(*SMALL, "--out", tmp_path / "a.jsonl", "--start", "2026-01-05T10:00")
    first = json.loads((tmp_path / "a.jsonl").read_bytes().splitlines()[0])

    assert 1_767_607_200_000 <= first["event_time"] < 1_767_609_000_000
