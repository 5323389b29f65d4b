"""What all runs together say: one line per row, per benign kind and per baseline."""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from streams.evaluate.calibration import Bin, Budget
from streams.evaluate.divergence import bound
from streams.evaluate.intervals import interval, mean, median, rate_interval
from streams.evaluate.results import Measured, Members, Result, backgrounds
from streams.evaluate.rows import UNITS, Row

WORST_FACTOR = 3.0  # the worst seed may be so much above the goal
PRECISION_GOAL, RECALL_GOAL = 0.995, 0.95
PER_EXCHANGES = 10_000_000
FALSE_CASES_GOAL = 1.0  # per so many benign exchanges
DECIDED_NATS = 11.5  # ln(1 / alpha) where no alert said its threshold


class Figure(msgspec.Struct, frozen=True):
    """A figure over seeds; None stands for "never within the run" (or, in an interval, beyond what was seen)."""

    median: float | None
    low: float | None
    high: float | None
    worst: float | None


class RowSummary(msgspec.Struct):
    """One row of the result."""

    id: str
    title: str
    campaign: str
    unit: str
    seeds: int
    hostile_share: tuple[float, float]
    caught: int
    called: dict[str, int]
    figure: Figure
    goal: float | None
    met: bool | None
    why: str
    exchanges: float  # median of what there was to leak
    leaked: Figure
    delay_min: Figure
    precision: float
    precision_interval: tuple[float, float]
    precision_worst: float  # of the seeds
    recall: float
    recall_interval: tuple[float, float]
    recall_worst: float
    rand: float | None
    cases: float
    pools: tuple[float, float]  # said, true
    nats_per_exchange: float | None  # as the detector's evidence has it
    divergence: float
    bound: float | None
    members: list[Members]
    leaks: list[int | None]
    baselines: dict[str, "BaselineRow"]


class BaselineRow(msgspec.Struct, frozen=True):
    """Median leak on a row of the detector and of a baseline, on the same seeds; None if most never caught it."""

    ours: float | None
    matched: float | None
    usual: float | None
    beaten: bool  # ours catches, no later than matched


class KindSummary(msgspec.Struct, frozen=True):
    """False cases on one benign kind."""

    kind: str
    hard: bool
    exchanges: int
    cases: int
    per_10m: float
    interval: tuple[float, float]
    named: int  # cases that name somebody of this kind, true ones included


class BaselineSummary(msgspec.Struct):
    """A baseline over all runs, at its matched and usual threshold."""

    name: str
    about: str
    score: str
    usual_threshold: float
    matched_threshold: float
    false_cases: tuple[int, int]  # matched, usual
    false_per_10m: tuple[float, float]
    innocents: tuple[int, int]
    precision: tuple[float | None, float | None]


class Summary(msgspec.Struct):
    """The whole result, which `report.json` holds."""

    version: str
    splits: dict[str, list[int]]  # what the seeds were for
    runs: int
    events: int
    benign_exchanges: int
    simulated_days: float
    cpu_h: float
    accounts: list[int]
    rows: list[RowSummary]
    kinds: list[KindSummary]
    false_cases: int
    false_per_10m: float
    false_interval: tuple[float, float]
    benign_named: int
    precision: float | None
    budget_cases: float  # expected by the configured budget in the simulated days
    baselines: list[BaselineSummary]
    calibrated_on: int  # benign exchanges from which the baselines have their thresholds
    budgets: list[Budget]
    reliability: list[Bin]
    calibration_error: float | None
    brier: float | None
    tail: list[tuple[float, float, float]]  # nats, share of benign groups that reached them, exp(-nats)


def figure(values: Sequence[float]) -> Figure:
    """Summarise values over seeds; infinity is a run in which it never happened."""
    low, high = interval(values)
    return Figure(*(finite(v) for v in (median(values), low, high, max(values, default=math.nan))))


def finite(value: float) -> float | None:
    """None for what never happened."""
    return round(value, 3) if math.isfinite(value) else None


def infinite(value: float | None) -> float:
    """Infinity for what never happened."""
    return math.inf if value is None else value


