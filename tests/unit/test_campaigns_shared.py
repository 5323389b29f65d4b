"""What shared tokens are held in."""

import pytest

from streams.campaigns.shared import SharedToken, SharedTokens, TokenState
from streams.contracts.packets import NEAR_LOW, TEMPLATE


def test_a_row_is_one_object():
    """However often a row comes, and however large it is, all that hold it hold the same object."""
    shared = SharedTokens(1_000)
    first = shared.numbers([70_000, 3, -1, 500])
    again = shared.numbers([500, 80_000, int("70000")])
    assert ([70_000, 3, -1, 500], [500, 80_000, 70_000]) == (first, again)
    assert first[0] is again[2]
    assert first[3] is again[0]
    assert [] == shared.numbers([])


def test_memberships_hold_one_object_of_a_time():
    """The first and the last time of a membership that was seen once are one object."""
    shared = SharedTokens(1_000)
    token = shared.link((0, 2_000, 9, 1, int("1500"), int("1500"), 2, TEMPLATE, 1), 5)
    first, last, *_ = token.members[5]
    assert first is last
    assert {5: 1_600} == shared.link((0, 2_000, 8, 1, 1_600, 1_600, 2, NEAR_LOW, 1), 5).seen


def test_a_token_with_other_topics_is_refused():
    """A token comes back from its record as it was, and not from one whose topics are too few to count in."""
    state = TokenState(*SharedToken(9, TEMPLATE, 1_000).dump())
    assert tuple(state) == SharedToken.load(state).dump()
    with pytest.raises(ValueError, match="2 topics"):
        SharedToken.load(state._replace(subjects=[0, 0]))
