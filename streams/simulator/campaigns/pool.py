"""The accounts of a campaign: drawn like anybody's, except for what a pool's operator shares among some of them."""

import numpy as np

from streams.simulator import infra
from streams.simulator.accounts import API, CHAT, CODE, PERSONAS, STYLES, Draft, draft
from streams.simulator.campaigns.spec import CampaignSpec

STYLES_SHARE = {CHAT: 0.48, CODE: 0.25, API: 0.27}  # as of benign accounts that are seen four times in six hours
# As many as of those: seats of companies, students of a university (reports name education programmes first).
SEAT_SHARE, STUDENT_SHARE = 0.07, 0.06
UPGRADED_SHARE = 0.15  # of free accounts: few of those that are seen so often are free
PAYMENT_SHARED, DEVICE_SHARED, EXIT_SHARED, DOMAIN_SHARED = 0.6, 0.3, 0.75, 0.15
AGED_DAYS = 14.0
APART_TRIES = 200


def _groups(rng: np.random.Generator, n: int, share: float, low: int, high: int) -> list[list[int]]:
    """Cut a random share of n accounts into groups of ``low`` to ``high``."""
    chosen = rng.permutation(n)[: int(n * share)].tolist()
    groups = []
    while len(chosen) >= 2:
        size = int(rng.integers(low, high + 1))
        groups.append(chosen[:size])
        chosen = chosen[size:]
    return groups


def _style(rng: np.random.Generator) -> int:
    return list(STYLES_SHARE)[int(np.searchsorted(np.cumsum(list(STYLES_SHARE.values())), rng.random()))]


def _exit(rng: np.random.Generator, style: int) -> infra.Network:
    """An exit of a proxy network: of the kinds that benign accounts of this style come from, as often as they do."""
    return infra.network(rng, PERSONAS[style].networks(rng), infra.country(rng))


def operate(rng: np.random.Generator, drafts: list[Draft], spec: CampaignSpec) -> None:
    """Let one operator run the accounts: cards, devices, mail domains and proxy exits, each shared by some only.

    What is unknown of an account stays unknown, and it has as many networks as before, so that neither tells.
    """
    n = len(drafts)
    if not spec.evades("split_payment"):
        for group in _groups(rng, n, PAYMENT_SHARED, 3, 12):
            card = infra.opaque(rng, "pm_")
            for i in group:
                drafts[i].payment = drafts[i].payment and card
    if not spec.evades("own_devices"):
        for group in _groups(rng, n, DEVICE_SHARED, 3, 8):
            device = infra.opaque(rng, "dev_")
            for i in group:
                drafts[i].device = drafts[i].device and device
    if not spec.evades("own_domains"):
        for group in _groups(rng, n, DOMAIN_SHARED, 4, 15):
            domain = infra.company_domain(rng)
            for i in group:
                drafts[i].domain = drafts[i].domain and domain
    if not spec.evades("own_networks"):
        exits = {
            style: [_exit(rng, style) for _ in range(max(2, round(n * share / 6)))]
            for style, share in STYLES_SHARE.items()
        }
        for i in rng.permutation(n)[: int(n * EXIT_SHARED)].tolist():
            own, known = drafts[i].networks, exits[drafts[i].style]
            taken = rng.integers(len(known), size=max(len(own) - 1, 1)).tolist()
            drafts[i].networks = [*[known[j] for j in taken], *own[len(taken) :]]


def _subnet(network: infra.Network) -> str:
    """The part of an address that neighbours share: /24, or /48 of IPv6."""
    return ":".join(network.ip.split(":")[:3]) if ":" in network.ip else network.ip.rpartition(".")[0]


def _keep_apart(rng: np.random.Generator, drafts: list[Draft], taken: set[str]) -> None:
    """Move the accounts of a pool out of subnets that other pools use, and add theirs to ``taken``."""
    moved: dict[infra.Network, infra.Network] = {}
    for one in drafts:
        for i, old in enumerate(one.networks):
            for _ in range(APART_TRIES):
                if _subnet(moved.get(old, old)) not in taken:
                    break
                moved[old] = _exit(rng, one.style)
            one.networks[i] = moved.get(old, old)
    taken.update(_subnet(network) for one in drafts for network in one.networks)


def _belong(rng: np.random.Generator, one: Draft) -> None:
    """Let some be seats of companies or students, and some pay, as many as among benign accounts that are as busy."""
    u = rng.random()
    if u < SEAT_SHARE:
        one.plan = "enterprise" if rng.random() < 0.5 else "team"
        one.org, one.payment = one.org or infra.opaque(rng, "org_"), one.payment or infra.opaque(rng, "pm_")
        one.domain = infra.company_domain(rng)
    elif u < SEAT_SHARE + STUDENT_SHARE and one.style != API:
        one.plan = "edu" if rng.random() < 0.55 else one.plan
        one.domain = infra.school_domain(rng) if rng.random() < 0.65 else one.domain
        one.networks[0] = infra.campus(rng, one.where) if rng.random() < 0.8 else one.networks[0]
    elif one.plan == "free" and rng.random() < UPGRADED_SHARE:
        one.plan = "pro"
        one.payment = one.payment or infra.opaque(rng, "pm_")


def _account(rng: np.random.Generator, spec: CampaignSpec) -> Draft:
    """Draw one account, of the segment that a specification names if it does."""
    style = STYLES.index(spec.use) if spec.use else _style(rng)
    one = draft(rng, style)
    if not spec.plan:
        _belong(rng, one)
    while spec.plan and one.plan != spec.plan:
        one = draft(rng, style)
    return one


def recruit(rng: np.random.Generator, spec: CampaignSpec) -> list[Draft]:
    """Draw the accounts of a campaign with the rates it wants of them; ``group`` is the number of the pool."""
    drafts = []
    for _ in range(spec.accounts):
        one = _account(rng, spec)
        one.rate = float(spec.per_day * rng.lognormal(-(spec.spread**2) / 2, spec.spread))
        opened = rng.random() < spec.opened
        if spec.evades("aged"):
            while one.age_days < AGED_DAYS:
                one.age_days = draft(rng, one.style).age_days
        elif opened:
            one.age_days = float(0.02 + 0.5 * rng.random()) - (0.0 if spec.evades("sleepers") else spec.start_h / 24)
        drafts.append(one)
    size = -(-len(drafts) // spec.pools)
    taken: set[str] = set()
    for pool in range(spec.pools):
        members = drafts[pool * size : (pool + 1) * size]
        for one in members:
            one.group = pool
        operate(rng, members, spec)
        if spec.pools > 1:
            _keep_apart(rng, members, taken)
    return drafts
