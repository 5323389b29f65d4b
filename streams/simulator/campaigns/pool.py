"""The accounts of a campaign: drawn like anybody's, except for what a pool's operator shares among some of them."""

import numpy as np

from streams.simulator import infra
from streams.simulator.accounts import API, CHAT, CODE, Draft, draft
from streams.simulator.campaigns.spec import CampaignSpec

STYLE_SHARES = (0.25, 0.29, 0.46)  # chat, code, api: near the benign mix by exchanges
OPENED_SHARE = 0.1  # opened for the campaign; about as many benign exchanges come from accounts of that day
PAYMENT_SHARED, DEVICE_SHARED, EXIT_SHARED, DOMAIN_SHARED = 0.6, 0.3, 0.75, 0.15


def _groups(rng: np.random.Generator, n: int, share: float, low: int, high: int) -> list[list[int]]:
    """Cut a random share of n accounts into groups of ``low`` to ``high``."""
    chosen = rng.permutation(n)[: int(n * share)].tolist()
    groups = []
    while len(chosen) >= 2:
        size = int(rng.integers(low, high + 1))
        groups.append(chosen[:size])
        chosen = chosen[size:]
    return groups


def operate(rng: np.random.Generator, drafts: list[Draft], spec: CampaignSpec) -> None:
    """Let one operator run the accounts: cards, devices, mail domains and proxy exits, each shared by some only.

    What is unknown of an account stays unknown, so that the share of unknown fields does not tell.
    """
    n = len(drafts)
    if not spec.evades("split_payment"):
        for group in _groups(rng, n, PAYMENT_SHARED, 3, 12):
            card = infra.opaque(rng, "pm_")
            for i in group:
                drafts[i].payment = drafts[i].payment and card
    if not spec.evades("clean"):
        for group in _groups(rng, n, DEVICE_SHARED, 3, 8):
            device = infra.opaque(rng, "dev_")
            for i in group:
                drafts[i].device = drafts[i].device and device
        for group in _groups(rng, n, DOMAIN_SHARED, 4, 15):
            domain = infra.company_domain(rng)
            for i in group:
                drafts[i].domain = drafts[i].domain and domain
    if not spec.evades("own_networks"):
        kinds = ("home", "home", "cloud", "cloud", "vpn", "mobile")
        exits = [
            infra.network(rng, kinds[int(rng.integers(len(kinds)))], infra.country(rng)) for _ in range(max(4, n // 6))
        ]
        for i in rng.permutation(n)[: int(n * EXIT_SHARED)].tolist():
            taken = rng.integers(len(exits), size=2).tolist()
            drafts[i].networks = [*[exits[j] for j in taken], *drafts[i].networks[:1]]


def _upgrade(rng: np.random.Generator, one: Draft) -> None:
    """Take paid plans as often as benign accounts of such rates do: free plans carry few of all exchanges."""
    if one.plan == "free" and rng.random() < 0.35:
        one.plan = "pro"
        one.payment = one.payment or infra.opaque(rng, "pm_")
    elif one.plan == "pro" and rng.random() < 0.25:
        one.plan = "enterprise" if rng.random() < 0.5 else "team"
        one.org = one.org or infra.opaque(rng, "org_")


def recruit(rng: np.random.Generator, spec: CampaignSpec, count: int | None = None) -> list[Draft]:
    """Draw the accounts of a campaign with the rates it wants of them; ``group`` is the number of the pool."""
    drafts = []
    for _ in range(count or spec.accounts):
        style = (CHAT, CODE, API)[int(np.searchsorted(np.cumsum(STYLE_SHARES), rng.random()))]
        one = draft(rng, style)
        _upgrade(rng, one)
        one.rate = float(spec.per_day * rng.lognormal(-(spec.spread**2) / 2, spec.spread))
        if rng.random() < OPENED_SHARE:
            one.age_days = float(0.02 + 0.5 * rng.random())
        one.age_days = max(one.age_days, 180.0) if spec.evades("aged") else one.age_days
        drafts.append(one)
    size = -(-len(drafts) // spec.pools)
    for pool in range(spec.pools):
        members = drafts[pool * size : (pool + 1) * size]
        for one in members:
            one.group = pool
        operate(rng, members, spec)
    return drafts
