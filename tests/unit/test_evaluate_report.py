"""What is made of the results of many runs: goals, tables, plots; and how runs are kept."""

import xml.etree.ElementTree as ET

import msgspec
import pytest

from streams.config import Settings
from streams.errors import StillwatchError
from streams.evaluate import report, summary, workers
from streams.evaluate.baselines import METHODS
from streams.evaluate.calibration import BUDGETS_A_DAY, budgets, calibration_error, candidates
from streams.evaluate.markdown import markdown
from streams.evaluate.plots import Curve, chart, steps
from streams.evaluate.results import ByBaseline, FalseCase, Group, Measured, Members, Result
from streams.evaluate.rows import Row, benign_runs
from streams.evaluate.run import Task, execute
from streams.simulator.campaigns import CampaignSpec

ROW = Row("D1", "one fixed prompt", "prompts", "fixed_prompt", goal=50)


def measured(leaked: int | None, row: str = "D1", **fields: object) -> Measured:
    """A campaign of 500 exchanges that was caught after some, or not."""
    caught = leaked is not None
    one = Measured(
        row, "fixed_prompt", "distillation", 60, 500, 0, caught, "distillation" if caught else "",
        500 if leaked is None else leaked, leaked, 12.0 if caught else None, 60 * caught, 60 * caught, 60, 57 * caught,
        [Members(0.0, 20, 20, 30, 18), Members(30.0, 60, 60, 60, 57)] if caught else [], int(caught), 1, int(caught),
        12.0 if caught else None, 11.5 if caught else None, 0.8, 14.0 if caught else 9.0,
    )  # fmt: skip
    return msgspec.structs.replace(one, **fields)


def result(seed: int, *campaigns: Measured, name: str = "prompts", **fields: object) -> Result:
    """A run with a million benign exchanges of two kinds."""
    one = Result(
        f"{name}/{seed}", f"{name}{seed}", name, seed, "tuning", 1_001_000, 6.0, 20_000,
        {"course": 400_000, "hobbyist": 600_000}, ["course"], 0.001, list(campaigns), [], 0, 60, 1.0,
        [Group(14.0, 0.92, "1-x"), Group(3.0, 0.0002, ""), Group(-2.0, 0.0, "")], {}, {}, {}, 100.0, 900, f"{seed}",
    )  # fmt: skip
    return msgspec.structs.replace(one, **fields)


@pytest.mark.parametrize(
    ("leaks", "met", "why"),
    [
        ([20, 40, 60], True, ""),
        ([20, 70, 75], False, "1.4 times the goal"),
        ([20, 40, 200], False, "the worst seed at 4.0 times the goal"),
        ([20, 40, None], False, "the worst seed never within its run (1 of 3)"),
        ([20, None, None], False, "not within the run for 2 of 3 seeds, evidence reached 9.0 nats"),
    ],
)
def test_goal_is_held_against_median_and_worst_seed(leaks, met, why):
    """The median must reach the goal and the worst seed three times the goal; a miss is worse than any number."""
    found = summary.summarise_row(ROW, [result(i, measured(leak)) for i, leak in enumerate(leaks)])

    assert (met, why) == (found.met, found.why)


def test_row_like_another_may_leak_twice_as_much():
    """The goal of such a row is twice the median leak of the other one."""
    poisoned = Row("D14", "from the start", "early", "fixed_prompt", like="D1")
    runs = [result(1, measured(30)), result(1, measured(61, "D14"), name="early")]

    rows = report.summarise(runs, [poisoned, ROW], 0.02).rows

    assert [("D14", 60.0, False), ("D1", 50.0, True)] == [(row.id, row.goal, row.met) for row in rows]


def test_row_says_precision_recall_and_bound():
    """Sums over the seeds, the bound by the threshold of the alerts and the measured divergence."""
    found = summary.summarise_row(ROW, [result(1, measured(20)), result(2, measured(24, named=64))])

    assert pytest.approx((1.0 + 60 / 64) / 2) == found.precision
    assert (pytest.approx(0.95), 24.0, pytest.approx(11.5 / 0.8)) == (found.recall, found.leaked.median, found.bound)


