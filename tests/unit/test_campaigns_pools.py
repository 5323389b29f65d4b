"""Cases of pools go on, merge, split and open again as the pools do."""

import numpy as np
from campaign_feed import HOUR_MS, SETTINGS, START_MS

from streams.campaigns.cohorts import group_of
from streams.campaigns.families import Family, Member
from streams.campaigns.group import Group
from streams.campaigns.groups import _with_the_named
from streams.campaigns.nats import evidence
from streams.campaigns.pools import _into_family, _kept, _settle
from streams.campaigns.publish import _pools, account_case, close
from streams.campaigns.shared import SharedToken
from streams.campaigns.state import CampaignsState
from streams.campaigns.upkeep import close_quiet
from streams.contracts.alert import AlertEvent, decode_alert
from streams.contracts.fold import fold_all
from streams.contracts.packets import CLIENT, PAYMENT

LEFT, RIGHT = range(8), range(8, 13)


class Town:
    """Accounts that are busy up to ``now``, whose pools a test names."""

    def __init__(self) -> None:
        self.state = CampaignsState(SETTINGS)
        self.now = START_MS
        self.alerts: list[AlertEvent] = []
        at = self.state.table.insert(np.arange(1, 21, dtype=np.uint64) << np.uint64(40))
        for row in at.tolist():
            self.state.table.names[row] = f"account-{row:02}"
        self.state.table.rows["first"][at] = START_MS - HOUR_MS
        self.state.table.rows["exchanges"][at] = 10

    def look(self, *pools: range, busy: bool = True, minutes: int = 10, nats: float = 20.0) -> list[AlertEvent]:
        """So many minutes later these are the pools, with so much evidence; returns what is published."""
        self.now += minutes * 60_000
        table = self.state.table
        if busy:
            table.rows["last"][:20] = self.now
        found = []
        for pool in pools:
            used = {row: Member(START_MS, int(table.rows["last"][row]), 5, 0, 0) for row in pool}
            found.append(
                (
                    min(pool) + 1,
                    Group(table, self.state.shared, used, [], self.now),
                    [evidence("I20", nats, 1, 0, "sure")],
                )
            )
        records = _settle(self.state, "reseller", found, self.now) + close_quiet(self.state, self.now)
        self.alerts += (told := [decode_alert(record.value) for record in records])
        return told

    def members(self) -> list[tuple[int, ...]]:
        """Rows that the folded revisions of each case name, which are those that the stage holds."""
        folded = fold_all(self.alerts)
        held = self.state.cases.cases
        for alert_id, case in folded.items():
            assert {int(name[-2:]) for name in case.members} == set(held[alert_id].members)
        return [tuple(int(name[-2:]) for name in case.members) for case in folded.values()]


def test_pools_that_become_one():
    """The older case takes all accounts, then the other ends in it."""
    town = Town()
    town.look(LEFT)
    town.look(LEFT, RIGHT)
    left, right = town.state.cases.cases
    taken, ended = town.look(range(13))

    assert (left, "updated", set(RIGHT)) == (taken.alert_id, taken.status, {int(n[-2:]) for n in taken.accounts.added})
    assert (right, "merged", left) == (ended.alert_id, ended.status, ended.merged_into)
    assert tuple(range(13)) == town.members()[0]
    assert [] == town.look(range(13))


def test_a_pool_that_falls_apart():
    """The part with most of the first accounts keeps the case, and the other part, even if larger, gets its own."""
    town = Town()
    town.look(range(6))
    town.look(range(16))
    told = town.look(range(5, 16), range(5))

    assert ["updated", "open"] == [alert.status for alert in told]
    assert [tuple(range(5)), tuple(range(5, 16))] == town.members()
    assert [] == town.look(range(5, 16), range(5))


