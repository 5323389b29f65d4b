"""Pools that resell access: a few accounts that carry many strangers' traffic.

A reseller's router spreads its customers over its accounts, so the same customers' networks turn up on several of them,
with many clients and countries each, and the load is split evenly. One company behind a gateway shows few networks; a
mobile user many networks but one client; a team one organisation.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from streams.campaigns.cohorts import group_of
from streams.campaigns.evidence import OWNERS_WEIGHT
from streams.campaigns.group import Group
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.shared import SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.alert import Evidence
from streams.contracts.packets import NETWORK

NETWORKS_MIN = 5  # first sightings of networks from an account's third exchange on
CLIENTS_MIN = 3
POOL_MIN = 2
MEETS_MIN = 2  # customers in common with the rest of the pool, ...
MEETS_SHARE = 0.3  # ... or so much of its networks: a bystander meets a pool in one cloud or VPN
# of a pool so large that each account has had few customers yet
FEW_NETWORKS_MIN, FEW_CLIENTS_MIN = 2, 2
FEW_MEETS_SHARE = 0.5
FEW_POOL_MIN = 12
FEW_USUAL = 0.5  # of the pool's median networks by exchange
FEW_OWNERS = 8  # as many roaming strangers meet by chance
OWNERS_MAX = 5.5
IDLE_MS = 86_400_000
# Links live as long (`accounts.infrastructure_ttl_ms`); what is older no longer joins accounts, and a browser that was
# brought up to date every month, or a place that was left, makes nobody a router.
FADE_MS = 14 * 86_400_000


def candidates(table: AccountTable, now: int, networks_min: int = NETWORKS_MIN, clients_min: int = CLIENTS_MIN) -> Any:
    """Rows of accounts with many networks and many clients."""
    rows = table.used
    mask = (rows["networks"] >= networks_min) & (rows["clients"] >= clients_min) & (now - rows["last"] < IDLE_MS)
    at = np.flatnonzero(mask)
    recent = _recent(rows[at], now)
    return at[(rows["networks"][at] * recent >= networks_min) & (rows["clients"][at] * recent >= clients_min)]


def _recent(rows: Any, now: int) -> Any:
    """Share of what accounts ever showed that is of the last two weeks, as if they had always shown as much."""
    return np.minimum(1.0, FADE_MS / np.maximum(1, now - rows["first"].astype(np.int64)))


def pools(table: AccountTable, shared: SharedTokens, now: int) -> list[tuple[int, Group]]:
    """Candidate pools: (token that founds it, accounts joined by a customer's network, a card or a device).

    A pool is of accounts with many customers each, or of a dozen and more with a few each, most of whom others of the
    pool have, too.
    """
    out = []
    large: set[int] = set()
    for founder, group in _joined(table, shared, candidates(table, now, FEW_NETWORKS_MIN, FEW_CLIENTS_MIN), now):
        recent = _recent(group.rows, now)
        met, networks = _meets(group), group.rows["networks"] * recent
        many = (networks >= NETWORKS_MIN) & (group.rows["clients"] * recent >= CLIENTS_MIN)
        least = np.where(many, MEETS_SHARE, FEW_MEETS_SHARE) * networks
        pool = group.take((met >= MEETS_MIN) & (met >= least))
        if len(pool) >= FEW_POOL_MIN:
            # a customer an exchange or four; who has much traffic from hardly more than home only passed by
            share = pool.rows["networks"] / pool.exchanges
            pool = pool.take(share >= FEW_USUAL * np.median(share))
            out.append((founder, pool))
            large.update(pool.at.tolist())
    for founder, group in _joined(table, shared, candidates(table, now), now):
        met = _meets(group)
        pool = group.take((met >= MEETS_MIN) | (met >= MEETS_SHARE * group.rows["networks"] * _recent(group.rows, now)))
        if len(pool) >= POOL_MIN and 2 * len(large.intersection(pool.at.tolist())) < len(pool):
            out.append((founder, pool))
    return out


def _joined(table: AccountTable, shared: SharedTokens, rows: Any, now: int) -> Iterator[tuple[int, Group]]:
    """Accounts that one network in common joins: few benign ones are candidates."""
    if rows.size < POOL_MIN:
        return
    group = group_of(table, shared, rows.tolist(), now)
    for founder, inside in group.joined(1, 0.0):
        yield founder, group.take(np.isin(group.at, inside))


def _meets(pool: Group) -> Any:
    """How many of each account's networks another account of the pool shows too."""
    met = dict.fromkeys(pool.at.tolist(), 0)
    for token, inside in pool.infrastructure.values():
        if token.kind == NETWORK:
            for row in inside:
                met[row] += 1
    return np.array([met[row] for row in pool.at.tolist()])


def weigh(group: Group, now: int) -> list[Evidence]:
    """Evidence that a pool resells access, in nats."""
    rows = group.rows
    owners = group.owners()
    recent = _recent(rows, now)
    networks, clients, countries = (
        float(np.median(rows[name] * recent)) for name in ("networks", "clients", "countries")
    )
    tokens = group.infrastructure
    shared = [inside for token, inside in tokens.values() if token.kind == NETWORK]
    wide = sum(1 for inside in shared if len(inside) >= 2)
    days = np.maximum(1 / 24, (rows["last"] - rows["first"]) / 86_400_000)
    deviation = float(np.log(np.maximum(1, rows["exchanges"]) / days).std())
    volume = float(np.median(rows["exchanges"] / days))
    # runners of one cloud meet by the dozen, too, but are of one country and one client each
    strangers = min(OWNERS_MAX, OWNERS_WEIGHT * math.log(max(1.0, len(owners) / FEW_OWNERS)))
    strangers *= ramp(clients, 1, 2) * ramp(countries, 0.5, 2)
    items = [
        evidence("I20", 3.5 * ramp(math.log(max(1.0, networks)), 1.6, 3.4), round(networks, 4), 2,
                 "networks an account in two weeks (median)"),
        evidence("I22", 2.0 * ramp(clients, 2, 8), round(clients, 4), 1,
                 "clients an account in two weeks (median)"),
        evidence("I15", 2.0 * ramp(countries, 1, 4), round(countries, 4), 0,
                 "new countries an account in two weeks (median)"),
        evidence("I12", 4.5 * ramp(math.log1p(wide), 0.7, 2.4) + strangers, wide, 0,
                 "customers' networks seen on two accounts or more"),
        evidence("I29", 2.0 * ramp(0.7 - deviation, 0, 0.5) - 1.0 * ramp(deviation - 1.0, 0, 1.0), round(deviation, 4),
                 1.2, "load split over accounts: log deviation"),
        evidence("I21", 2.0 * ramp(math.log10(max(1.0, volume)), 1.7, 3.0), round(volume, 1), 30,
                 "exchanges an account and day"),
        organisation(owners, len(group)),
    ]  # fmt: skip
    return [item for item in items if item.contribution]


def organisation(owners: Counter[tuple[str, int]], accounts: int) -> Evidence:
    """What speaks for a pool in that most of it is one owner's."""
    (kind, _), most = owners.most_common(1)[0]
    share = most / accounts if kind != "account" else 0.0
    return evidence(
        "benign.organisation", -8.0 * ramp(share, 0.3, 0.6), round(share, 4), 0.3, "one organisation's accounts"
    )
