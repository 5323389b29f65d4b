"""Write what was measured: `report.json` for programs, `report.md` with plots for people."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from streams import __version__
from streams.evaluate import calibration as calibrated
from streams.evaluate import summary
from streams.evaluate.compare import summarise_methods, thresholds
from streams.evaluate.intervals import rate_interval
from streams.evaluate.markdown import markdown
from streams.evaluate.plots import Curve, chart, steps
from streams.evaluate.results import Result, backgrounds
from streams.evaluate.rows import Row

DAY_H = 24.0


def summarise(
    runs: Sequence[Result], rows: Sequence[Row], false_cases_per_day: float, calibration: Sequence[Result] = ()
) -> summary.Summary:
    """Bring all runs together; rows without a run are left out. ``calibration`` are benign runs of the baselines."""
    splits: dict[str, set[int]] = {}
    for run in runs:
        splits.setdefault(run.split, set()).add(run.seed)
    found: dict[str, summary.RowSummary] = {}
    measured = {m.row for run in runs for m in run.measured}
    for row in sorted(rows, key=lambda row: bool(row.like)):
        if row.id in measured:
            like = found[row.like].leaked.median if row.like in found else None
            found[row.id] = summary.summarise_row(row, runs, like)
    kinds = summary.summarise_kinds(runs)
    distinct = [same[0] for same in backgrounds(runs)]
    alarms = sum(kind.cases for kind in kinds)
    exposure = max(sum(run.benign_exchanges for run in distinct), 1) / summary.PER_EXCHANGES
    innocents, hostile = sum(run.benign_named for run in runs), sum(run.hostile_named for run in runs)
    groups = calibrated.candidates(runs)
    bins = calibrated.reliability(groups)
    false = {name: summary.summarise_kinds([run for run in runs if run.split == name]) for name in splits}
    by_split = {name: sum(kind.cases for kind in found_kinds) for name, found_kinds in false.items()}
    days = sum(run.hours for run in distinct) / DAY_H
    return summary.Summary(
        version=__version__,
        splits={name: sorted(seeds) for name, seeds in sorted(splits.items())},
        runs=len(runs),
        events=sum(run.events for run in runs),
        benign_exchanges=sum(run.benign_exchanges for run in distinct),
        simulated_days=round(days, 2),
        cpu_h=round(sum(run.cpu_s for run in runs) / 3_600, 2),
        accounts=sorted({run.accounts for run in runs}),
        rows=[found[row.id] for row in rows if row.id in found],
        kinds=kinds,
        false_cases=alarms,
        false_per_10m=alarms / exposure,
        false_interval=rate_interval(alarms, exposure),
        benign_named=sum(max(run.benign_named for run in same) for same in backgrounds(runs)),
        precision=hostile / (hostile + innocents) if hostile + innocents else None,
        budget_cases=false_cases_per_day * days,
        baselines=summarise_methods(runs, list(found.values()), thresholds(calibration)) if calibration else [],
        calibrated_on=sum(run.benign_exchanges for run in calibration),
        budgets=calibrated.budgets(runs, false_cases_per_day, by_split),
        reliability=bins,
        calibration_error=calibrated.calibration_error(bins),
        brier=calibrated.brier(groups),
        tail=calibrated.tail(groups),
    )


def write(found: summary.Summary, folder: Path) -> None:
    """Write the report and its plots into a folder."""
    folder.joinpath("report.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    for name, svg in plots(found).items():
        folder.joinpath(name).write_text(svg)
    folder.joinpath("report.md").write_text(markdown(found))


def plots(found: summary.Summary) -> dict[str, str]:
    """Draw the plots, by file name."""
    leaks = [Curve(row.id, steps([None if v is None else max(v, 1) for v in row.leaks])) for row in found.rows]
    members = [
        Curve(row.id, [(max(m.minutes, 1.0), m.due_named / m.due) for m in row.members if m.due]) for row in found.rows
    ]
    right = [
        Curve(row.id, [(max(m.minutes, 1.0), m.right / m.named) for m in row.members if m.named]) for row in found.rows
    ]
    scores = [
        Curve("groups", [(b.score, b.hostile) for b in found.reliability], dots=True),
        Curve("calibrated", [(0.0, 0.0), (1.0, 1.0)]),
    ]
    tails = [
        Curve("benign groups", [(nats, share) for nats, share, _ in found.tail], dots=True),
        Curve("exp(-nats)", [(nats, limit) for nats, _, limit in found.tail]),
    ]
    return {
        "leak.svg": chart(
            "Leaked before the first correct alert", "exchanges leaked", "share of seeds", leaks, log_x=True
        ),
        "members.svg": chart(
            "Accounts with three exchanges that are named",
            "minutes after the first correct alert",
            "recall",
            members,
            log_x=True,
        ),
        "precision.svg": chart(
            "Members that are the campaign's",
            "minutes after the first correct alert",
            "precision",
            right,
            log_x=True,
        ),
        "reliability.svg": chart("Score of candidate groups", "score", "share that is hostile", scores),
        "tail.svg": chart("Evidence that benign groups reach", "nats", "share of benign groups", tails, log_y=True),
    }
