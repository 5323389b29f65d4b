"""Pools that resell access, told by customers that their accounts have in common, as soon as a second customer came.

A router deals its customers out over its accounts. With hundreds of accounts each has two customers by the time that
the pool has had a few calls for each of them: too few for `relays`, which looks for accounts with many. But such an
account is never used from the same place twice, and again and again one of its customers, the same client program on
the same network, turns up on an account of somebody else.

One of both is harmless: who shares a computer at home comes back to it, and who is always on the road by another
program shows up on nobody else's account. Cannot see: a pool whose accounts have had one customer each, which look as
households do; customers behind large networks or with the most popular programs, whose tokens name nobody.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from streams.campaigns.cohorts import group_of
from streams.campaigns.group import PUBLIC_MAIL_ACCOUNTS, Group
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.relays import IDLE_MS, organisation
from streams.campaigns.shared import SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.alert import Evidence
from streams.contracts.packets import CLIENT, NETWORK

NETWORKS_A_VISIT, CLIENTS_A_VISIT = 0.6, 0.5  # never seen before, by visit after the first
NETWORK_ACCOUNTS = 8  # of a network in which a customer is recognised; a carrier, campus or VPN has more
POOL_MIN = 6
USUAL = 0.25  # of what half of a pool's accounts have: networks, also by exchange, clients, customers in common
# Of 20,000 benign accounts (tuning seeds 31, 34, 35; six hours) none is such a one, but three for ten minutes.
BENIGN_SHARE, BENIGN_MIN = 1 / 40_000, 0.5  # accounts
COMMON_MAX = 10.0  # nats


def routed(table: AccountTable, now: int) -> Any:
    """Rows of accounts that hardly ever came from the same place, or by the same client, twice."""
    rows = table.used
    again = rows["visits"].astype(np.float64) - 1.0
    mask = (rows["networks"] >= 1) & (rows["clients"] >= 1) & (rows["countries"] >= 1) & (now - rows["last"] < IDLE_MS)
    mask &= (rows["networks"] >= NETWORKS_A_VISIT * again) & (rows["clients"] >= CLIENTS_A_VISIT * again)
    return np.flatnonzero(mask)


def pool(table: AccountTable, shared: SharedTokens, now: int) -> tuple[int, Group, int] | None:
    """The accounts that share customers with others: token of the first customer, accounts, number of customers."""
    rows = routed(table, now)
    if rows.size < POOL_MIN:
        return None
    clients = cache(lambda row: _clients(shared, row))  # of a pool's accounts each is asked for again and again
    owner = cache(lambda row: _owner(table, row))
    found: dict[int, list[int]] = {}
    for row in rows.tolist():
        customers = [t for t in shared.infrastructure_of.get(row, ()) if _customer(shared, t, row, clients, owner)]
        if customers:
            found[row] = customers
    found = _without_passers_by(_with_customers(table, found))
    if len(found) < POOL_MIN:
        return None
    met = {token for customers in found.values() for token in customers}
    founder = min(met, key=lambda token: (shared.tokens[token].first, token))
    return founder, group_of(table, shared, list(found), now), len(met)


def served(rows: Any) -> Any:
    """Tell which accounts of a pool may have customers, where the others have had many.

    Whoever came from hardly more than home, by hardly another client, or from so few places for so much traffic, has
    not: a customer met him there.
    """
    networks, clients = rows["networks"].astype(np.float64), rows["clients"].astype(np.float64)
    measures = (networks, clients, networks / np.maximum(1, rows["exchanges"]))
    return np.logical_and.reduce([each >= USUAL * np.median(each) for each in measures])


def _with_customers(table: AccountTable, found: dict[int, list[int]]) -> dict[int, list[int]]:
    if not found:
        return found
    may = served(table.rows[list(found)]).tolist()
    return {row: customers for (row, customers), kept in zip(found.items(), may, strict=True) if kept}


def _without_passers_by(found: dict[int, list[int]]) -> dict[int, list[int]]:
    """Accounts with their customers, without passers-by: once most of them hang together, whoever met one other only,
    or met few of those in common where the others met many.
    """
    if len(found) < POOL_MIN:
        return found
    together = DisjointSet(found)
    first: dict[int, int] = {}
    for row, customers in found.items():
        for token in customers:
            together.merge(row, first.setdefault(token, row))
    sizes = {row: together.subset_size(row) for row in found}
    if 2 * max(sizes.values()) < len(found):
        return found  # of a young pool most have met nobody or one other
    usual = USUAL * sorted(map(len, found.values()))[len(found) // 2]
    return {row: c for row, c in found.items() if sizes[row] > 2 and len(c) >= usual}


def _customer(
    shared: SharedTokens,
    token: int,
    row: int,
    clients: Callable[[int], set[int]],
    owner: Callable[[int], tuple[str, int]],
) -> bool:
    """Tell whether an account of somebody else shows this network, too, and one of the same clients."""
    network = shared.tokens[token]
    if network.kind != NETWORK or network.degree > NETWORK_ACCOUNTS:
        return False
    return any(
        other != row and owner(other) != owner(row) and not clients(row).isdisjoint(clients(other))
        for other in network.seen
    )


def _clients(shared: SharedTokens, row: int) -> set[int]:
    return {token for token in shared.infrastructure_of.get(row, ()) if shared.tokens[token].kind == CLIENT}


def _owner(table: AccountTable, row: int) -> tuple[str, int]:
    """Organisation, else private mail domain, else the account itself."""
    org, mail = int(table.rows["org"][row]), int(table.rows["mail"][row])
    if org:
        return "org", org
    return ("mail", mail) if mail and table.mail_accounts[mail] <= PUBLIC_MAIL_ACCOUNTS else ("account", row)


def weigh(group: Group, customers: int) -> list[Evidence]:
    """Evidence that accounts which share so many customers are a reseller's, in nats."""
    rows = group.rows
    owners = group.owners()
    usual = max(BENIGN_MIN, BENIGN_SHARE * len(group.table))
    n = len(owners)
    again = np.maximum(1.0, rows["visits"].astype(np.float64) - 1.0)
    elsewhere = float(np.median(np.minimum(1.0, rows["networks"] / again)))
    countries = float(np.median(rows["countries"]))
    items = [
        # how unlikely so many are where so few are usual (Poisson, Chernoff's bound)
        evidence("I12", min(COMMON_MAX, max(0.0, n * math.log(n / usual) - (n - usual))), customers, round(usual, 1),
                 f"customers, each a client on a network, in common with others; {n} owners of accounts"),
        evidence("I20", 3.0 * ramp(elsewhere, 0.4, 0.9), round(elsewhere, 4), 0.1,
                 "networks never seen before, by visit after the first (median)"),
        evidence("I15", 2.0 * ramp(countries, 1, 4), countries, 0, "new countries an account (median)"),
        organisation(owners, len(group)),
    ]  # fmt: skip
    return [item for item in items if item.contribution]
