"""People on their own: hobbyists in a chat window, developers with a harness, phones behind a carrier's exit."""

from streams.simulator import infra
from streams.simulator.accounts import CHAT, CODE, draft, freeze
from streams.simulator.content import Everyday
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import LEISURE, WORK, weekly


def hobbyist(span: Span, count: int) -> Population:
    """Unrelated people who chat, mostly in the evening."""
    rng = span.rng("hobbyist")
    accounts = freeze(rng, [draft(rng, CHAT) for _ in range(count)])
    return Population("hobbyist", rng, accounts, weekly(LEISURE), Everyday(rng, accounts))


def developer(span: Span, count: int) -> Population:
    """Unrelated developers whose harness sends long contexts in quick turns, mostly in working hours."""
    rng = span.rng("developer")
    accounts = freeze(rng, [draft(rng, CODE) for _ in range(count)])
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
