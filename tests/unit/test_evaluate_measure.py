"""Figures that the evaluation takes from the alerts of a run and its truth."""

import pytest
from test_evaluate_score import alert

from streams.contracts.alert import AlertEvent, Evidence
from streams.evaluate.divergence import bound, divergence
from streams.evaluate.measure import Moves, adjusted_rand, false_cases, measure, rand_index
from streams.evaluate.results import Measured
from streams.evaluate.rows import Row
from streams.evaluate.score import Scorer
from streams.simulator.truth import CampaignTruth, KindTruth, Truth

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


def truth(moments: dict[str, int] | None = None, category: str = "distillation") -> CampaignTruth:
    """Four accounts in two pools; account i asks at minute i, i + 10, i + 20, ... up to 90; every other is refused."""
    accounts = ["a0", "a1", "a2", "a3"]
    times = {account: [(i + 10 * k) * MINUTE for k in range(10)] for i, account in enumerate(accounts)}
    every = sorted(time for each in times.values() for time in each)
    return CampaignTruth(
        "1-x", "x", category, {}, 0, DAY, accounts, [["a0", "a1"], ["a2", "a3"]], moments or {}, len(every), 0,
        every[::2], every[1::2], dict.fromkeys(accounts, 10), times,
    )  # fmt: skip


def measured(
    campaign: CampaignTruth,
    *alerts: AlertEvent,
    unit: str = "leaked",
    moved_ms: int | None = None,
    lateness_ms: int = 0,
) -> Measured:
    """Measure a campaign by the alerts, which are revisions of as many cases as they have ids."""
    cases: dict[str, list[AlertEvent]] = {}
    for each in alerts:
        cases.setdefault(each.alert_id, []).append(each)
    whole = Truth(1, 0, DAY, [campaign], [KindTruth("hobbyist", False, ["b1", "b2"])])
    outcome = Scorer(whole, lateness_ms).score(cases).campaigns[0]
    return measure(Row("D1", "", "s", "x", unit=unit), campaign, outcome, cases, DAY, moved_ms, lateness_ms)


def test_leak_counts_answered_exchanges_before_the_alert():
    """Half of the exchanges are refused and do not leak; the variants that were tried count them all."""
    opened = alert("x", "a0 a1", at_ms=20 * MINUTE)

    assert (True, 4, 4.0) == ((found := measured(truth(), opened)).caught, found.leaked, found.value)
    assert 8.0 == measured(truth(), opened, unit="tried").value


def test_never_caught_has_no_value():
    """Its leak is all that there was, which says nothing about how much it would have been."""
    found = measured(truth())

    assert (False, 20, None, 0, 0) == (found.caught, found.leaked, found.value, found.named, found.right)


def test_burst_leaves_the_probe_out():
    """Only what leaked after the burst began counts."""
    key = truth({"probe_ms": 0, "burst_ms": 10 * MINUTE}, "stolen_credential")
    opened = alert("x", "a0 a1", at_ms=20 * MINUTE, category="stolen_credential")

    assert 2.0 == measured(key, opened, unit="burst").value


def test_second_pool_counts_until_the_same_case_names_it():
    """A case that was opened after the ban does not recognise anything."""
    banned = truth({"ban_ms": 30 * MINUTE})
    banned.pools = [["a0"], ["a1", "a2", "a3"]]
    before, after = alert("x", "a0", at_ms=20 * MINUTE), alert("x", "a1 a2 a3", 2, at_ms=42 * MINUTE)

    assert 13.0 == measured(banned, before, after, unit="second_pool").value
    assert measured(banned, alert("y", "a1 a2 a3", at_ms=42 * MINUTE), unit="second_pool").value is None


def test_pivot_needs_a_revision_that_says_so():
    """Minutes run from when 5 % had moved; a revision for any other reason is none."""
    pivoted = truth({"pivot_ms": 30 * MINUTE})
    opened = alert("x", "a0 a1", at_ms=20 * MINUTE)
    said = alert("x", "a2", 2, at_ms=45 * MINUTE, evidence=(Evidence("I16", 2.0),))
    other = alert("x", "a2", 2, at_ms=45 * MINUTE)

    assert 5.0 == measured(pivoted, opened, said, unit="pivot_min", moved_ms=40 * MINUTE).value
    assert measured(pivoted, opened, other, unit="pivot_min", moved_ms=40 * MINUTE).value is None


def test_a_pivot_that_was_told_before_it_happened_is_none():
    """What a revision repeats of an earlier one is not the move; what it tells anew is, once it can be read."""
    pivoted = truth({"pivot_ms": 30 * MINUTE})
    early, late = (Evidence("I16", 0.4, detail=text) for text in ("3 of 60", "20 of 60"))
    opened = alert("x", "a0 a1", at_ms=20 * MINUTE, evidence=(early,))
    repeated = alert("x", "a2", 2, at_ms=45 * MINUTE, evidence=(early,))
    told = alert("x", "a3", 3, at_ms=50 * MINUTE, evidence=(late,))

    assert measured(pivoted, opened, repeated, unit="pivot_min", moved_ms=40 * MINUTE).value is None
    found = measured(pivoted, opened, repeated, told, unit="pivot_min", moved_ms=40 * MINUTE, lateness_ms=MINUTE)
    assert 11.0 == found.value


