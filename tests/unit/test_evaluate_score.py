"""The judgement of what was caught, of which the demo shows a part."""

from typing import Any

from support import an_alert

from streams.contracts.alert import Accounts, AlertEvent
from streams.evaluate.score import Scorer
from streams.simulator.truth import CampaignTruth, KindTruth, Truth


def campaign(name: str, accounts: list[str], category: str = "distillation") -> CampaignTruth:
    """A campaign whose accounts ask once a second, one after the other, and are answered."""
    return CampaignTruth(
        id=name,
        shape=name,
        category=category,
        parameters={},
        start_ms=0,
        end_ms=100_000,
        accounts=accounts,
        pools=[],
        exchanges=len(accounts),
        answered_ms=[1_000 * (i + 1) for i in range(len(accounts))],
        per_account=dict.fromkeys(accounts, 1),
    )


TRUTH = Truth(
    seed=1,
    start_ms=0,
    end_ms=100_000,
    campaigns=[campaign("pool", ["a1", "a2", "a3", "a4"]), campaign("key", ["k1"], "stolen_credential")],
    benign=[KindTruth("hobbyist", False, ["b1", "b2", "b3"]), KindTruth("course", True, ["c1"])],
)
POOL, KEY = 0, 1


def alert(
    alert_id: str, added: str, revision: int = 1, removed: str = "", at_ms: int = 3_000, **fields: Any
) -> AlertEvent:
    """One revision that names the accounts in ``added``, divided by blanks."""
    accounts = Accounts(len(added.split()), tuple(added.split()), tuple(removed.split()))
    return an_alert(alert_id, revision, **({"detected_at": at_ms, "accounts": accounts} | fields))


def test_campaign_is_caught_by_a_cluster_of_its_category():
    """Leak, delay and accounts are those of the truth at the time of the first alert, whatever the alert claims."""
    found = Scorer(TRUTH).score({"x": [alert("x", "a1 a2")]}).campaigns[POOL]

    assert (True, 3_000, 2, 0.5, 2.0) == (found.caught, found.alert_ms, found.leaked, found.share, found.delay_s)
    assert (2, 2, 1.0, 0.5) == (found.named, found.right, found.precision, found.recall)


def test_missed_campaign_leaks_everything():
    """Without an alert all answered exchanges have leaked, and the faults name the campaign."""
    score = Scorer(TRUTH).score({})

    assert [(False, 4, None), (False, 1, None)] == [(c.caught, c.leaked, c.delay_s) for c in score.campaigns]
    assert ["not caught: pool, key"] == score.faults()


def test_wrong_category_does_not_catch():
    """A case that calls the campaign something else is shown as such and is no catch."""
    score = Scorer(TRUTH).score({"x": [alert("x", "a1 a2 a3", category="reseller")]})

    assert (False, "reseller") == (score.campaigns[POOL].caught, score.campaigns[POOL].called)
    assert ["not caught: pool (called reseller), key"] == score.faults()


def test_account_case_catches_only_a_stolen_key():
    """One account of a pool is not the pool; a stolen key is one account."""
    cases = {
        "x": [alert("x", "a1", kind="account")],
        "y": [alert("y", "k1", kind="account", category="stolen_credential")],
    }

    score = Scorer(TRUTH).score(cases)

    assert [False, True] == [each.caught for each in score.campaigns]


def test_everything_caught_and_nothing_benign_is_no_fault():
    """This is what makes the demo end with 0."""
    cases = {
        "x": [alert("x", "a1 a2")],
        "y": [alert("y", "k1", kind="account", category="stolen_credential")],
    }

    assert [] == Scorer(TRUTH).score(cases).faults()


def test_mostly_benign_case_is_a_false_alarm():
    """A case of which half or more is benign belongs to no campaign."""
    score = Scorer(TRUTH).score({"x": [alert("x", "a1 b1")]})

    assert (False, 1, 1) == (score.campaigns[POOL].caught, score.false_alarms, score.benign_named)
    assert {"hobbyist": 1} == score.false_names[0].kinds