def test_false_cases_of_one_background_count_once():
    """Two runs of one seed have the same benign events, and a false case in both is one."""
    false = FalseCase("course", "distillation", 3, 3, True, 1.0, {"I1": 12.0})
    runs = [result(1, name=name, false_cases=[false]) for name in ("prompts", "slow")] + [result(2)]

    kinds = {kind.kind: (kind.exchanges, kind.cases, kind.per_10m) for kind in summary.summarise_kinds(runs)}

    assert {"course": (800_000, 1, 12.5), "hobbyist": (1_200_000, 0, 0.0)} == kinds
    assert 5.0 == report.summarise(runs, [], 0.02).false_per_10m


def test_calibration_counts_groups_by_score():
    """A bin for each tenth that holds any, and the share of benign groups that reach so many nats."""
    found = report.summarise([result(1)], [], 0.02)

    assert [(0.0, 2, 0.0), (0.9, 1, 1.0)] == [(b.low, b.groups, b.hostile) for b in found.reliability]
    assert [(0.0, 0.5), (3.0, 0.5), (4.0, 0.0)] == [found.tail[i][:2] for i in (0, 3, 4)]


def test_reliability_says_how_sure_it_is():
    """Shares with exact intervals, the mean distance of score and share, and benign groups of one background once."""
    runs = [result(1, name=name) for name in ("prompts", "slow")] + [result(2)]

    found = report.summarise(runs, [], 0.02)

    assert [(0.0, 4, 0.0), (0.9, 3, 1.0)] == [(b.low, b.groups, b.hostile) for b in found.reliability]
    assert [(0.0, 0.602), (0.292, 1.0)] == [tuple(round(x, 3) for x in b.interval) for b in found.reliability]
    assert 7 == len(candidates(runs))
    parts = [Group(nats, 0.1, "1-x") for nats in (6.0, 13.0, 2.0)]
    assert [parts[1]] == candidates([result(3, groups=parts)])
    assert pytest.approx((4 * 0.0001 + 3 * 0.08) / 7) == found.calibration_error == calibration_error(found.reliability)


def test_false_cases_are_held_against_budgets_on_seeds_of_each_kind():
    """A benign group of 8 nats is a false case at a budget of 2 a day, of 6 hours each; tuning seeds stand apart."""
    near, far = Group(8.0, 0.03, ""), Group(1.0, 0.0, "")
    runs = [
        result(1, groups=[near, near, near]),
        result(20_001, split="reporting", groups=[near, far]),
        result(20_001, split="reporting", groups=[far, far], name="slow"),
        result(20_002, split="reporting", groups=[far]),
    ]
    false = FalseCase("course", "distillation", 3, 3, True, 1.0, {"I1": 12.0})
    runs[3].false_cases.append(false)

    found = report.summarise(runs, [], 0.02)

    held_out = {b.a_day: b for b in found.budgets if b.split == "reporting"}
    assert list(BUDGETS_A_DAY) == list(held_out)
    assert [0, 1, 1] == [held_out[a_day].reached for a_day in (0.1, 2.0, 50.0)]
    two = held_out[2.0]
    assert (0.5, 3, 1.0, 0.003, None) == (two.days, two.groups, two.allowed, round(two.expected, 6), two.cases)
    assert [1, 0] == [b.cases for b in found.budgets if b.a_day == 0.02]
    assert 3 == next(b.reached for b in found.budgets if b.split == "tuning" and b.a_day == 2.0)
    assert [0.02, 0.03] == [b.a_day for b in budgets(runs, 0.03, {}) if b.split == "tuning"][:2]
    assert "| held out | 2 | 6.91 | 3 | 1.00 | 0.003 | 1 (0.03 - 5.57) |  |" in markdown(found)


def test_baseline_is_beaten_by_who_is_earlier():
    """On the same seeds, at the threshold without false cases; both never is no defeat."""
    by = ByBaseline(leaked={"D1": 30}, cases=2, false_by_kind={"course": 1}, hostile_named=10, innocents=10)
    names = {entry.name for entry in METHODS}
    all_by = dict.fromkeys(names, ByBaseline(leaked={"D1": None})) | {"template": by}
    runs = [result(1, measured(40), baselines=all_by, usual=all_by, highest=dict.fromkeys(names, 3.0))]

    found = report.summarise(runs, [ROW], 0.02, calibration=runs)

    row = found.rows[0].baselines
    assert (30.0, False, True) == (row["template"].matched, row["template"].beaten, row["rate"].beaten)
    template = next(base for base in found.baselines if base.name == "template")
    assert (3.0, (1, 1), (10.0, 10.0), (0.5, 0.5)) == (
        template.matched_threshold, template.false_cases, template.false_per_10m, template.precision
    )  # fmt: skip
    assert "30 / 30 **earlier**" in markdown(found)


