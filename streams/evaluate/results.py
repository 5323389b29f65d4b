"""What one run yields, as one line of JSON."""

from collections.abc import Sequence

import msgspec


class Members(msgspec.Struct, frozen=True):
    """Who is named some time after the first correct alert; ``due`` are the accounts with three exchanges by then."""

    minutes: float
    named: int
    right: int
    due: int
    due_named: int


class Measured(msgspec.Struct):
    """One campaign of one run. Leaks of a campaign that was not caught are all that there was."""

    row: str
    shape: str
    category: str
    accounts: int
    exchanges: int  # answered
    cover: int
    caught: bool
    called: str
    leaked: int
    value: float | None  # in the row's unit; None: did not happen within the run
    delay_min: float | None
    named: int  # ever, within a day of the first alert
    right: int
    due: int  # accounts with three exchanges by then
    due_named: int
    members: list[Members]
    cases: int
    pools: int
    pools_said: int
    nats: float | None  # evidence when the first correct alert went out
    threshold: float | None
    divergence: float  # nats per exchange
    most_nats: float | None = None  # that any candidate group of its accounts ever had


class FalseCase(msgspec.Struct):
    """A case that named benign accounts; ``alarm`` if they are half of it or more, or were when it opened."""

    kind: str  # most of them
    category: str
    benign: int
    accounts: int
    alarm: bool
    opened_h: float
    evidence: dict[str, float]


class Group(msgspec.Struct, frozen=True, array_like=True):
    """A candidate group: the most evidence it ever had, the score that makes, and the campaign of most accounts."""

    nats: float
    score: float
    campaign: str  # "": half of them or more are benign

    @property
    def hostile(self) -> bool:
        """Most of its accounts carry one campaign."""
        return bool(self.campaign)


class ByBaseline(msgspec.Struct):
    """What a baseline did in a run at one threshold."""

    leaked: dict[str, int | None] = {}  # by row; None: not caught
    cases: int = 0
    false_by_kind: dict[str, int] = {}
    hostile_named: int = 0
    innocents: int = 0


class Result(msgspec.Struct):
    """One run."""

    key: str
    digest: str  # of code, plan, settings and baselines' thresholds
    name: str
    seed: int
    split: str
    events: int
    hours: float
    accounts: int
    benign: dict[str, int]  # exchanges by kind
    hard: list[str]
    hostile_share: float
    measured: list[Measured]
    false_cases: list[FalseCase]
    benign_named: int
    hostile_named: int
    rand: float | None  # adjusted Rand index of cases against campaigns, over named accounts
    groups: list[Group]
    baselines: dict[str, ByBaseline]  # at the matched threshold
    usual: dict[str, ByBaseline]  # at the usual one
    highest: dict[str, float]  # highest score of each baseline
    cpu_s: float
    memory_mb: int
    background: str  # runs where this is equal have the same benign events

    @property
    def benign_exchanges(self) -> int:
        """Benign exchanges of all kinds."""
        return sum(self.benign.values())


def backgrounds(runs: Sequence[Result]) -> list[list[Result]]:
    """Runs over the same benign events, which tell about false cases only once."""
    found: dict[str, list[Result]] = {}
    for run in runs:
        found.setdefault(run.background, []).append(run)
    return list(found.values())
