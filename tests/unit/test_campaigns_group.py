"""Pools within a group: who is joined, and by what a pool is named."""

from collections.abc import Iterable

import numpy as np

from streams.campaigns.cohorts import group_of
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