def test_report_says_which_seeds_it_used(tmp_path):
    """Tuning and reporting seeds are named as such, and every table and plot is there."""
    runs = [result(1, measured(20)), result(20_001, measured(None), split="reporting")]

    report.write(report.summarise(runs, [ROW], 0.02), tmp_path)

    text = (tmp_path / "report.md").read_text()
    assert "tune the detector (no evidence of how good it is): 1." in text
    assert "Reporting seeds, which nobody tuned on: 20001." in text
    assert "| D1 | one fixed prompt | exchanges leaked | 50 | never (20 - never) | never | **no**" in text
    for name in ("leak.svg", "members.svg", "precision.svg", "reliability.svg", "tail.svg"):
        assert f"({name})" in text
        ET.fromstring((tmp_path / name).read_text())
    assert 2 == msgspec.json.decode((tmp_path / "report.json").read_bytes())["rows"][0]["seeds"]


def test_chart_keeps_its_curves_inside():
    """Points lie between the axes, also on logarithmic ones; what a logarithm cannot show is left out."""
    svg = chart("t", "x", "y", [Curve("a<b", [(0.0, 1.0), (1.0, 0.5), (1_000.0, 1.0)])], log_x=True)

    lines = ET.fromstring(svg).findall("{*}polyline")
    points = [tuple(map(float, point.split(","))) for point in lines[0].attrib["points"].split()]
    assert 2 == len(points)
    assert all(62 <= x <= 570 and 34 <= y <= 372 for x, y in points)
    assert [(2.0, 0.0), (2.0, 0.5)] == steps([2.0, None])


SMALL = Task(benign_runs([1], 200, 0.2)[0], Settings())


def test_runs_that_are_kept_are_not_done_again(tmp_path):
    """A result is known by code, plan and settings; a line that was cut off is done again."""
    told: list[tuple[str, bool]] = []

    def work() -> Result:
        def finished(found: Result, before: bool) -> None:
            told.append((found.key, before))

        return workers.work([SMALL], tmp_path, 1, lambda task: None, lambda *_: None, finished)[0]

    first = work()
    assert first == work()
    assert [("benign/1", False), ("benign/1", True)] == told
    kept = tmp_path / "runs.jsonl"
    assert [SMALL.digest] == list(workers.done_before(tmp_path))
    kept.write_bytes(kept.read_bytes()[:-20])
    assert {} == workers.done_before(tmp_path)
    work()
    assert [SMALL.digest] == list(workers.done_before(tmp_path))


def test_other_code_makes_another_result():
    """Neither code nor plan nor thresholds can change without the run being done again."""
    tasks = [
        SMALL,
        msgspec.structs.replace(SMALL, code="x"),
        msgspec.structs.replace(SMALL, matched={"rate": 1.0}),
        msgspec.structs.replace(SMALL, run=benign_runs([2], 200, 0.2)[0]),
    ]

    assert 4 == len({task.digest for task in tasks})


def test_failed_run_is_told(tmp_path):
    """What its process said last is in the error."""
    plan = msgspec.structs.replace(SMALL.run.plan, campaigns=(CampaignSpec("no such shape", 1, 1.0),))
    broken = msgspec.structs.replace(SMALL, run=msgspec.structs.replace(SMALL.run, plan=plan))

    with pytest.raises(StillwatchError, match=r"(?s)benign/1 failed.*no such shape"):
        workers.work([broken], tmp_path, 1, lambda task: None, lambda *_: None, lambda *_: None)


def test_run_is_the_same_each_time():
    """Equal tasks give equal results, but for the time they took."""
    task = Task(benign_runs([3], 200, 0.3)[0], Settings(), matched={})

    one, other = (msgspec.structs.replace(execute(task), cpu_s=0.0, memory_mb=0) for _ in range(2))

    assert one == other
    assert one.events == sum(one.benign.values()) > 0
