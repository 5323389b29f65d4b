"""Which content tokens belong together."""

import pytest

from streams.campaigns.families import Families
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.contracts.packets import TEMPLATE

COPIED, VARIANT = 1, 2


def token(shared: SharedTokens, number: int, rows: range, elicit: int, most: int = 4) -> None:
    """A template that these accounts wrap ever new content in, the first of them so often."""
    made = shared._add(SharedToken(number, TEMPLATE, number))
    made.members = {row: [0, 0, 4, 4] for row in rows}
    made.members[0] = [0, 0, most, most]
    made.contents = set(range(50))
    made.exchanges = made.elicit_known = 100
    made.elicit = elicit
    made.regulars = made.workers = len(rows)


@pytest.mark.parametrize(
    ("elicit", "most", "variants", "families"),
    [(100, 400, range(8), 1), (0, 400, range(8), 2), (0, 4, range(8), 1), (0, 400, range(15), 1)],
    ids=["both ask for reasoning", "one is a program's", "one is not recognised", "nearly everybody has both"],
)
def test_what_cover_traffic_copies_stays_out_of_a_family(elicit, most, variants, families):
    """A program's template that a campaign's accounts copy is not one of its prompts, though all of a variant's do."""
    shared = SharedTokens(1_000)
    found = Families(shared)
    token(shared, COPIED, range(21), elicit, most)
    token(shared, VARIANT, variants, 100)
    for each in list(shared.tokens.values()):
        found.look(each)

    assert families == len(found.families)
