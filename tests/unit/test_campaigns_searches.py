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
        self.at = self.table.insert(np.arange(1, N + 1, dtype=np.uint64) << np.uint64(32))
        for name, value in (
            ("first", NOW - 2 * HOUR_MS), ("last", NOW), ("exchanges", exchanges), ("refused", refused),
            ("near_new", exchanges), ("first_turn", exchanges),
        ):  # fmt: skip
            self.table.rows[name][self.at] = value
        for number in range(3):
            token = self.shared._add(SharedToken(number + 1, NETWORK, NOW - HOUR_MS))
            token.degree, token.members = N, {row: [NOW - HOUR_MS, NOW, 1, 0] for row in range(N)}
            for row in range(N):
                self.shared.infrastructure_of.setdefault(row, []).append(number + 1)

    def nats(self) -> list[float]:
        """Evidence of each candidate."""
        found = searches.pools(self.table, self.shared, NOW)
        return [total(searches.weigh(group, Reference(), NOW)) for _, group in found]


def test_mostly_refused():
    """Twelve strangers on common networks, five of six prompts refused, all of them new: a search."""
    (nats,) = Pool(refused=5).nats()

    assert nats >= ENOUGH


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
