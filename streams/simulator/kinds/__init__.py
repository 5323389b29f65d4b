"""Benign kinds of accounts: the ordinary ones, and the hard negatives that look like campaigns in some respect.

Each kind is a function ``(span, count) -> Population``. `KINDS` lists them with their share of all accounts.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from streams.simulator.kinds import crowds, people, programs, teams
from streams.simulator.population import Population, Span


class Kind(NamedTuple):
    """A benign kind: share of accounts, the fewest that make sense, and whether it is a hard negative."""

    name: str
    share: float
    fewest: int
    hard: bool
    build: Callable[[Span, int], Population]


KINDS = (
    Kind("hobbyist", 0.470, 1, False, people.hobbyist),
    Kind("developer", 0.190, 1, False, people.developer),
    Kind("startup_app", 0.070, 1, False, programs.startup_app),
    Kind("company_team", 0.070, 12, True, teams.company_team),
    Kind("course", 0.030, 40, True, crowds.course),
    Kind("byok_app", 0.030, 30, True, programs.byok_app),
    Kind("cgnat", 0.040, 20, True, people.cgnat),
    Kind("university", 0.020, 25, True, people.university),
    Kind("sdk_defaults", 0.020, 20, True, programs.sdk_defaults),
    Kind("viral_prompt", 0.030, 30, True, crowds.viral_prompt),
    Kind("hackathon", 0.012, 20, True, crowds.hackathon),
    Kind("migration", 0.020, 30, True, teams.migration),
    Kind("agency", 0.010, 12, True, teams.agency),
    Kind("release_rush", 0.008, 8, True, crowds.release_rush),
    Kind("shared_team_key", 0.002, 1, True, teams.shared_team_key),
    Kind("ci_review", 0.004, 2, True, programs.ci_review),
    Kind("evaluation_suite", 0.002, 1, True, programs.evaluation_suite),
    Kind("synthetic_data", 0.002, 1, True, programs.synthetic_data),
    Kind("rag_backfill", 0.002, 1, True, programs.rag_backfill),
    Kind("quality_monitor", 0.002, 2, True, programs.quality_monitor),
    Kind("llm_gateway", 0.002, 1, True, programs.llm_gateway),
    Kind("fallback_router", 0.002, 1, True, programs.fallback_router),
    Kind("audit_logging", 0.002, 1, True, programs.audit_logging),
)


# As large as the reports have them: an app's 10,000 users with keys of their own, 2,000 seats that move at once.
FULL_SIZES = {"byok_app": 10_000, "migration": 2_000, "viral_prompt": 3_000, "course": 500}


def counts(accounts: int, sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Divide a number of accounts among the kinds; a kind whose fewest is over 5 % of all is left out.

    ``sizes`` says how many accounts some kinds have instead, 0 to leave one out.

    >>> sum(counts(2_500).values())
    2500
    >>> counts(2_500, {"byok_app": 10_000})["byok_app"]
    10000
    """
    found = {}
    for kind in KINDS[1:]:
        count = round(kind.share * accounts)
        if count < kind.fewest:
            count = kind.fewest if kind.fewest <= 0.05 * accounts else 0
        if count:
            found[kind.name] = count
    found = {KINDS[0].name: max(accounts - sum(found.values()), 0), **found}
    sized = found | dict(sizes or {})
    return {kind.name: sized[kind.name] for kind in KINDS if sized.get(kind.name)}
