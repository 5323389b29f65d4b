"""Does the score mean what it says, and do false cases keep to the alert budget: candidate groups over all runs.

Cannot see single accounts and pools, which are weighed elsewhere: false cases of all sorts are counted beside it.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec

from streams.campaigns.cases import threshold
from streams.evaluate.intervals import mean, rate_interval, share_interval
from streams.evaluate.results import Group, Result, backgrounds

BINS = 10
# What would have been reported at other budgets: at the default of 0.02 a day, hardly any run is long enough to tell.
BUDGETS_A_DAY = (0.02, 0.1, 0.5, 2.0, 10.0, 50.0, 200.0)
DAY_H = 24.0


class Bin(msgspec.Struct, frozen=True):
    """Groups whose score lies in a bin, and the share of them that is hostile."""

    low: float
    high: float
    groups: int
    score: float
    hostile: float
    interval: tuple[float, float]


class Budget(msgspec.Struct, frozen=True):
    """Benign groups against one alert budget, over the runs of one kind of seeds."""

    split: str
    a_day: float
    days: float
    groups: int  # benign, weighed
    nats: float  # lowest threshold of the runs
    allowed: float  # false cases: budget times days
    expected: float  # groups that reach the threshold if evidence is a likelihood ratio: exp(-threshold) of them
    reached: int
    interval: tuple[float, float]  # of `reached`
    cases: int | None  # false cases of all sorts that really came; only at the configured budget


def candidates(runs: Sequence[Result]) -> list[Group]:
    """Of each campaign of a run the group with the most evidence, and the benign groups of one run of each background.

    The others of a campaign are parts of what was found already, and the other runs have the same benign groups again.
    """
    found: list[Group] = []
    for run in runs:
        best: dict[str, Group] = {}
        for group in run.groups:
            if group.hostile and (group.campaign not in best or group.nats > best[group.campaign].nats):
                best[group.campaign] = group
        found += best.values()
    for same in backgrounds(runs):
        most: list[Group] = max((_benign(run) for run in same), key=len)
        found += most
    return found


def _benign(run: Result) -> list[Group]:
    return [group for group in run.groups if not group.hostile]


def reliability(groups: Sequence[Group]) -> list[Bin]:
    """Share of hostile groups by score."""
    found = []
    for i in range(BINS):
        low, high = i / BINS, (i + 1) / BINS
        inside = [g for g in groups if low <= g.score < high or (i == BINS - 1 and g.score >= high)]
        if inside:
            hostile = sum(g.hostile for g in inside)
            score = mean([g.score for g in inside])
            interval = share_interval(hostile, len(inside))
            found.append(Bin(low, high, len(inside), score, hostile / len(inside), interval))
    return found


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Mean distance of score and share over the groups (expected calibration error; Naeini 2015)."""
    groups = sum(b.groups for b in bins)
    return sum(b.groups * abs(b.score - b.hostile) for b in bins) / groups if groups else None


def brier(groups: Sequence[Group]) -> float | None:
    """Mean squared difference of score and truth."""
    return mean([(g.score - g.hostile) ** 2 for g in groups]) if groups else None


def tail(groups: Sequence[Group]) -> list[tuple[float, float, float]]:
    """How often benign groups reach so many nats, beside exp(-nats), which calibrated evidence stays under (Ville)."""
    benign = [g.nats for g in groups if not g.hostile]
    if not benign:
        return []
    return [(x, sum(n >= x for n in benign) / len(benign), math.exp(-x)) for x in map(float, range(13))]


def budgets(runs: Sequence[Result], configured: float, cases: Mapping[str, int]) -> list[Budget]:
    """Hold benign groups against the thresholds of several budgets (false cases a day), each kind of seeds by itself.

    ``cases`` are the false cases by kind of seeds. Of runs with the same benign events the one with the most groups
    above the threshold counts.
    """
    found = []
    for split in sorted({run.split for run in runs}):
        distinct = backgrounds([run for run in runs if run.split == split])
        days = sum(same[0].hours for same in distinct) / DAY_H
        for a_day in sorted({*BUDGETS_A_DAY, configured}):
            most = [max(_reached(run, a_day) for run in same) for same in distinct]
            reached = sum(each[0] for each in most)
            low, high = rate_interval(reached, 1.0)
            found.append(
                Budget(
                    split=split,
                    a_day=a_day,
                    days=round(days, 2),
                    groups=sum(each[1] for each in most),
                    nats=min(each[2] for each in most),
                    allowed=a_day * days,
                    expected=sum(each[1] * math.exp(-each[2]) for each in most),
                    reached=reached,
                    interval=(low, high),
                    cases=cases.get(split, 0) if a_day == configured else None,
                )
            )
    return found


def _reached(run: Result, a_day: float) -> tuple[int, int, float]:
    """Benign groups of a run that reach the threshold of a budget, all benign groups, and the threshold."""
    nats = threshold(round(len(run.groups) / max(1.0, run.hours / DAY_H)), a_day)
    benign = _benign(run)
    return sum(group.nats >= nats for group in benign), len(benign), nats