def test_a_case_catches_a_campaign_once_it_is_about_it():
    """From the first revision of whose members more than half carry it; that it opened on others is a false alarm."""
    revisions = [
        alert("x", "a1 b1 b2", at_ms=1_500),
        alert("x", "a2", 2, at_ms=2_500),
        alert("x", "a3", 3, at_ms=3_500),
    ]
    found = Scorer(TRUTH).score({"x": revisions})

    assert (True, 3_500) == (found.campaigns[POOL].caught, found.campaigns[POOL].alert_ms)
    assert 1 == found.false_alarms


def test_an_alert_before_the_campaign_has_not_seen_it():
    """Whoever is named before his first hostile exchange was not named for it."""
    late = campaign("pool", ["a1", "a2"])
    late.times_ms = {"a1": [5_000], "a2": [6_000]}
    truth = Truth(1, 0, 100_000, [late], [])

    caught = [
        Scorer(truth).score({"x": [alert("x", "a1 a2", at_ms=at_ms)]}).campaigns[0].caught for at_ms in (4_999, 5_000)
    ]
    assert [False, True] == caught


def test_the_end_of_a_case_catches_nothing():
    """A case from before the campaign that closes after its beginning has not seen it."""
    late = campaign("pool", ["a1", "a2"])
    late.times_ms = {"a1": [5_000], "a2": [6_000]}
    revisions = [alert("x", "a1 a2", at_ms=4_000), alert("x", "", 2, at_ms=7_000, status="closed")]

    assert not Scorer(Truth(1, 0, 100_000, [late], [])).score({"x": revisions}).campaigns[0].caught


def test_what_leaks_is_no_more_than_there_was():
    """In the middle of the traffic an alert may not be readable yet: it leaks what has been answered so far."""
    found = Scorer(TRUTH, lateness_ms=5_000).score({"x": [alert("x", "a1 a2", at_ms=2_500)]}, until_ms=3_500)

    assert (3, 7_500) == (found.campaigns[POOL].leaked, found.campaigns[POOL].said_ms)


def test_a_case_that_ended_in_another_is_about_the_same():
    """Of two campaigns over the same accounts it goes to that of the case it ended in; the other is not caught."""
    both = [campaign("first", ["a1", "a2", "a3"]), campaign("second", ["a1", "a2", "a3"])]
    cases = {
        "x": [alert("x", "a1 a2 a3", at_ms=4_000)],
        "w": [alert("w", "a1 a2 a3", at_ms=3_000), alert("w", "", 2, at_ms=5_000, status="merged", merged_into="x")],
    }
    found = Scorer(Truth(1, 0, 100_000, both, [])).score(cases).campaigns
    assert [True, False] == [each.caught for each in found]
    assert 3_000 == found[0].alert_ms

    cases["w"][1] = alert("w", "", 2, at_ms=5_000)
    assert all(each.caught for each in Scorer(Truth(1, 0, 100_000, both, [])).score(cases).campaigns)


def test_benign_account_in_a_true_case_is_a_fault():
    """The campaign is caught, and yet somebody innocent was named."""
    cases = {"x": [alert("x", "a1 a2 a3 c1")], "y": [alert("y", "k1", kind="account", category="stolen_credential")]}

    score = Scorer(TRUTH).score(cases)

    assert (True, 0, 1) == (score.campaigns[POOL].caught, score.false_alarms, score.benign_named)
    assert ["1 benign account named"] == score.faults()


def test_withdrawn_account_was_named_all_the_same():
    """An alert that has gone out cannot be called back."""
    revisions = [alert("x", "a1 a2 a3 b1"), alert("x", "", 2, removed="b1")]

    score = Scorer(TRUTH).score({"x": revisions})

    assert (1, 4) == (score.benign_named, score.campaigns[POOL].named)


def test_two_cases_of_one_campaign_count_together():
    """The first alert gives leak and delay, both give the accounts."""
    cases = {"x": [alert("x", "a1 a2", at_ms=3_500)], "y": [alert("y", "a3 a4", at_ms=2_500)]}

    found = Scorer(TRUTH).score(cases).campaigns[POOL]

    assert (2_500, 2, 4, ("y", "x")) == (found.alert_ms, found.leaked, found.right, found.cases)


def test_score_in_the_middle_counts_what_has_happened():
    """The live table knows no exchange of the future."""
    found = Scorer(TRUTH).score({}, until_ms=2_500).campaigns[POOL]

    assert (2, 2) == (found.exchanges, found.leaked)
