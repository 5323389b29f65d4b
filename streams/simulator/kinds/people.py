"""People on their own: hobbyists in a chat window, developers with a harness, phones behind a carrier's exit."""

import numpy as np

from streams.simulator import infra
from streams.simulator.accounts import CHAT, CODE, Draft, draft, freeze
from streams.simulator.content import Everyday
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import DAY_MS, LEISURE, WORK, weekly

NEWCOMERS_SHARE = 0.06  # of accounts are opened while we watch


def newcomers(span: Span, rng: np.random.Generator, drafts: list[Draft]) -> None:
    """Let some accounts begin during the span, minutes after they were opened."""
    for one in drafts:
        if rng.random() < NEWCOMERS_SHARE:
            one.from_ms = span.start_ms + int(rng.random() * (span.end_ms - span.start_ms))
            one.age_days = (span.start_ms - one.from_ms) / DAY_MS + 0.002 + 0.02 * rng.random()


def hobbyist(span: Span, count: int) -> Population:
    """Unrelated people who chat, mostly in the evening."""
    rng = span.rng("hobbyist")
    drafts = [draft(rng, CHAT) for _ in range(count)]
    newcomers(span, rng, drafts)
    accounts = freeze(rng, drafts)
    return Population("hobbyist", rng, accounts, weekly(LEISURE), Everyday(rng, accounts))


def developer(span: Span, count: int) -> Population:
    """Unrelated developers whose harness sends long contexts in quick turns, mostly in working hours."""
    rng = span.rng("developer")
    drafts = [draft(rng, CODE) for _ in range(count)]
    newcomers(span, rng, drafts)
    accounts = freeze(rng, drafts)
    return Population("developer", rng, accounts, weekly(WORK), Everyday(rng, accounts))


def cgnat(span: Span, count: int) -> Population:
    """Unrelated people on phones behind a handful of one carrier's shared exits."""
    rng = span.rng("cgnat")
    where = infra.country(rng)
    exits = [infra.mobile(rng, where) for _ in range(3)]
    drafts = [draft(rng, CHAT, where) for _ in range(count)]
    for one in drafts:
        one.networks = [exits[int(rng.integers(len(exits)))]]
        one.programs = [infra.agent(rng, "phone")]
    accounts = freeze(rng, drafts)
    return Population("cgnat", rng, accounts, weekly(LEISURE), Everyday(rng, accounts))


def university(span: Span, count: int) -> Population:
    """Unrelated members of one university, on their own subjects, behind its two exits."""
    rng = span.rng("university")
    where = infra.country(rng)
    exits = [infra.campus(rng, where) for _ in range(2)]
    domain = infra.school_domain(rng)
    drafts = [draft(rng, CODE if rng.random() < 0.25 else CHAT, where) for _ in range(count)]
    for one in drafts:
        one.networks = [exits[int(rng.integers(len(exits)))], *one.networks[:1]]
        one.domain = domain if rng.random() < 0.6 else one.domain
        one.plan = "edu" if rng.random() < 0.5 else one.plan
    accounts = freeze(rng, drafts)
    return Population("university", rng, accounts, weekly(WORK), Everyday(rng, accounts))