def summarise_row(row: Row, runs: Sequence[Result], like: float | None = None) -> RowSummary:
    """Bring together what the seeds gave for a row; ``like`` is the median leak of the row it must be held against."""
    pairs = [(run, [m for m in run.measured if m.row == row.id]) for run in runs]
    pairs = [(run, found) for run, found in pairs if found]
    first = [max(found, key=lambda m: infinite(m.value)) for _, found in pairs]  # of two campaigns the later one
    every = [m for _, found in pairs for m in found]
    values = figure([infinite(m.value) for m in first])
    goal = 2 * like if row.like and like is not None else row.goal
    met, why = _met(goal, values, first)
    precision, recall = [_precision(found) for _, found in pairs], [_recall(found) for _, found in pairs]
    caught_precision = [p for p in precision if p is not None]
    gains = [m.nats / m.leaked for m in every if m.nats is not None and m.leaked]
    told = median([m.divergence for m in first])
    rands = [run.rand for run, _ in pairs if run.rand is not None]
    return RowSummary(
        id=row.id,
        title=row.title,
        campaign=row.campaign,
        unit=UNITS[row.unit],
        seeds=len(pairs),
        hostile_share=(min(run.hostile_share for run, _ in pairs), max(run.hostile_share for run, _ in pairs)),
        caught=sum(all(m.caught for m in found) for _, found in pairs),
        called=dict(sorted(Counter(m.called or "nothing" for m in every).items())),
        figure=values,
        goal=goal,
        met=met,
        why=why,
        exchanges=median([float(m.exchanges) for m in first]),
        leaked=figure([float(m.leaked) if m.caught else math.inf for m in first]),
        delay_min=figure([infinite(m.delay_min) for m in first]),
        precision=mean(caught_precision),
        precision_interval=interval(caught_precision, mean),
        precision_worst=min(caught_precision, default=math.nan),
        recall=mean(recall),
        recall_interval=interval(recall, mean),
        recall_worst=min(recall, default=math.nan),
        rand=mean(rands) if rands else None,
        cases=mean([float(m.cases) for m in every]),
        pools=(mean([float(m.pools_said) for m in every]), mean([float(m.pools) for m in every])),
        nats_per_exchange=median(gains) if gains else None,
        divergence=told,
        bound=bound(median([m.threshold for m in every if m.threshold] or [DECIDED_NATS]), told),
        members=_members(first),
        leaks=[m.leaked if m.caught else None for m in first],
        baselines={},
    )


def _met(goal: float | None, values: Figure, first: Sequence[Measured]) -> tuple[bool | None, str]:
    if goal is None:
        return None, ""
    missed = [m for m in first if m.value is None]
    if values.median is None:
        return False, f"not within the run for {len(missed)} of {len(first)} seeds, {_instead(missed)}"
    if values.median > goal:
        return False, f"{values.median / goal:.1f} times the goal" if goal else "above the goal"
    if values.worst is None:
        return False, f"the worst seed never within its run ({len(missed)} of {len(first)})"
    if values.worst > WORST_FACTOR * goal:
        return False, f"the worst seed at {values.worst / goal:.1f} times the goal"
    return True, ""


def _instead(missed: Sequence[Measured]) -> str:
    """What there was in place of the alert that a row is about."""
    if all(m.caught for m in missed):
        return "though caught before"
    if called := Counter(m.called for m in missed if m.called and not m.caught):
        return "called " + ", ".join(called)
    nats = [m.most_nats for m in missed if m.most_nats is not None]
    return f"evidence reached {median(nats):.1f} nats" if nats else "no group of theirs was weighed"


def _precision(found: Sequence[Measured]) -> float | None:
    named = sum(m.named for m in found)
    return sum(m.right for m in found) / named if named else None


def _recall(found: Sequence[Measured]) -> float:
    due = sum(m.due for m in found)
    return sum(m.due_named for m in found) / due if due else float(all(m.caught for m in found))


def _members(first: Sequence[Measured]) -> list[Members]:
    """Sum of the accounts over the seeds at each time after the alert, of those seeds that were still running."""
    moments: dict[float, list[Members]] = {}
    for m in first:
        for each in m.members:
            moments.setdefault(each.minutes, []).append(each)
    return [
        Members(minutes, *(sum(getattr(m, name) for m in found) for name in ("named", "right", "due", "due_named")))
        for minutes, found in sorted(moments.items())
    ]


def summarise_kinds(runs: Sequence[Result]) -> list[KindSummary]:
    """Count false cases by benign kind against the exchanges of that kind.

    Of runs over the same benign events the one with the most false cases counts.
    """
    exchanges: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    named: Counter[str] = Counter()
    hard: set[str] = set()
    for same in backgrounds(runs):
        exchanges.update(same[0].benign)
        hard |= set(same[0].hard)
        for count, alarms in ((cases, True), (named, False)):
            each = [Counter(c.kind for c in run.false_cases if c.alarm or not alarms) for run in same]
            count.update({kind: max(counts[kind] for counts in each) for counts in each for kind in counts})
    found = []
    for kind, n in sorted(exchanges.items(), key=lambda pair: (pair[0] not in hard, pair[0])):
        exposure = max(n, 1) / PER_EXCHANGES
        found.append(
            KindSummary(
                kind,
                kind in hard,
                n,
                cases[kind],
                cases[kind] / exposure,
                rate_interval(cases[kind], exposure),
                named[kind],
            )
        )
    return found
