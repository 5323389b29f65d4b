"""The baselines over all runs, beside the detector."""

import math
from collections.abc import Mapping, Sequence

from streams.evaluate.baselines import METHODS
from streams.evaluate.intervals import median
from streams.evaluate.results import ByBaseline, Result, backgrounds
from streams.evaluate.summary import (
    PER_EXCHANGES,
    BaselineRow,
    BaselineSummary,
    RowSummary,
    finite,
    infinite,
)


def thresholds(benign: Sequence[Result]) -> dict[str, float]:
    """Lowest threshold of each method that gives no false case on these benign runs."""
    return {entry.name: max((run.highest[entry.name] for run in benign), default=0.0) for entry in METHODS}


def summarise_methods(
    runs: Sequence[Result], rows: Sequence[RowSummary], matched: Mapping[str, float]
) -> list[BaselineSummary]:
    """Bring each method together over the runs that it took part in, and put its leak into each row."""
    runs = [run for run in runs if run.baselines]
    exposure = max(sum(same[0].benign_exchanges for same in backgrounds(runs)), 1) / PER_EXCHANGES
    found = []
    for entry in METHODS:
        for row in rows:
            at_matched, at_usual = (_leak([by[entry.name] for by in _of(runs, kind)], row.id) for kind in KINDS)
            ours = [
                [float(m.leaked) if m.caught else math.inf for m in run.measured if m.row == row.id] for run in runs
            ]
            leak = median([max(of_run) for of_run in ours if of_run])  # of two campaigns over one pool the later one
            row.baselines[entry.name] = BaselineRow(
                finite(leak), finite(at_matched), finite(at_usual), math.isfinite(leak) and leak <= at_matched
            )
        false = [
            sum(_false([by[entry.name] for by in _of(same, kind)]) for same in backgrounds(runs)) for kind in KINDS
        ]
        innocents = [
            sum(max(by[entry.name].innocents for by in _of(same, kind)) for same in backgrounds(runs)) for kind in KINDS
        ]
        precision = [_precision([by[entry.name] for by in _of(runs, kind)]) for kind in KINDS]
        found.append(
            BaselineSummary(
                name=entry.name,
                about=entry.about,
                score=entry.score,
                usual_threshold=entry.usual,
                matched_threshold=matched[entry.name],
                false_cases=(false[0], false[1]),
                false_per_10m=(false[0] / exposure, false[1] / exposure),
                innocents=(innocents[0], innocents[1]),
                precision=(precision[0], precision[1]),
            )
        )
    return found


KINDS = ("matched", "usual")


def _of(runs: Sequence[Result], kind: str) -> list[dict[str, ByBaseline]]:
    return [run.baselines if kind == "matched" else run.usual for run in runs]


def _leak(found: Sequence[ByBaseline], row: str) -> float:
    return median([infinite(each.leaked[row]) for each in found if row in each.leaked])


def _false(same: Sequence[ByBaseline]) -> int:
    """False cases of runs over the same benign events: of each kind the most that one of them had."""
    kinds = {kind for each in same for kind in each.false_by_kind}
    return sum(max(each.false_by_kind.get(kind, 0) for each in same) for kind in kinds)


def _precision(found: Sequence[ByBaseline]) -> float | None:
    hostile, innocents = sum(each.hostile_named for each in found), sum(each.innocents for each in found)
    return hostile / (hostile + innocents) if hostile + innocents else None
