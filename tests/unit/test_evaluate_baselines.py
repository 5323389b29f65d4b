"""The simple methods that the detector is held against, each on traffic that it is made for."""

from collections.abc import Iterable, Sequence

import pytest

from streams.evaluate.baselines import METHODS
from streams.evaluate.baselines.common import Alarms, Sightings, Suspicion, judge
from streams.evaluate.baselines.panel import Panel
from streams.evaluate.seen import Seen
from streams.simulator.truth import CampaignTruth, KindTruth, Truth

HOUR = 3_600_000
DAY = 24 * HOUR
DEFAULT = Seen(0, "a", "a", "", "", "", "", "", "", 0, 0, 0, 0.0, 0.0, "qa", 100, 200, "m", True)


def seen(time_ms: int, account: str, **fields: object) -> Seen:
    """One exchange of an account that shows nothing but what is given."""
    return DEFAULT._replace(time_ms=time_ms, account=account, key=account, **fields)


def highest(name: str, events: Iterable[Seen]) -> tuple[float, set[str]]:
    """Highest score that a method gives, and whom it then names."""
    entry = next(entry for entry in METHODS if entry.name == name)
    method, sightings = entry.make(), Sightings()
    best: tuple[float, set[str]] = (0.0, set())
    for event in events:
        for suspicion in method.see(event, sightings.first(event)):
            if suspicion.score > best[0]:
                best = suspicion.score, set(suspicion.accounts)
    return best


