"""A pool that looks for a way past the guards is told from people who are refused now and then."""

import numpy as np
import pytest

from streams.campaigns import searches
from streams.campaigns.nats import total
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import NETWORK

HOUR_MS = 3_600_000
NOW = 500_000 * HOUR_MS
ENOUGH = 11.5  # nats: the usual threshold
N = 12


class Pool:
    """Twelve accounts on three networks of their own."""

    def __init__(self, refused: int, exchanges: int = 6) -> None:
        self.table, self.shared = AccountTable(), SharedTokens(1000)
        self.at = self.join(0, N, refused, exchanges)

    def join(self, begin: int, n: int, refused: int, exchanges: int = 6) -> np.ndarray:
        """Add accounts on three networks of their own; return their rows."""
        numbers = np.random.default_rng(begin).integers(1, 2**64, n, np.uint64)
        at = self.table.insert(numbers)
        for name, value in (
            ("first", NOW - 2 * HOUR_MS), ("last", NOW), ("exchanges", exchanges), ("refused", refused),
            ("near_new", exchanges), ("first_turn", exchanges),
        ):  # fmt: skip
            self.table.rows[name][at] = value
        for number in range(begin, begin + 3):
            token = self.shared._add(SharedToken(number + 1, NETWORK, NOW - HOUR_MS))
            token.degree, token.seen = n, dict.fromkeys(at.tolist(), NOW)
            for row in at.tolist():
                self.shared.infrastructure_of.setdefault(row, []).append(number + 1)
        return at

    def nats(self) -> list[float]:
        """Evidence of each candidate."""
        if (found := searches.pool(self.table, self.shared, NOW)) is None:
            return []
        _, group, usual = found
        return [total(searches.weigh(group, usual, Reference(), NOW))]


def test_mostly_refused():
    """Twelve strangers on common networks, five of six prompts refused, all of them new: a search."""
    (nats,) = Pool(refused=5).nats()

    assert nats >= ENOUGH


def test_refused_strangers_of_a_large_provider():
    """Sixty of 720 accounts are refused; most of them have a network in common with another one, as others have."""
    pool = Pool(refused=0)
    for begin in range(N, 60 * N, N):
        pool.join(begin, N, refused=0)
    refused = np.random.default_rng(1).choice(60 * N, 60, replace=False)
    pool.table.rows["refused"][refused] = 5

    (nats,) = pool.nats()

    assert nats < ENOUGH - 4


def test_a_guard_that_refuses_nearly_everybody():
    """Where 708 of 720 accounts are refused, a dozen others tell how many of so many would be joined."""
    pool = Pool(refused=0)
    for begin in range(N, 60 * N, N):
        pool.join(begin, N, refused=5)

    (nats,) = pool.nats()

    assert nats < ENOUGH - 4


@pytest.mark.parametrize(("refused", "exchanges"), [(1, 6), (2, 40)])
def test_refused_now_and_then(refused: int, exchanges: int):
    """One refusal is anybody's, and so are two of forty: no candidate."""
    assert [] == Pool(refused, exchanges).nats()


def test_a_team_that_tests_guards():
    """The same traffic by the accounts of one organisation is its work."""
    pool = Pool(refused=5)
    pool.table.rows["org"][pool.at] = 7

    assert all(nats < ENOUGH - 4 for nats in pool.nats())


def test_the_same_probes_again():
    """Accounts that repeat a list of their own measure refusals: less by half of the distance to the threshold."""
    pool = Pool(refused=5)
    pool.table.rows["near_new"][pool.at] = 1

    assert all(nats < ENOUGH for nats in pool.nats())


def test_strangers_with_nothing_in_common():
    """Refused accounts that nothing joins are no pool."""
    pool = Pool(refused=5)
    pool.shared.infrastructure_of.clear()

    assert [] == pool.nats()
