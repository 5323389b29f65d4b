"""Accounts that rightly belong together: a company, an agency's clients, a shared key, a migration."""

import numpy as np

from streams.simulator import infra
from streams.simulator.accounts import API, CHAT, CODE, Draft, draft, freeze
from streams.simulator.content import Everyday
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import DAY_MS, HOUR_MS, WORK, weekly

SIGN_INS = 1.5  # sessions of a seat in the hour of a migration: four of five seats are seen in it


def _company(rng: np.random.Generator, drafts: list[Draft], group: int) -> None:
    """Give the accounts one employer: organisation, mail domain, card and office network."""
    org, domain, card = infra.opaque(rng, "org_"), infra.company_domain(rng), infra.opaque(rng, "pm_")
    plan = "enterprise" if rng.random() < 0.5 else "team"
    office = [infra.home(rng, drafts[0].where) for _ in range(1 + int(rng.integers(3)))]
    for one in drafts:
        one.org, one.payment, one.group, one.plan = org, card, group, plan
        one.domain = domain if rng.random() < 0.95 else one.domain
        one.networks = [office[int(rng.integers(len(office)))], *one.networks[:1]]


def company_team(span: Span, count: int) -> Population:
    """Companies of 8 to 80 seats, each behind its own office network, in working hours."""
    rng = span.rng("company")
    drafts: list[Draft] = []
    group = 0
    while len(drafts) < count:
        where = infra.country(rng)
        seats = min(int(8 + 72 * rng.random() ** 2), max(count - len(drafts), 2))
        team = [draft(rng, CODE if rng.random() < 0.45 else CHAT, where) for _ in range(seats)]
        _company(rng, team, group)
        drafts += team
        group += 1
    accounts = freeze(rng, drafts[:count])
    return Population("company_team", rng, accounts, weekly(WORK), Everyday(rng, accounts))


def migration(span: Span, count: int) -> Population:
    """One company moves all its seats within an hour: accounts of one day that all start at once."""
    rng = span.rng("migration")
    where = infra.country(rng)
    drafts = [draft(rng, CODE if rng.random() < 0.4 else CHAT, where) for _ in range(count)]
    _company(rng, drafts, 0)
    start = span.start_ms + int((0.15 + 0.5 * rng.random()) * (span.end_ms - span.start_ms))
    for one in drafts:  # opened within the hour before
        one.age_days = 0.002 + rng.random() * 0.04 - (start - span.start_ms) / DAY_MS
    accounts = freeze(rng, drafts)
    office = weekly(WORK)

    def rhythm(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        signing_in = SIGN_INS * 24 * accounts.turns / accounts.rate if start <= time_ms < start + HOUR_MS else 0.0
        return office(time_ms, utc_offset_h) + signing_in

    return Population("migration", rng, accounts, rhythm, Everyday(rng, accounts), start_ms=start)


def agency(span: Span, count: int) -> Population:
    """An agency that pays for many clients' accounts with one card; each client has its own business and network."""
    rng = span.rng("agency")
    drafts = [draft(rng, API if rng.random() < 0.7 else CHAT) for _ in range(count)]
    card, device = infra.opaque(rng, "pm_"), infra.opaque(rng, "dev_")
    for one in drafts:
        one.payment = card
        one.device = device if rng.random() < 0.4 else one.device
        one.domain = infra.company_domain(rng)
    accounts = freeze(rng, drafts)
    return Population("agency", rng, accounts, weekly(WORK), Everyday(rng, accounts))


def shared_team_key(span: Span, count: int) -> Population:
    """One account whose key a whole team uses: many networks and programs on one credential, in working hours."""
    rng = span.rng("teamkey")
    drafts = [draft(rng, CODE) for _ in range(count)]
    for one in drafts:
        one.rate = 600 + 900 * rng.random()
        one.plan = "team"
        one.networks = [infra.home(rng, one.where) for _ in range(12)]
        one.programs = [infra.agent(rng, "harness") for _ in range(5)]
    accounts = freeze(rng, drafts)
    return Population("shared_team_key", rng, accounts, weekly(WORK), Everyday(rng, accounts))