def test_rate_counts_within_an_hour():
    """Thirty exchanges in an hour are thirty; spread over three hours they are ten."""
    assert (30, {"a"}) == highest("rate", [seen(i * 60_000, "a") for i in range(30)])
    assert (10, {"a"}) == highest("rate", [seen(i * HOUR // 10, "a") for i in range(30)])


def test_networks_are_counted_once():
    """A key that comes back from the same network does not come from another one."""
    assert (3, {"a"}) == highest("networks", [seen(i, "a", network=f"10.0.{i % 3}") for i in range(30)])


def test_share_of_reasoning_needs_exchanges():
    """Nineteen say nothing; the more there are, the surer the same share."""
    asks = [seen(i, "a", elicitation=0.9) for i in range(200)]

    assert 0.0 == highest("reasoning", asks[:19])[0]
    assert 0.8 < highest("reasoning", asks[:20])[0] < highest("reasoning", asks)[0]
    assert highest("reasoning", [seen(i, "a", elicitation=0.9 * (i % 2)) for i in range(200)])[0] < 0.6


@pytest.mark.parametrize(("name", "field"), [("template", "template"), ("prefix", "head")])
def test_shared_prompts_count_accounts(name, field):
    """Twelve accounts with one prompt are twelve, however often each says it."""
    events = [seen(i, f"a{i % 12}", **{field: 7}) for i in range(60)]
    others = [seen(i, f"b{i}", **{field: 1_000 + i}) for i in range(60)]

    assert (12, {f"a{i}" for i in range(12)}) == highest(name, events + others)


@pytest.mark.parametrize("name", ["hst-account", "hst-shared"])
def test_forests_find_a_change(name):
    """An account that suddenly takes far more and far longer answers scores higher than it ever did before."""
    accounts = [f"a{i}" for i in range(30)]
    usual = [seen(i * 1_000, accounts[i % 30], output_tokens=150 + i % 90) for i in range(30 * 8 * 40)]
    after = [seen(usual[-1].time_ms + i, "a0", output_tokens=15_000, input_tokens=100_000) for i in range(1, 60)]

    assert highest(name, usual + after)[0] > highest(name, usual)[0]
    assert {"a0"} == highest(name, usual + after)[1]


def test_fixed_weights_join_a_weak_and_a_strong_token():
    """One card joins; a program alone does not, and neither do a program and a mail domain."""
    pair = [("a", "payment"), ("b", "payment")]
    weak = [("c", "client"), ("d", "client"), ("c", "mail"), ("d", "mail")]

    events = [seen(i, account, **{kind: "x"}) for i, (account, kind) in enumerate(pair + weak)]

    assert (2, {"a", "b"}) == highest("union", events)


def test_careful_union_needs_a_prompt_and_a_place():
    """One prompt on one network joins; a network alone does not; what over fifty accounts show says nothing."""
    same = [seen(i, f"a{i}", network="10.0.0", template=7) for i in range(5)]
    neighbours = [seen(i, f"b{i}", network="10.0.1", template=1_000 + i) for i in range(20)]
    crowd = [seen(i, f"c{i}", template=8) for i in range(51)]
    latecomers = [seen(i, f"d{i}", network="10.0.2", template=8) for i in range(20)]

    assert (5, {f"a{i}" for i in range(5)}) == highest("careful-union", same + neighbours)
    assert 0.0 == highest("careful-union", crowd + latecomers)[0]


def test_window_test_sees_other_traffic_and_names_nobody():
    """A window of near-alike prompts scores far above windows like the first ones."""
    import numpy as np

    rng = np.random.default_rng(1)
    hashes = [int(h) for h in rng.integers(1, 2**63, 12_000)]
    usual = [seen(i, "a", simhash=h) for i, h in enumerate(hashes)]
    alike = [seen(20_000 + i, "a", simhash=h % 2**20 + 2**62) for i, h in enumerate(hashes[:1_500])]

    assert highest("mmd", usual + alike)[0] > 5 * highest("mmd", usual)[0]
    assert set() == highest("mmd", usual + alike)[1]


def test_alarms_repeat_only_when_the_score_has_grown():
    """A component that grows from 10 to 11 is no news; to 13 it is, and then it is the same case."""
    alarms = Alarms(9)
    for n in (9, 10, 11, 13):
        alarms.take(n, Suspicion(n, "x", [f"a{i}" for i in range(n)]))

    assert [10, 13] == [alarm.time_ms for alarm in alarms.alarms]
    assert [13] == [len(named) for named, _ in alarms.cases()]


def truth(answered: Sequence[int]) -> Truth:
    """A campaign of two accounts among three benign ones."""
    hostile = CampaignTruth("1-x", "x", "distillation", {}, 0, DAY, ["h1", "h2"], [], answered_ms=list(answered))
    return Truth(1, 0, DAY, [hostile], [KindTruth("course", True, ["b1", "b2", "b3"])])


def test_judge_counts_leak_and_innocents():
    """An alarm that is half benign is false; the first one that is not catches, and everybody benign is innocent."""
    alarms = Alarms(0)
    alarms.take(5, Suspicion(1, "x", ("h1", "b1")))
    alarms.take(25, Suspicion(1, "y", ("h2",)))
    alarms.take(30, Suspicion(1, "z", ("b2", "b3")))

    found = judge(alarms, truth([10, 20, 30]), {"1-x": "D1"})

    assert ({"D1": 2}, 3, {"course": 2}) == (found.leaked, found.cases, found.false_by_kind)
    assert (2, 3) == (found.hostile_named, found.innocents)


def test_of_two_campaigns_of_a_row_the_later_one_counts():
    """... as for the detector, and a row of which one campaign is never caught is not caught."""
    both = truth([10, 20, 30])
    both.campaigns.append(
        CampaignTruth("1-y", "y", "distillation", {}, 0, DAY, ["h3", "h4"], [], answered_ms=[10, 20, 30, 40])
    )
    row_of, alarms = {"1-x": "D12", "1-y": "D12"}, Alarms(0)
    alarms.take(15, Suspicion(1, "x", ("h1",)))
    assert {"D12": None} == judge(alarms, both, row_of).leaked
    alarms.take(35, Suspicion(1, "y", ("h3",)))
    assert {"D12": 3} == judge(alarms, both, row_of).leaked


def test_alarm_that_names_nobody_needs_traffic_of_a_campaign():
    """It counts for a campaign that was answered in the ten minutes before, and else as false."""
    alarms = Alarms(0)
    alarms.take(5 * HOUR, Suspicion(1, "window 1", ()))

    assert {"D1": None} == (judge(alarms, truth([HOUR]), {"1-x": "D1"})).leaked
    assert {"D1": 2} == (judge(alarms, truth([HOUR, 5 * HOUR - 1]), {"1-x": "D1"})).leaked
    assert {"traffic": 1} == (judge(alarms, truth([HOUR]), {"1-x": "D1"})).false_by_kind


def test_panel_forgets_at_midnight():
    """Twelve accounts with one template, six on each day, are six."""
    panel = Panel({})
    for i in range(12):
        panel.see(seen(DAY // 2 + i // 6 * DAY, f"a{i}", template=7))

    assert 6 == panel.highest["template"]


def test_matched_threshold_is_the_lowest_without_an_alarm():
    """On the events that it comes from a method is silent at its highest score, and a little below it is not."""
    busy = [seen(i * 60_000, "a", network=f"10.0.{i}", template=7, head=8) for i in range(30)]
    events = busy + [seen(30 * 60_000 + i, f"b{i}", template=7, head=8, network="10.1.0") for i in range(12)]

    def cases(matched: dict[str, float]) -> tuple[dict[str, float], dict[str, int]]:
        panel = Panel(matched)
        for event in events:
            panel.see(event)
        at_matched, _ = panel.judge(truth([]), {"1-x": "D1"})
        return panel.highest, {name: by.cases for name, by in at_matched.items()}

    highest, _ = cases({})
    active = {"rate", "networks", "template", "prefix"}

    assert {0} == set(cases(highest)[1].values())
    assert active <= {name for name, score in highest.items() if score > 0}
    below = cases({name: score - 0.5 for name, score in highest.items()})[1]
    assert all(below[name] >= 1 for name in active)


@pytest.mark.parametrize(("matched", "named"), [(20, 3), (200, 1)], ids=["below the usual one", "above it"])
def test_higher_threshold_names_fewer(matched, named):
    """Accounts with 50, 150 and 250 exchanges in an hour: two exceed the usual threshold, be it higher or lower."""
    panel = Panel({"rate": matched})
    for account, n in (("b1", 50), ("b2", 150), ("b3", 250)):
        for i in range(n):
            panel.see(seen(HOUR + i, account))

    at_matched, at_usual = panel.judge(truth([]), {"1-x": "D1"})

    assert (named, 2) == (at_matched["rate"].innocents, at_usual["rate"].innocents)
    assert ({"course": named}, {"course": 2}) == (at_matched["rate"].false_by_kind, at_usual["rate"].false_by_kind)