def test_a_pool_that_comes_back():
    """A closed case opens again with the pool's next exchanges; a quiet pool opens none."""
    town = Town()
    town.look(LEFT)
    while not (told := town.look(LEFT, busy=False)):
        assert town.now < START_MS + 5 * HOUR_MS
    assert ["closed"] == [alert.status for alert in told]
    assert [] == town.look(LEFT, RIGHT, busy=False)
    (back,) = town.look(LEFT)

    assert (told[0].alert_id, "updated", told[0].revision + 1) == (back.alert_id, back.status, back.revision)
    assert [tuple(LEFT)] == town.members()


def test_a_closed_case_is_not_taken_over():
    """Who joined a case shortly before it ended gets a case of his own; the old one opens again for its own pool."""
    town = Town()
    town.look(LEFT)
    town.look(range(13))
    assert ["closed"] == [alert.status for alert in town.look(range(13), nats=5.0)]
    (other,) = town.look(RIGHT)
    assert "open" == other.status
    back, still = town.look(LEFT, RIGHT), town.members()

    assert [("updated", town.alerts[0].alert_id)] == [(alert.status, alert.alert_id) for alert in back]
    assert [tuple(LEFT), tuple(RIGHT)] == still


def test_evidence_that_comes_and_goes():
    """A case without evidence is withdrawn ten minutes after its last revision, not in the minute it lapses."""
    town = Town()
    town.look(LEFT)

    assert [] == town.look(LEFT, minutes=4, nats=5.0)
    assert [] == town.look(LEFT, minutes=4)
    assert [] == town.look(LEFT, minutes=1, nats=5.0)
    assert ["closed"] == [alert.status for alert in town.look(LEFT, minutes=1, nats=5.0)]
    assert [tuple(LEFT)] == town.members()


def test_a_pool_that_reopens_nothing():
    """Without an exchange since its case was withdrawn it holds back nobody else who is found."""
    town = Town()
    town.look(LEFT)
    assert ["closed"] == [alert.status for alert in town.look(LEFT, nats=5.0)]
    (other,) = town.look(LEFT, range(4, 11), busy=False)

    assert ("open", 7) == (other.status, len(other.accounts.added))
    assert other.alert_id != town.alerts[0].alert_id
    assert [] == town.look(LEFT, range(4, 11), busy=False)


def test_two_rules_that_find_the_same_accounts():
    """Whoever is inside a pool that has a case, or opens one at the same look, opens none; one apart from it does."""
    town = Town()
    inside, apart = range(5), range(13, 18)

    told = [alert for _ in range(6) for alert in town.look(LEFT, inside, apart)]
    assert [("open", 8), ("open", 5)] == [(alert.status, alert.accounts.count) for alert in told]
    assert [] == town.look(inside, LEFT, apart)

    young = Town()
    told = [alert for _ in range(6) for alert in young.look(inside, LEFT)]
    assert [("open", 5), ("updated", 8)] == [(alert.status, alert.accounts.count) for alert in told]


def test_an_end_and_a_move_say_which_pools():
    """Revisions that say nothing new of a case's pools repeat them."""
    town = Town()
    (opened,) = town.look(LEFT)
    case = town.state.cases.cases[opened.alert_id]
    town.state.cases.revise(case, "updated", list(LEFT), [], 11.5, town.now, [(7, [0, 1, 2])])
    (closed,) = close(town.state, case, town.now, [])

    assert [("pool-0000000000000007", 3)] == [(p.pool_id, p.accounts) for p in decode_alert(closed.value).pools]


def with_cards(town: Town, *cards: tuple[int, int, range]) -> None:
    """Let accounts share cards: number, age, rows."""
    shared = town.state.shared
    for number, first, members in cards:
        token = shared._add(SharedToken(number, PAYMENT, START_MS + first))
        token.seen, token.degree = dict.fromkeys(members, START_MS), len(members)
        for row in members:
            shared.infrastructure_of.setdefault(row, []).append(number)