def test_leak_counts_until_the_alert_can_be_read():
    """An alert about the traffic before its detected_at is published once the lateness has passed."""
    opened = alert("x", "a0 a1", at_ms=20 * MINUTE)

    assert (4, 6) == tuple(measured(truth(), opened, lateness_ms=late).leaked for late in (0, 9 * MINUTE))


def test_a_second_pool_is_recognised_by_a_case_of_its_category():
    """A case that calls the first pool something else has not seen the campaign."""
    banned = truth({"ban_ms": 30 * MINUTE})
    banned.pools = [["a0"], ["a1", "a2", "a3"]]
    before = alert("x", "a0", at_ms=20 * MINUTE, category="anomaly")
    after = alert("x", "a1 a2 a3", 2, at_ms=42 * MINUTE, category="anomaly")

    assert measured(banned, before, after, unit="second_pool").value is None


def test_moves_are_to_models_that_are_new_to_the_account():
    """Accounts that used the model before, or are first seen after the moment, have not moved."""
    moves = Moves({"a", "b", "c"}, 100)
    for time, account, model in [(1, "a", "m"), (2, "b", "n"), (3, "b", "m"), (101, "b", "n"), (102, "c", "n")]:
        moves.see(time, account, model)

    assert moves.moved_ms() is None
    moves.see(103, "a", "n")
    assert 103 == moves.moved_ms()


def test_moves_are_to_where_most_went():
    """Who tries a model of its own choice after the moment has not moved with the others."""
    moves = Moves({f"a{i}" for i in range(40)}, 100)
    for i in range(40):
        moves.see(i, f"a{i}", "old")
    for time, account, model in [(101, "a0", "own"), (102, "a1", "new"), (103, "a2", "own"), (110, "a3", "new")]:
        moves.see(time, account, model)
    moves.see(120, "a4", "new")
    assert 110 == moves.moved_ms()


def test_members_over_time_follow_the_fold():
    """Who was removed is no member any more, but was named all the same; due is who had three exchanges by then."""
    alerts = [alert("x", "a0 a1 b1", at_ms=15 * MINUTE), alert("x", "a2", 2, removed="b1", at_ms=22 * MINUTE)]

    found = measured(truth(), *alerts)

    assert [(0, 3, 2, 0), (5, 3, 2, 1), (15, 3, 3, 4)] == [
        (m.minutes, m.named, m.right, m.due) for m in found.members if m.minutes <= 15
    ]
    assert (4, 3, 4, 3) == (found.named, found.right, found.due, found.due_named)


def test_false_case_is_named_after_most_of_its_accounts():
    """It tells when it was opened and for what reasons."""
    whole = Truth(1, 0, DAY, [truth()], [KindTruth("hobbyist", False, ["b1", "b2"])])
    reasons = (Evidence("I1", 1.0, 2, 2, "shared"),)
    cases = {"x": [alert("x", "b1 b2", at_ms=60 * MINUTE, evidence=reasons)]}

    found = false_cases(Scorer(whole).score(cases), cases, 0)

    assert [("hobbyist", True, 1.0, {"I1": 1.0})] == [(f.kind, f.alarm, f.opened_h, f.evidence) for f in found]


@pytest.mark.parametrize(
    ("cases", "expected"),
    [({"x": "a0 a1 a2 a3", "y": "a0 a1 a2 a3"}, 1.0), ({"x": "a0 a1 a2 a3"}, 0.0)],
    ids=["a case for each", "one case for both"],
)
def test_two_campaigns_in_one_pool_are_two_cases(cases, expected):
    """The Rand index is 1 if each campaign has its case, though the accounts are the same, and 0 if they are one."""
    other = truth()
    other.id = "1-xb"
    whole = Truth(1, 0, DAY, [truth(), other], [])
    alerts = {name: [alert(name, accounts)] for name, accounts in cases.items()}

    outcomes = Scorer(whole).score(alerts).campaigns

    assert expected == rand_index(whole, outcomes, alerts)


def test_rand_index_of_independent_partitions_is_about_zero():
    """Adjusted for chance: a partition that crosses the other one is no better than drawn at random."""
    crossed = [(a, b) for a in "ab" for b in "xy" for _ in range(25)]

    assert adjusted_rand(crossed) == pytest.approx(-0.01, abs=0.02)


def test_divergence_is_that_of_known_distributions():
    """A coin of 1/2 against one of 1/4: 0.5 ln 2 + 0.5 ln 2/3 nats; the same coin: none."""
    benign = {(0,): 750_000, (1,): 250_000}

    assert divergence([(0,), (1,)] * 5_000, benign) == pytest.approx(0.1438, abs=0.001)
    assert divergence([(0,)] * 7_500 + [(1,)] * 2_500, benign) == pytest.approx(0.0, abs=0.001)
    assert bound(11.5, 0.1438) == pytest.approx(80, rel=0.01)
    assert bound(11.5, 0.0) is None
