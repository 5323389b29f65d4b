"""A reseller's pool is told by customers in common among accounts that never come from the same place twice."""

import numpy as np
import pytest
from campaign_feed import SETTINGS

from streams.campaigns import customers
from streams.campaigns.cases import threshold
from streams.campaigns.nats import total
from streams.campaigns.pools import look_for_relays
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.state import CampaignsState
from streams.campaigns.table import AccountTable
from streams.contracts.alert import decode_alert
from streams.contracts.packets import CLIENT, NETWORK

HOUR_MS = 3_600_000
NOW = 500_000 * HOUR_MS
N = 40
LIMIT = threshold(0, 0.02)


class Pool:
    """Forty accounts with two customers each, from another country; two neighbours have one in common."""

    def __init__(self, accounts: int = N, degree: int = 2, state: CampaignsState | None = None) -> None:
        self.table = state.table if state else AccountTable()
        self.shared = state.shared if state else SharedTokens(1000)
        at = self.table.insert(np.arange(1, accounts + 1, dtype=np.uint64) << np.uint64(32))
        self.rows, self.at = self.table.rows, at
        for name, value in (
            ("first", NOW - 3 * HOUR_MS), ("last", NOW), ("exchanges", 8), ("visits", 2), ("networks", 1),
            ("clients", 1), ("countries", 1),
        ):  # fmt: skip
            self.rows[name][at] = value
        for pair in range(accounts // 2):
            for number, kind in ((2 * pair, NETWORK), (2 * pair + 1, CLIENT)):
                token = self.shared._add(SharedToken(number + 1, kind, NOW - 2 * HOUR_MS + number))
                token.degree = degree
                for row in (2 * pair, 2 * pair + 1):
                    token.seen[row] = NOW
                    self.shared._hold(token, row)

    def nats(self) -> float:
        """Evidence of the pool that is found, 0 without one."""
        found = customers.pool(self.table, self.shared, NOW)
        return 0.0 if found is None else total(customers.weigh(found[1], found[2]))


def test_customers_in_common():
    """Forty accounts of strangers with a customer in common each are a case, founded by the first of them."""
    pool = Pool()
    founder, group, common = customers.pool(pool.table, pool.shared, NOW)

    assert (1, list(range(N)), N // 2) == (founder, group.at.tolist(), common)
    assert pool.nats() >= LIMIT


@pytest.mark.parametrize(
    ("column", "value"),
    [("visits", 8), ("clients", 0), ("countries", 0), ("networks", 0), ("org", 7), ("last", NOW - 25 * HOUR_MS)],
)
def test_what_is_no_customer(column, value):
    """Whoever comes back, has one client, is of one country or network, of one owner, or idle is in no such pool."""
    pool = Pool()
    pool.rows[column][pool.at] = value

    assert 0.0 == pool.nats()


def test_a_network_without_its_client():
    """Neighbours on one network by different programs are no customer of both."""
    pool = Pool()
    for row in pool.at.tolist():
        pool.shared.infrastructure_of[row] = pool.shared.infrastructure_of[row][:1]

    assert 0.0 == pool.nats()


def test_a_large_network():
    """In a network of nine accounts, a carrier's or a campus's, nobody is recognised."""
    assert 0.0 == Pool(degree=customers.NETWORK_ACCOUNTS + 1).nats()


def crowd(pool: Pool, customers_of: dict[int, int]) -> None:
    """Let each of these rows have so many customers in common with its neighbour, and no others any more."""
    pool.shared.infrastructure_of.clear()
    pool.shared.tokens.clear()
    for row, n in customers_of.items():
        for number in range(n):
            for kind in (NETWORK, CLIENT):
                name = 1_000 * (row // 2) + 2 * number + (kind == CLIENT) + 1
                token = pool.shared.tokens.get(name) or pool.shared._add(SharedToken(name, kind, NOW - HOUR_MS + name))
                token.degree = 2
                token.seen[row] = NOW
                pool.shared._hold(token, row)


def test_passers_by_are_left_out():
    """Who met nobody but each other, or one customer where others met many, is none of a pool that hangs together."""
    pool = Pool()
    whole, couple, passer = range(30), (36, 37), 38
    everybody = SharedToken(7_000_001, NETWORK, NOW), SharedToken(7_000_002, CLIENT, NOW)
    crowd(pool, {**dict.fromkeys(whole, 20), **dict.fromkeys(couple, 20), passer: 0})
    for token in everybody:
        pool.shared._add(token).degree = 2
        for row in (*whole, passer):
            token.seen[row] = NOW
            pool.shared._hold(token, row)
    _, group, _ = customers.pool(pool.table, pool.shared, NOW)

    assert list(whole) == group.at.tolist()


def test_a_young_pool_is_kept_whole():
    """While most have met one other only, as the first customers of hundreds of accounts do, nobody is left out."""
    pool = Pool()
    crowd(pool, dict.fromkeys(range(N), 1))
    _, group, _ = customers.pool(pool.table, pool.shared, NOW)

    assert list(range(N)) == group.at.tolist()


@pytest.mark.parametrize("column", ["networks", "clients"])
def test_who_comes_from_hardly_more_than_home_is_no_account_of_a_busy_pool(column):
    """One customer in common, but one new network or client where the others have had five: a customer's guest."""
    pool, guest = Pool(), 0
    pool.rows[column][pool.at] = 5
    pool.rows[column][guest] = 1
    _, group, _ = customers.pool(pool.table, pool.shared, NOW)

    assert list(range(1, N)) == group.at.tolist()


def test_who_sends_much_from_few_places_is_no_account_of_a_pool():
    """A developer with fifty times the traffic of the others, from as many networks, was met by a customer there."""
    pool, developer = Pool(), 0
    pool.rows["exchanges"][developer] = 400
    _, group, _ = customers.pool(pool.table, pool.shared, NOW)

    assert list(range(1, N)) == group.at.tolist()


def test_a_case_lets_go_of_who_was_met_by_chance():
    """Whom a young pool's case names stays while he pauses, but not once the others have had many customers."""
    state = CampaignsState(SETTINGS)
    pool, passer, paused = Pool(state=state), 0, 1
    for row in pool.at.tolist():
        state.table.names[row] = f"account-{row:02}"
    (opened,) = (decode_alert(record.value) for record in look_for_relays(state, NOW))
    assert N == len(opened.accounts.added)

    for name in ("networks", "clients", "exchanges"):
        pool.rows[name][pool.at[2:]] *= 10
    for row in (passer, paused):
        pool.shared.infrastructure_of[row] = []
    pool.rows["networks"][paused] = pool.rows["clients"][paused] = 5
    (revised,) = (decode_alert(record.value) for record in look_for_relays(state, NOW + HOUR_MS))

    assert ("updated", ("account-00",)) == (revised.status, revised.accounts.removed)


def test_chance_grows_with_the_accounts_held():
    """The same pool weighs less among so many accounts that as many are met there by chance."""
    pool = Pool()
    alone = pool.nats()
    others = np.arange(1_000, 1_000_000, dtype=np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)  # spread as hashes are
    pool.table.insert(others)

    assert 0.0 < pool.nats() < LIMIT <= alone