def test_each_pool_has_a_name_of_its_own():
    """A card that is older than the one that a case called a pool by takes no name away, and none is given twice."""
    town = Town()
    with_cards(town, (5, 300, range(4)), (6, 200, range(4, 8)), (3, 100, range(2)))
    group = group_of(town.state.table, town.state.shared, list(LEFT), town.now)
    case = town.state.cases.open("cluster", "reseller", 1, [0], 1, town.now, town.now)
    for called, names in ((), {3, 6}), ((5,), {5, 6}), ((6,), {3, 6}), ((5, 6), {5, 6}):
        town.state.cases.revise(case, "updated", [0], [], 11.5, town.now, [(name, [0]) for name in called])
        told = _pools(town.state, case, group)
        assert [list(range(4)), list(range(4, 8))] == sorted(rows for _, rows in told)
        assert names == {name for name, _ in told}


def test_what_few_of_a_pool_show_does_not_name_it():
    """An older card of one account and of two outside, which has most of its users elsewhere, names no pool."""
    town = Town()
    with_cards(town, (5, 300, range(8)))
    shared = town.state.shared
    old = shared._add(SharedToken(3, CLIENT, START_MS))
    old.seen, old.degree = dict.fromkeys((0, 10, 11), START_MS), 3
    for row in old.seen:
        shared.infrastructure_of.setdefault(row, []).append(3)
    group = group_of(town.state.table, shared, [*LEFT, 10, 11], town.now)
    case = town.state.cases.open("cluster", "reseller", 1, [0], 1, town.now, town.now)

    assert [(5, list(LEFT))] == _pools(town.state, case, group)


def test_a_pool_keeps_its_name():
    """... that its case gave it, or another case, though one token is older: unless that token joins few of it."""
    town = Town()
    shared, cases = town.state.shared, town.state.cases
    with_cards(town, (5, 300, range(9)), (3, 100, range(4, 8)), (4, 200, range(2)))
    pool = list(range(9))
    group = group_of(town.state.table, shared, pool, town.now)
    one, other = (cases.open("cluster", "reseller", founder, [0], founder, town.now, town.now) for founder in (1, 2))
    assert [[(3, pool)]] * 2 == [_pools(town.state, case, group) for case in (one, other)]

    for name, for_other in ((5, 5), (4, 3)):
        cases.revise(one, "updated", [0], [], 11.5, town.now, [(name, [0])])
        assert [[(name, pool)], [(for_other, pool)]] == [_pools(town.state, case, group) for case in (one, other)]

    cases.revise(one, "closed", [0], [], 11.5, town.now)
    cases.forget(town.now + 1)
    assert not cases.naming


def test_who_stays_in_a_pool():
    """Accounts that a pool's case names stay in it while they pause, unless a family's case has come to name them."""
    town = Town()
    (opened,) = town.look(LEFT)
    assert len(LEFT) == len(opened.accounts.added)
    used = {row: Member(START_MS, town.now, 5, 0, 0) for row in range(6)}
    busy = Group(town.state.table, town.state.shared, used, [], town.now)
    town.state.table.rows["last"][7] = town.now + HOUR_MS  # by whatever else he does
    kept = _kept(town.state, busy, "reseller", town.now)
    assert list(LEFT) == kept.at.tolist()
    assert town.now == int(kept.last.max()), "it does not keep the pool's case open"

    family = town.state.cases.open("cluster", "distillation", 99, [7, 15, 16], 99, town.now, town.now)
    town.state.cases.revise(family, "open", [7, 15, 16], [], 0.0, town.now, [], town.now)
    assert list(range(7)) == _kept(town.state, busy, "reseller", town.now).at.tolist()


def test_a_pool_ends_in_the_campaign_that_covers_it():
    """A family's case takes the accounts of a pool, most of which it names, before the pool's case ends in it."""
    town = Town()
    (opened,) = town.look(LEFT)
    family = town.state.cases.open("cluster", "distillation", 99, list(range(5)), 99, town.now, town.now)
    town.state.cases.revise(family, "open", list(range(5)), [], 0.0, town.now, [], town.now)
    town.state.case_of[99] = family.alert_id
    pool = town.state.cases.cases[opened.alert_id]
    taken, ended = [decode_alert(r.value) for r in _into_family(town.state, pool, town.now)]

    assert (family.alert_id, ["account-05", "account-06", "account-07"]) == (taken.alert_id, list(taken.accounts.added))
    assert (opened.alert_id, "merged", family.alert_id) == (ended.alert_id, ended.status, ended.merged_into)
    assert {5, 6, 7} == set(family.pooled)


