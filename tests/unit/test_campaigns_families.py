"""Which content tokens belong together."""

import pytest

from streams.campaigns.families import Families
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.contracts.packets import SYSTEM, TAIL, TEMPLATE

COPIED, VARIANT = 1, 2


def token(shared: SharedTokens, number: int, rows: range, elicit: int, most: int = 4, kind: int = TEMPLATE) -> None:
    """A template, say, that these accounts wrap ever new content in, the first of them so often."""
    made = shared._add(SharedToken(number, kind, number))
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


@pytest.mark.parametrize(
    ("senders", "family"), [((1, 2), 1), ((1, 2, 31, 32), 2)], ids=["its own accounts", "a rush's as well"]
)
def test_a_question_that_others_send_too_joins_no_rush_to_a_campaign(senders, family):
    """Of six who sent one question of a public list two have a campaign's prompts besides, and two have a rush's."""
    shared = SharedTokens(1_000)
    found = Families(shared)
    token(shared, 1, range(21), 100)
    for number in range(2, 11):
        token(shared, number, range(30, 51), 100)
    token(shared, 11, range(60, 62), 100)
    question = shared.tokens[11]
    question.members |= {row: [0, 0, 1, 1] for row in senders}
    for each in list(shared.tokens.values()):
        del each.members[0]
        found.look(each)
    for row in senders:
        found.look(question, row)
    found.look(question)

    assert (family, 2) == (question.family, len(found.families))


def test_a_system_prompt_joins_no_campaigns():
    """Two campaigns whose accounts all show one app's system prompt are two, and what the app's users do is a third."""
    shared = SharedTokens(1_000)
    found = Families(shared)
    token(shared, 1, range(10), 100)
    token(shared, 2, range(10, 20), 100)
    token(shared, 3, range(60), 100, kind=SYSTEM)
    for each in list(shared.tokens.values()):
        found.look(each)

    assert 3 == len(found.families)


def test_a_system_prompt_alone_makes_nobody_a_member():
    """Where prompts have more in common, templates or how they end, only who shows that is a member."""
    shared = SharedTokens(1_000)
    found = Families(shared)
    token(shared, 1, range(10), 100)
    token(shared, 2, range(5, 25), 100, kind=TAIL)
    token(shared, 3, range(60), 100, kind=SYSTEM)
    held = list(shared.tokens.values())

    assert set(range(25)) == set(found.members_of(held))
    assert set(range(60)) == set(found.members_of(held[2:]))
