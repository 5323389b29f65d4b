"""Pools within a group: who is joined, and by what a pool is named."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.campaigns.cohorts import group_of
from streams.campaigns.group import in_common
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import NETWORK, PAYMENT

NOW = 1_789_000_000_000
CARDS = {11: range(4), 12: range(4, 9)}


def pools(tokens: Iterable[tuple[int, int, int, Iterable[int]]]) -> list[tuple[int, list[int]]]:
    """Pools of nine accounts that share these tokens: number, kind, age, rows."""
    table, shared = AccountTable(), SharedTokens(1_000)
    rows = table.insert(np.arange(1, 10, dtype=np.uint64))
    table.rows["exchanges"][rows] = 5
    for number, kind, age, users in tokens:
        token = shared._add(SharedToken(number, kind, NOW - age))
        token.seen = dict.fromkeys(users, NOW)
        token.degree = len(token.seen) + (30 if kind == NETWORK else 0)  # others are there, too
        for row in token.seen:
            shared.infrastructure_of.setdefault(row, []).append(number)
    return group_of(table, shared, rows.tolist(), NOW).pools


def test_a_card_joins_its_accounts():
    """Two cards are two pools, the larger one first, each named by its card."""
    found = pools((number, PAYMENT, 100, rows) for number, rows in CARDS.items())
    assert [(12, list(CARDS[12])), (11, list(CARDS[11]))] == found


def test_pools_that_meet_have_names_of_their_own():
    """A network that is older than both cards, and on which one account of each pool was seen, names only one."""
    found = pools([(5, NETWORK, 200, (3, 4)), *((number, PAYMENT, 100, rows) for number, rows in CARDS.items())])
    assert [(12, list(CARDS[12])), (5, list(CARDS[11]))] == found


def test_the_oldest_token_names_one_pool():
    """Of a card and what came before it the older one; three pools that meet on one network have three names."""
    cards = {11: range(3), 12: range(3, 6), 13: range(6, 9)}
    found = pools([(5, NETWORK, 200, (0, 3, 6)), *((number, PAYMENT, 100, rows) for number, rows in cards.items())])
    assert [(5, [0, 1, 2]), (12, [3, 4, 5]), (13, [6, 7, 8])] == found


@pytest.mark.parametrize("pairs", [6, 250])
def test_hundreds_of_cards_are_no_chance(pairs: int):
    """Five hundred strangers in pairs have 250 cards, of which the chance is too small for a float; six are enough."""
    table, shared = AccountTable(), SharedTokens(1_000)
    rows = table.insert(np.arange(1, 501, dtype=np.uint64)).tolist()
    for pair in range(pairs):
        token = shared._add(SharedToken(1_000 + pair, PAYMENT, NOW))
        token.degree = 2
        for row in rows[2 * pair : 2 * pair + 2]:
            shared.infrastructure_of[row] = [token.token]

    assert 0.7 < group_of(table, shared, rows, NOW).payers <= 1.0


@given(
    st.lists(st.sets(st.integers(0, 12), min_size=2, max_size=6).map(sorted), max_size=30),
    st.sampled_from([(1, 0.0), (3, 0.3), (2, 0.8)]),
)
def test_networks_in_common(met: list[list[int]], enough: tuple[int, float]):
    """Two accounts are joined if they meet often enough, by number and by share of the networks of one with fewer."""
    least, share = enough
    sets = {row: {i for i, rows in enumerate(met) if row in rows} for row in range(13)}
    expected = [
        (one, two)
        for one, two in combinations(range(13), 2)
        if len(sets[one] & sets[two]) >= max(least, share * min(len(sets[one]), len(sets[two])))
    ]
    assert expected == sorted(in_common(met, least, share))
