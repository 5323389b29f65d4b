"""The rows of the evaluation, its seeds and its runs."""

from pathlib import Path

import pytest

from streams.errors import InputError
from streams.evaluate.rows import (
    REPORTING_SEEDS_FROM,
    TUNING_SEEDS,
    choose,
    goals,
    runs,
    split,
    table,
    with_contamination,
)
from streams.simulator.campaigns import SHAPES


def test_rows_cover_all_shapes():
    """D1 to D16 are there, and every shape of the simulator is in some row."""
    rows = table().rows

    assert {f"D{n}" for n in range(1, 17)} == {row.id.partition("-")[0] for row in rows}
    assert set(SHAPES) == {row.campaign.partition(":")[0] for row in rows}
    assert len(rows) == len({row.id for row in rows})
    assert {row.like for row in rows} - {""} <= {row.id for row in rows}


def test_the_table_of_rows_is_current():
    """The table in the README is what the code prints now."""
    readme = (Path(__file__).parents[2] / "streams/evaluate/README.md").read_text("utf-8")

    assert goals() in readme


def test_every_row_is_held_against_something():
    """A row without a goal is one of the shapes that the goals do not name."""
    without = {row.id for row in table().rows if row.goal is None and not row.like and not row.bound}

    assert "D14-twin" in without  # which D14-half is held against
    assert {"D12", "D13"} == {row.partition("-")[0] for row in without - {"D14-twin"}}


def test_tuning_and_reporting_seeds_are_apart():
    """No seed is both, and seeds of neither are called so."""
    assert TUNING_SEEDS[-1] < REPORTING_SEEDS_FROM
    assert ["tuning", "other", "reporting"] == [split(TUNING_SEEDS[-1]), split(2026), split(REPORTING_SEEDS_FROM)]


def test_rows_are_chosen_by_id_family_and_shape():
    """D5 means all its contaminations, and a shape all its rows; the order is the table's."""
    assert ["D5-10", "D5-5", "D5-1"] == [row.id for row in choose(["D5"])]
    assert ["D1", "D5-5"] == [row.id for row in choose(["D5-5", "D1"])]
    assert {"D3", "D15-paraphrase"} <= {row.id for row in choose(["paraphrase"])}
    with pytest.raises(InputError, match="no row 'D99'"):
        choose(["D99"])


def test_runs_go_seed_by_seed():
    """One run per set and seed, with the campaigns in the order of its rows."""
    rows = choose(["D1", "D2", "D4"])

    found = runs(rows, [1, 2], accounts=500)

    assert ["prompts/1", "slow/1", "prompts/2", "slow/2"] == [run.key for run in found]
    assert ("fixed_prompt", "template_variants") == tuple(spec.shape for spec in found[0].plan.campaigns)
    assert [500] * 4 == [run.plan.accounts for run in found]


def test_each_row_is_in_one_run_of_a_seed():
    """Over as many accounts as were asked for, but for the sets that run for a day or more."""
    found = runs(table().rows, [1], accounts=2_000)

    assert sorted(row.id for row in table().rows) == sorted(row.id for run in found for row in run.rows)
    assert [("words", 24), ("reseller_300", 24), ("sleepers", 264), ("half", 6)] == [
        (run.name, run.plan.hours) for run in found if run.plan.accounts != 2_000
    ]


def test_a_campaign_that_begins_later_keeps_its_hours():
    """What begins on the eleventh day is in no run of a day."""
    found = runs(choose(["D13-sleepers", "D1"]), [1], accounts=500, hours=24.0)

    assert {"sleepers": 264.0, "prompts": 24.0} == {run.name: run.plan.hours for run in found}


def test_rows_without_cover_traffic_have_no_share():
    """A reseller's accounts carry nothing else: a share would change no event."""
    assert ["D5-1@0.1"] == [row.id for row in with_contamination(choose(["D8", "D9", "D5-1"]), [0.1])]
    with pytest.raises(InputError, match="leave --contamination out"):
        with_contamination(choose(["D8"]), [0.1])


def test_contamination_makes_a_row_for_each_share():
    """The share replaces the one of the table, each in a run of its own, and the goal no longer holds."""
    rows = with_contamination(choose(["D5-10"]), [0.2, 0.02])

    found = runs(rows, [1], accounts=500)

    assert [("D5-10@0.2", None), ("D5-10@0.02", None)] == [(row.id, row.goal) for row in rows]
    assert [0.2, 0.02] == [run.plan.campaigns[0].share for run in found]
