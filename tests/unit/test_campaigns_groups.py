"""When a group is weighed: soon while it is near a case, and only after it has grown while it is far from one.

And what it is taken for.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from campaign_feed import SETTINGS, Feed

from streams.campaigns.groups import WARM_SHARE, category_of
from streams.campaigns.operator import CampaignsOperator
from streams.campaigns.shared import SharedToken
from streams.campaigns.table import ROW
from streams.contracts.packets import TEMPLATE
from streams.operator import Batch

ACCOUNTS = [f"account-{i:02}" for i in range(20)]


class Watched:
    """A group of twenty accounts after two exchanges of each, which is made as near to a case as a test needs it."""

    def __init__(self) -> None:
        self._feed = Feed()
        self._operator = CampaignsOperator(SETTINGS)
        self._next = 0
        self.minute = 20.0
        self._feed.use(0, ACCOUNTS, "template")
        self._feed.use(19, ACCOUNTS, "template")
        self._take_in()

    def _take_in(self) -> None:
        packets = self._feed.packets(self.minute)
        first, self._next = self._next, self._next + len(packets)
        self._operator.on_batch(Batch(0, range(first, self._next), [None] * len(packets), packets))

    def put(self, share: float) -> None:
        """Let its evidence have been this share of the threshold, and no case."""
        state = self._operator.state
        ((founder, _),) = state.evidence_of.items()
        state.evidence_of[founder] = share * state.limit
        state.case_of.clear()

    def weighings(self, after_minutes: float, accounts: list[str]) -> int:
        """How often it is weighed when these accounts send one exchange each."""
        before = self._weighed()
        self.minute += after_minutes
        self._feed.use(self.minute, accounts, "template")
        self.minute += 1 / 60
        self._take_in()
        return self._weighed() - before

    def _weighed(self) -> int:
        counters = self._operator.state.counters
        return sum(n for key, n in counters.items() if key[0] == "evidence_bucket")


@pytest.mark.parametrize(("share", "weighed"), [(WARM_SHARE - 0.01, 0), (WARM_SHARE, 1), (0.99, 1)])
def test_a_group_far_from_a_case_waits(share: float, weighed: int):
    """An exchange after a minute has a group weighed again, but for one that was cold and has hardly grown."""
    group = Watched()
    group.put(share)

    assert weighed == group.weighings(2, ACCOUNTS[:1])


@pytest.mark.parametrize(
    ("after_minutes", "accounts"),
    [(2, ACCOUNTS[:12]), (2, [f"new-{i}" for i in range(4)]), (11, ACCOUNTS[:1])],
    ids=["exchanges", "accounts", "time"],
)
def test_a_cold_group_that_has_grown_is_weighed(after_minutes: float, accounts: list[str]):
    """A quarter more exchanges, a tenth more accounts, or ten minutes are enough."""
    group = Watched()
    group.put(0.0)

    assert 1 == group.weighings(after_minutes, accounts)


def test_small_steps_add_up():
    """Growth counts from the last weighing, not from the last look: a group that grows bit by bit is weighed, too."""
    group = Watched()
    group.put(0.0)

    assert [0, 0, 0, 0, 1] == [group.weighings(1.1, ACCOUNTS[i : i + 2]) for i in range(0, 10, 2)]


def test_a_group_counts_once_it_is_one():
    """Two accounts are no group yet; with the third it counts among the day's, once."""
    feed, seen = Feed(), []
    operator = CampaignsOperator(SETTINGS)
    for number, accounts in enumerate((ACCOUNTS[:2], ACCOUNTS[:3], ACCOUNTS[:9])):
        for minute in range(3):
            feed.use(10 * number + minute, accounts, "template")
        packets = feed.packets(10 * number + 5)
        first = operator.ticks.next_offset
        operator.on_batch(Batch(0, range(first, first + len(packets)), [None] * len(packets), packets))
        seen.append(len(operator.state.groups_seen))

    assert [0, 1, 1] == seen


@pytest.mark.parametrize(
    ("shown", "shown_refused", "sent", "refused", "category"),
    [
        (100, 60, 100, 60, "technique_search"),
        (60, 2, 300, 150, "technique_search"),
        (60, 25, 300, 80, "distillation"),
        (60, 0, 300, 2, "distillation"),
        (10, 0, 30, 15, "distillation"),
    ],
    ids=["refused", "found after a search", "banned", "answered", "too few to tell"],
)
def test_category(shown: int, shown_refused: int, sent: int, refused: int, category: str):
    """A search is told by its refusals, also by those before what it found came into use; a ban makes no search."""
    token = SharedToken(1, TEMPLATE, 0)
    token.exchanges, token.refused = shown, shown_refused
    token.elicit = token.elicit_known = shown
    rows = np.zeros(5, ROW)
    rows["exchanges"], rows["refused"] = sent // 5, refused // 5
    group: Any = SimpleNamespace(tokens=[token], rows=rows, fresh=np.full(5, 4))

    assert category == category_of(group)


@pytest.mark.parametrize(
    ("asked", "fresh", "category"),
    [(0, 0, "anomaly"), (40, 0, "distillation"), (0, 4, "distillation")],
    ids=["neither", "has a purpose", "wraps new content"],
)
def test_a_group_without_purpose_or_work_is_an_anomaly(asked: int, fresh: int, category: str):
    """Accounts that send one text over and over, which asks for nothing, belong together; what for is not known."""
    token = SharedToken(1, TEMPLATE, 0)
    token.exchanges = token.elicit_known = token.grading_known = 100
    token.elicit = asked
    rows = np.zeros(5, ROW)
    rows["exchanges"] = 20
    group: Any = SimpleNamespace(tokens=[token], rows=rows, fresh=np.full(5, fresh))

    assert category == category_of(group)
