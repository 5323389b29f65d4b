"""Folding of many cases at once."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support import an_alert

from streams.contracts.alert import Accounts, AlertEvent
from streams.contracts.fold import fold, fold_all

ACCOUNTS = st.lists(st.sampled_from("abcdef"), max_size=4, unique=True).map(tuple)


def revision(alert_id: str, number: int, added: tuple[str, ...], removed: tuple[str, ...]) -> AlertEvent:
    return an_alert(alert_id, number, detected_at=number, accounts=Accounts(0, added, removed))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ACCOUNTS, ACCOUNTS), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_order_and_repeats_of_delivery_do_not_matter(
    changes: list[tuple[tuple[str, ...], tuple[str, ...]]], order: random.Random
) -> None:
    """Any shuffle of the revisions, with repeats, folds to the members that a loop in revision order gives."""
    revisions = [revision("c-1", number, *change) for number, change in enumerate(changes, 1)]
    members: set[str] = set()
    for added, removed in changes:
        members = (members | set(added)) - set(removed)
    delivered = revisions + order.choices(revisions, k=3)
    order.shuffle(delivered)

    case = fold(delivered)

    assert (tuple(sorted(members)), revisions[-1]) == (case.members, case.latest)


def test_cases_are_folded_apart() -> None:
    """Revisions of several cases that are interleaved give one case each, in order of first appearance."""
    first = [revision("c-9", 1, ("a",), ()), revision("c-9", 2, ("b",), ("a",))]
    second = [revision("c-1", 1, ("c",), ()), msgspec.structs.replace(revision("c-1", 2, (), ()), status="closed")]

    cases = fold_all([first[0], second[0], second[1], first[1]])

    assert [("c-9", ("b",), True), ("c-1", ("c",), False)] == [
        (alert_id, case.members, case.active) for alert_id, case in cases.items()
    ]


def test_no_revisions_are_no_cases() -> None:
    """An empty topic folds to no case."""
    assert {} == fold_all([])
