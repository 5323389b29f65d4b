"""Accounts that are long gone leave campaigns, so that its memory is bounded by who was there lately."""

import msgspec
import numpy as np
import pytest
from campaign_feed import HOUR_MS, SETTINGS, Feed, members, run, told

from streams.campaigns.index import HashIndex
from streams.campaigns.intake import INTRODUCTION, Tick, take_in
from streams.campaigns.operator import CampaignsOperator
from streams.campaigns.state import CampaignsState
from streams.contracts.alert import AlertEvent
from streams.contracts.fold import fold_all
from streams.contracts.packets import LINK, SIGNAL, TEMPLATE

HOURS = 24
LIFE_H = SETTINGS.accounts.ttl_ms // HOUR_MS
A_HOUR = 20
CREW = [f"crew-{i:02}" for i in range(16)]


def churn(hours: int = HOURS) -> Feed:
    """Twenty new accounts an hour that never come back, a campaign of one hour, and one guest who comes back late."""
    feed = Feed()
    for hour in range(hours):
        for i in range(A_HOUR):
            feed.use(hour * 60 + i, [f"guest-{hour}-{i}"], "")
    for minute in range(0, 60, 10):
        feed.use(120 + minute, CREW, "crew template")
    feed.use(hours * 60 - 90, ["guest-0-0"], "")
    return feed


def test_bounded():
    """Rows, names and state are of the accounts of the last few hours, however many came before."""
    _, operator = run(churn().packets(), (40,))
    seen = HOURS * A_HOUR + len(CREW)

    assert seen == len(operator.table) + operator.counters["accounts_evicted",] - 1  # one was there twice
    assert len(operator.table) <= (LIFE_H + 2) * A_HOUR
    assert operator.table.used.size == len(operator.table.names) <= (LIFE_H + 2) * A_HOUR + len(CREW)
    assert len(operator.table) == sum(name != "" for name in operator.table.names)
    held = operator.checkpoint()
    again = run(churn().packets(), (40,), crash=True)[1]
    assert held is not None
    assert len(operator.table) == len(again.table)


def test_members_stay_until_their_case_is_forgotten():
    """Accounts of a case are held as long as it is; both go when nothing could reopen it."""
    alerts, operator = run(churn(9).packets(), (40,))
    (alert_id,) = fold_all(alerts)

    assert "closed" == alerts[-1].status
    last = alerts[-1].last_seen
    assert operator.ticks.done - last > (LIFE_H + 1) * HOUR_MS
    assert operator.counters["accounts_evicted",] > 0
    assert tuple(sorted(CREW)) == members(operator, alert_id)
    assert {} == run(churn().packets(), (40,))[1].cases.cases


def test_an_account_that_comes_back_is_named():
    """An evicted account that returns introduces itself, and gets a row of its own again."""
    _, operator = run(churn().packets(), (40,))

    assert 1 == operator.table.names.count("guest-0-0")
    row = operator.table.rows[operator.table.names.index("guest-0-0")]
    assert 1 == row["exchanges"]


def test_cuts_and_crashes_do_not_matter():
    """When accounts are evicted depends on event time only: any cut, and restores in between, give the same alerts."""
    packets = churn().packets()
    golden = told(run(packets, (len(packets),))[0])

    assert golden
    assert golden == told(run(packets, (3, 50, 11))[0])
    assert golden == told(run(packets, (60,), crash=True)[0])


def flooded(shared: bool) -> tuple[list[AlertEvent], CampaignsOperator]:
    """A campaign, and beside it far more accounts than may be held: alone, or by twos with content of their own."""
    feed = Feed()
    for minute in range(0, 60, 10):
        feed.use(120 + minute, CREW, "crew template")
    for i in range(1_000):
        feed.use(60 + i / 10, [f"flood-{i}"], f"template {i // 2}" if shared else "")
    few = msgspec.structs.replace(SETTINGS.accounts, max_accounts=MOST)
    return run(feed.packets(), (40,), settings=msgspec.structs.replace(SETTINGS, accounts=few))


MOST = 80


@pytest.mark.parametrize("shared", [False, True], ids=["strangers", "pairs"])
def test_a_flood_of_accounts_has_a_limit(shared):
    """Beyond the limit those that are the least loss go, what they share as well if need be; a case keeps its own."""
    alerts, operator = flooded(shared)

    assert len(operator.table) <= 1.25 * MOST + 150  # and what comes within ten seconds, and those of the case
    assert operator.counters["accounts_evicted_early",] >= 1_000 - 1.25 * MOST
    (alert_id,) = (found for found, case in fold_all(alerts).items() if set(CREW) <= set(case.members))
    assert tuple(sorted(CREW)) == members(operator, alert_id)
    assert all(operator.table.names[row] for row in np.flatnonzero(operator.table.used["hash"]))


def test_a_link_of_a_forgotten_account_is_left_out():
    """No nameless row comes of a link of an account that is not held: it was forgotten early."""
    state, links = CampaignsState(SETTINGS), np.zeros(1, LINK)
    links["token"], links["account"], links["kind"], links["member"] = 7, 9, TEMPLATE, 1
    take_in(state, Tick(1_000, np.empty(0, SIGNAL), links, np.empty(0, INTRODUCTION)))

    assert 0 == len(state.table)


def test_a_degree_without_an_account_counts():
    """Above its cap a token's links have no account, and its degree goes on."""
    state, links = CampaignsState(SETTINGS), np.zeros(1, LINK)
    links["token"], links["degree"], links["kind"] = 7, 1_000, TEMPLATE
    take_in(state, Tick(1_000, np.empty(0, SIGNAL), links, np.empty(0, INTRODUCTION)))

    assert 1_000 == state.shared.tokens[7].degree
    assert 0 == len(state.table)


def test_a_degree_joins_no_account_that_is_not_held():
    """... nor does it make a family's account of the one that the link came from, be it held or not."""
    state, links = CampaignsState(SETTINGS), np.zeros(1, LINK)
    links["token"], links["account"], links["degree"], links["kind"] = 7, 9, 1_000, TEMPLATE
    tick = Tick(1_000, np.empty(0, SIGNAL), links, np.empty(0, INTRODUCTION))
    take_in(state, tick)
    state.shared.tokens[7].family = 7
    take_in(state, tick)

    assert not state.families.common.telling_of
    assert not state.families.common.dirty


def test_rows_are_given_out_again():
    """Free rows go to new keys first, smallest first, whether or not the index was loaded in between."""
    index = HashIndex()
    keys = np.arange(1, 9, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert list(range(8)) == index.insert(keys).tolist()
    left = keys.copy()
    left[[2, 5]] = 0
    index.load(left)

    assert [-1, -1, 7] == index.find(keys[[2, 5, 7]]).tolist()
    assert (8, 2) == (index.size, index.free)
    assert [2, 2, 5, 8, 0] == index.insert(np.array([11, 11, 12, 13, keys[0]], np.uint64)).tolist()
    assert (9, 0) == (index.size, index.free)