def test_who_was_named_stays_while_a_campaign_goes_on():
    """... if he wraps content of his own in its prompts, or was named for his pool, though the core leaves him out."""
    town = Town()
    state = town.state
    cases = [
        state.cases.open("cluster", "distillation", number, rows, number, town.now, town.now)
        for number, rows in ((99, list(range(8))), (98, [4]))
    ]
    for case in cases:
        state.cases.revise(case, "open", case.opening, [], 0.0, town.now, [], town.now)
        state.case_of[case.founder] = case.alert_id
    case, family = cases[0], Family(99, [99])
    case.pooled = dict.fromkeys((1, 4, 5, 9))
    state.table.rows["last"][5] = town.now + HOUR_MS  # by whatever else he does
    used = {row: Member(START_MS, town.now, 5, fresh, 1, solid) for row, solid, fresh in
            ((0, 3, 3), (1, 3, 3), (2, 1, 3), (3, 1, 0), (7, 0, 1), (8, 3, 3))}  # fmt: skip
    group = Group(state.table, state.shared, used, [], town.now)
    core = group.among({0, 1})

    told = _with_the_named(state, family, group, used, core, case)
    assert [0, 1, 2, 5] == told.at.tolist()
    assert [3, 3, 3, 0] == told.fresh.tolist()
    assert {5: None} == case.pooled, "who shows the prompts is there for these, and who is another case's is gone"
    assert int(told.last.max()) == town.now

    assert [0, 1] == _with_the_named(state, family, group, used, core, None).at.tolist()
    close(state, case, town.now, [])
    assert [0, 1] == _with_the_named(state, family, group, used, core, case).at.tolist()


def test_an_account_case_ends_in_the_pool_that_the_account_joins():
    """... by any revision, opening again included, and none is opened or goes on while that case names the account."""
    town = Town()
    town.look(LEFT)
    sure = [evidence("I20", 20.0, 1, 0, "sure")]
    (alone,) = account_case(town.state, 9, "reseller", sure, 11.5, town.now)
    told = town.look(range(10), minutes=20)
    assert ["updated", "merged"] == [alert.status for alert in told]
    assert (decode_alert(alone.value).alert_id, told[0].alert_id) == (told[1].alert_id, told[1].merged_into)
    town.now += 2 * HOUR_MS
    assert [] == account_case(town.state, 9, "reseller", sure, 11.5, town.now)

    assert ["closed"] == [alert.status for alert in town.look(range(10), nats=5.0)]
    assert 1 == len(account_case(town.state, 3, "reseller", sure, 11.5, town.now))
    assert ["updated", "merged"] == [alert.status for alert in town.look(range(10))]


def test_what_is_found_no_more_is_over():
    """An account's case ends after three hours without news, a pool's after its time, however busy the accounts are."""
    town = Town()
    town.look(LEFT, minutes=0)
    account_case(town.state, 9, "stolen_credential", [evidence("I28", 20.0, 1, 0, "sure")], 11.5, town.now)
    ended = {}
    for minute in range(10, 300, 10):
        for alert in town.look(*([LEFT] if minute <= 120 else [])):
            ended[alert.kind] = alert.status, minute

    assert {"account": ("closed", 190), "cluster": ("closed", 220)} == ended


def test_an_account_case_opens_again_with_new_exchanges_only():
    """A scraper that is still listed after its case was closed has to go on first."""
    town = Town()
    sure = [evidence("I21", 20.0, 1, 0, "sure")]
    account_case(town.state, 9, "distillation", sure, 11.5, town.now)
    while not town.look(busy=False):
        pass
    assert [] == account_case(town.state, 9, "distillation", sure, 11.5, town.now)
    town.look()
    (again,) = account_case(town.state, 9, "distillation", sure, 11.5, town.now)
    assert "updated" == decode_alert(again.value).status
