"""What is measured: the rows of the benchmark with their goals, the seeds, and the runs that they make.

Rows and sets are those of `streams/simulator/campaigns/benchmark.toml`. Print the table of the README with
``python -m streams.evaluate.rows``.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import msgspec

from streams.errors import InputError
from streams.simulator.campaigns import DEFAULTS, parse
from streams.simulator.campaigns.benchmark import Set, benchmark
from streams.simulator.campaigns.spec import parameters
from streams.simulator.plan import Plan

TUNING_SEEDS = range(1, 200)  # for whoever works on the detector, and for the thresholds of the baselines
REPORTING_SEEDS_FROM = 20_108  # never looked at before a report; 20,000 to 20,107 were, after one or while it ran
UNITS = {
    "leaked": "exchanges leaked",
    "burst": "requests of the burst",
    "tried": "variants tried",
    "second_pool": "exchanges of the second pool",
    "pivot_min": "minutes after 5 % moved",
}


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shape at one contamination, and what it must stay under; goal None: shown without one."""

    id: str
    title: str
    set: str
    campaign: str
    goal: float | None = None
    unit: str = "leaked"
    like: str = ""  # goal: twice the leak of this row
    bound: bool = False  # goal: as near to the theoretical bound as the features allow


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rows, in the benchmark's order."""

    sets: dict[str, Set]
    rows: tuple[Row, ...]


class Run(msgspec.Struct, frozen=True):
    """One simulation and all that is measured on it. ``rows`` is empty for benign traffic alone."""

    name: str  # of the set
    seed: int
    rows: tuple[Row, ...]
    plan: Plan

    @property
    def key(self) -> str:
        """What tells this run from others; equal keys give equal results."""
        return f"{self.name}/{self.seed}"


@cache
def table() -> Table:
    """Make the rows of the benchmark; raises ValueError for a unit or set that is unknown."""
    found = benchmark()
    rows = tuple(
        Row(f"{shape.id}-{row.name}" if row.name else shape.id, row.title, row.set, row.campaign,
            row.goal, row.unit, row.like, row.bound)
        for shape in found.shapes
        for row in shape.rows
    )  # fmt: skip
    for row in rows:
        if row.unit not in UNITS or row.set not in found.sets:
            raise ValueError(f"benchmark.toml: row {row.id} has an unknown unit or set")
    return Table(found.sets, rows)


def goal_of(row: Row) -> str:
    """Say what a row is held against; nothing if it is shown without a goal."""
    if row.like:
        return f"twice that of {row.like}"
    if row.bound:
        return "as near to the bound as can be"
    return "" if row.goal is None else f"{row.goal:,.0f} {UNITS[row.unit]}"


def goals() -> str:
    """Render the rows with their goals in Markdown."""
    lines = ["| row | what | goal, median | campaign |", "|---|---|---|---|"]
    lines += [f"| {row.id} | {row.title} | {goal_of(row)} | `{row.campaign}` |" for row in table().rows]
    return "\n".join(lines)


def split(seed: int) -> str:
    """Tell what a seed is for: tuning, reporting, or other.

    >>> split(3), split(20_110), split(2026)
    ('tuning', 'reporting', 'other')
    """
    if seed in TUNING_SEEDS:
        return "tuning"
    return "reporting" if seed >= REPORTING_SEEDS_FROM else "other"


def choose(names: Iterable[str]) -> tuple[Row, ...]:
    """Rows by id, else by the part before the hyphen (``D5``) or by the simulator's shape, in the table's order.

    Raises `InputError` for a name that fits none.
    """
    wanted = list(names)
    rows = table().rows
    ids = {row.id for row in rows}
    fits = {row.id: {row.id.partition("-")[0], row.campaign.partition(":")[0]} - ids | {row.id} for row in rows}
    for name in wanted:
        if not any(name in each for each in fits.values()):
            raise InputError(f"there is no row {name!r}; known are {', '.join(fits)}")
    return tuple(row for row in rows if not wanted or fits[row.id] & set(wanted))


def with_contamination(rows: Iterable[Row], shares: Sequence[float]) -> tuple[Row, ...]:
    """Run each row at each share of hostile exchanges among those of its accounts; no share: as the table has it.

    Rows of shapes that have no such share are left out; raises `InputError` if that leaves none.
    """
    if not shares:
        return tuple(rows)
    rows = [row for row in rows if "share" in parameters(row.campaign.partition(":")[0])]
    if not rows:
        raise InputError("none of these rows has a share of cover traffic; leave --contamination out")
    return tuple(
        msgspec.structs.replace(
            row,
            id=f"{row.id}@{share:g}",
            set=f"{row.set}@{share:g}",
            campaign=f"{row.campaign}{',' if ':' in row.campaign else ':'}share={share}",
            goal=None,
        )
        for row in rows
        for share in shares
    )


def runs(rows: Sequence[Row], seeds: Iterable[int], accounts: int, hours: float | None = None) -> list[Run]:
    """Make the runs of these rows: seed by seed, so that what is there after a while covers all of them.

    ``accounts`` and ``hours`` are those of the benign traffic; None leaves the hours to the table.
    """
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row.set, []).append(row)
    return [_run(name, tuple(members), seed, accounts, hours) for seed in seeds for name, members in sets.items()]


def _run(name: str, rows: tuple[Row, ...], seed: int, accounts: int, hours: float | None) -> Run:
    conditions = table().sets[name.partition("@")[0]]
    campaigns = tuple(parse(row.campaign, DEFAULTS) for row in rows)
    if hours is not None and any(campaign.start_h >= hours for campaign in campaigns):
        hours = None  # what begins days later is in no run of hours
    plan = Plan(
        seed=seed,
        accounts=conditions.accounts or accounts,
        hours=conditions.hours if hours is None else hours,
        campaigns=campaigns,
        release_h=conditions.release_h,
    )
    return Run(name, seed, rows, plan)


def benign_runs(
    seeds: Iterable[int],
    accounts: int,
    hours: float,
    name: str = "benign",
    kinds: Mapping[str, int] | None = None,
    release_h: float | None = None,
) -> list[Run]:
    """Make runs of benign traffic alone; ``kinds`` are accounts of some kinds in place of their share.

    ``release_h`` is when a new model is released, None: it is not.
    """
    plan = Plan(accounts=accounts, hours=hours, kinds=dict(kinds or {}), release_h=release_h)
    return [Run(name, seed, (), msgspec.structs.replace(plan, seed=seed)) for seed in seeds]


if __name__ == "__main__":
    print(goals())
