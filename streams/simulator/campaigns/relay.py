"""Resellers: a few accounts that carry the requests of many customers."""

import numpy as np

from streams.simulator import infra
from streams.simulator.accounts import API, CHAT, CODE, LANGUAGES, draft, freeze
from streams.simulator.campaigns.pooled import window
from streams.simulator.campaigns.spec import Campaign, CampaignSpec
from streams.simulator.content import Job, Work, said
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import flat

RESELLER = "reseller"
CUSTOMERS_AN_ACCOUNT = 40


def reseller(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Deal the requests of many customers out over a few accounts, the customers' clients showing through."""
    rng = span.rng("campaign", name)
    drafts = [draft(rng, API) for _ in range(spec.accounts)]
    for one in drafts:
        one.rate, one.turns = spec.per_day, 4.0
    accounts = freeze(rng, drafts)
    customers = [
        draft(rng, (CHAT, CHAT, CHAT, CODE, API)[int(rng.integers(5))])
        for _ in range(max(CUSTOMERS_AN_ACCOUNT, min(spec.accounts, 50) * CUSTOMERS_AN_ACCOUNT))
    ]
    clients = [infra.client(rng, customer.networks[0], customer.programs[0]) for customer in customers]
    topics = np.array([customer.topic for customer in customers])
    languages = np.array([LANGUAGES.index(customer.language) for customer in customers])

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        customer = rows["session"] % len(customers)
        return said(rng, topics[customer], rows["turn"], languages[customer])

    def fresh(rng: np.random.Generator, account: int) -> bytes:
        return clients[int(rng.random() ** 1.5 * len(clients))]

    start, end = window(span, spec)
    population = Population(
        name,
        rng,
        accounts,
        flat,
        Work(rng, accounts, Job(write, purpose=1)),
        start_ms=start,
        end_ms=end,
        fresh=fresh,
        even=True,
    )
    return [Campaign(name, spec, RESELLER, start, end, population, [list(range(len(accounts)))])]
