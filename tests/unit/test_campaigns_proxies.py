"""A pool behind proxies is told by prompts in common among accounts that infrastructure joins."""

from types import SimpleNamespace

import numpy as np
import pytest

from streams.campaigns import proxies
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import NETWORK, PAYMENT, TEMPLATE

HOUR_MS = 3_600_000
NOW = 500_000 * HOUR_MS


class Town:
    """Thirty accounts, all on one network that have used each template named in ``users`` twice."""

    def __init__(self, users: dict[int, range]) -> None:
        self.table, self.shared = AccountTable(), SharedTokens(1000)
        self.at = self.table.insert(np.arange(1, 31, dtype=np.uint64) << np.uint64(32))
        for name, value in (("first", NOW - HOUR_MS), ("last", NOW), ("exchanges", 8)):
            self.table.rows[name][self.at] = value
        self.telling: dict[int, list[int]] = {}
        self.own(1, NETWORK, range(30))
        for token, rows in users.items():
            shared = self.shared._add(SharedToken(token, TEMPLATE, NOW - HOUR_MS))
            shared.degree = len(rows)
            for row in rows:
                shared.members[row] = [NOW - HOUR_MS, NOW, 2, 2]
                self.telling.setdefault(row, []).append(token)

    def own(self, token: int, kind: int, rows: range) -> None:
        """Let these accounts, and nobody else, share an infrastructure token."""
        shared = self.shared._add(SharedToken(token, kind, NOW - HOUR_MS))
        shared.degree = len(rows)
        for row in rows:
            shared.seen[row] = NOW
            self.shared._hold(shared, row)

    def pools(self, covered: set[int] | None = None) -> list[list[int]]:
        """Rows of the pools that are found."""
        families = SimpleNamespace(common=SimpleNamespace(telling_of=self.telling))
        found = proxies.pools(self.table, self.shared, families, covered or set(), NOW)
        return [group.at.tolist() for _, group in found]


def test_who_has_both_in_common():
    """Who shares infrastructure and a telling prompt is of the pool; who shares the infrastructure alone is not."""
    assert [list(range(20))] == Town({100: range(20)}).pools()


@pytest.mark.parametrize("more", [PAYMENT, None])
def test_others_with_a_prompt_of_their_own(more):
    """Four neighbours with a prompt of their own are no part of a pool of twenty, though they share a card with it."""
    town = Town({100: range(20), 200: range(20, 24)})
    if more is not None:
        town.own(2, more, range(19, 24))
    assert [list(range(20))] == town.pools()


def test_one_account_that_shows_both():
    """They are a part of it as soon as one account shows a prompt of either."""
    assert [list(range(24))] == Town({100: range(20), 200: range(19, 24)}).pools()


def test_many_with_a_prompt_of_their_own():
    """Five or more on the same infrastructure may be the campaign's second prompt."""
    assert [list(range(25))] == Town({100: range(20), 200: range(20, 25)}).pools()


def test_a_young_pool_in_pieces():
    """As long as no prompt is that of most, all pieces are one pool."""
    assert [list(range(18))] == Town({100: range(6), 200: range(6, 12), 300: range(12, 18)}).pools()


def test_who_is_named_already():
    """Accounts that a case names are not looked at again."""
    assert [list(range(2, 20))] == Town({100: range(20)}).pools({0, 1})
