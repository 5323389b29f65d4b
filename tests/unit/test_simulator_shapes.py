"""Each hostile shape does what it is named after."""

import json
import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from streams.errors import InputError
from streams.simulator.campaigns import DEFAULTS, parse
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan
from streams.simulator.rhythm import HOUR_MS


def run(spec, hours=4.0, accounts=20, **options):
    """Run one campaign on little background: the truths, and the events of its accounts as dicts."""
    simulation = Simulation(Plan(seed=6, accounts=accounts, hours=hours, campaigns=(parse(spec, DEFAULTS),), **options))
    mine = set(simulation.truth.campaigns[0].accounts)
    return simulation.truth.campaigns, [json.loads(e.value) for e in simulation if e.account_id in mine]


def owners(events, accounts, member, name):
    """The given accounts by their value of one field of a member, unknown values left out."""
    found = defaultdict(set)
    for event in events:
        value = (event.get(member) or {}).get(name)
        if value is not None and event["account_id"] in accounts:
            found[value].add(event["account_id"])
    return found


def shared(events, accounts, member, name):
    """Values that at least two of the given accounts show in one field."""
    return {value for value, who in owners(events, accounts, member, name).items() if len(who) > 1}


def test_a_fixed_prompt_repeats_over_all_its_accounts():
    """Every hostile prompt of a fixed_prompt campaign holds the same long instruction."""
    _, events = run("fixed_prompt:accounts=30,start_h=0,per_day=200")
    texts = [event["prompt"]["text"] for event in events]
    sentences = Counter(s for text in texts for s in set(re.split(r"(?<=[.?!])\s", text)) if len(s) > 25)

    assert len(texts) == max(sentences.values())
    assert len(set(texts)) > 0.9 * len(texts)


def test_hydra_hides_in_cover_traffic():
    """About the given share of a hydra's exchanges is distillation, whatever the share."""
    for share in (0.1, 0.05):
        (found,), _ = run(f"hydra:accounts=100,start_h=0,per_day=400,share={share}")
        assert found.exchanges / (found.exchanges + found.cover) == pytest.approx(share, rel=0.3)


def test_a_reseller_shows_many_clients_and_an_even_load():
    """Each account of a relay carries nearly the same number of calls, from dozens of networks and programs."""
    (truth,), events = run("reseller:start_h=0")
    clients = defaultdict(set)
    for event in events:
        clients[event["account_id"]].add((event["client"].get("ip"), event["client"].get("user_agent")))
    loads = truth.per_account.values()

    assert max(loads) < 1.2 * min(loads)
    assert all(len(found) > 40 for found in clients.values())


def test_a_stolen_key_is_probed_once_and_used_later():
    """One tiny probe on a model and a network that the owner never had, then after at least half an hour the burst."""
    (truth,), events = run("stolen_key:start_h=2", hours=12.0)
    probe_ms, burst_ms = truth.answered_ms[:2]
    assert probe_ms == truth.moments["probe_ms"]
    before = [e for e in events if e["event_time"] < probe_ms]
    probe = next(e for e in events if e["event_time"] == probe_ms)

    assert len(before) >= 10
    assert probe["model"] not in {e["model"] for e in before}
    assert probe["client"].get("ip") not in {e["client"].get("ip") for e in before}
    assert probe["input_tokens"] < 20
    assert burst_ms - probe_ms >= HOUR_MS / 2
    assert len(truth.answered_ms) > 300


def test_failover_goes_on_with_a_pool_that_shares_nothing():
    """After the ban the first pool is only blocked, the second does the work, and no card or device is common."""
    (truth,), events = run("failover:start_h=0,accounts=60,per_day=300")
    ban_ms = truth.moments["ban_ms"]
    first, second = map(set, truth.pools)
    after = [e for e in events if e["event_time"] >= ban_ms]
    blocked = [e for e in after if e["account_id"] in first]

    assert {403} == {e["status"] for e in blocked}
    assert max(e["event_time"] for e in blocked) < ban_ms + HOUR_MS
    assert sum(t >= ban_ms for t in truth.answered_ms) > 100
    for path in (("identity", "payment_fingerprint"), ("identity", "device_fingerprint")):
        assert set() == owners(events, first, *path).keys() & owners(events, second, *path).keys()
        assert shared(events, first, *path)
        assert shared(events, second, *path)


@pytest.mark.parametrize(("release_h", "model"), [(1.0, "atlas-6"), (None, "atlas-5-pro")])
def test_a_pivot_moves_the_pool_to_one_model(release_h, model):
    """Before the pivot no account uses the model, a quarter of a day later half do, a day later all."""
    (truth,), events = run("model_pivot:start_h=0,turn_h=1,accounts=120", hours=26.0, release_h=release_h)
    pivot_ms = truth.moments["pivot_ms"]
    early = [e["model"] for e in events if e["event_time"] < pivot_ms]
    late = [e["model"] for e in events if e["event_time"] > pivot_ms + 24 * HOUR_MS]
    noon = {
        e["account_id"]: e["model"] for e in events if pivot_ms + 6 * HOUR_MS < e["event_time"] < pivot_ms + 8 * HOUR_MS
    }

    assert 0 == early.count(model)
    assert {model} == set(late)
    assert 0.3 < list(noon.values()).count(model) / len(noon) < 0.7


def test_benign_accounts_take_up_a_new_model_too():
    """A released model is used by benign accounts of many kinds, so that its name tells nothing."""
    simulation = Simulation(Plan(seed=6, accounts=600, hours=6.0, release_h=1.0))
    users = {e.account_id for e in simulation if json.loads(e.value)["model"] == "atlas-6"}

    assert 5 < sum(bool(users & set(kind.accounts)) for kind in simulation.truth.benign)


def test_a_search_is_refused_and_its_survivors_scaled_up():
    """Most tries of the search are refused, with hardly one wrapper twice; then few wrappers run on all accounts."""
    (truth,), events = run("technique_search:start_h=0,accounts=30,per_day=400")
    moment = truth.moments["scale_up_ms"]
    search = [e for e in events if e["event_time"] < moment]
    use = [e for e in events if e["event_time"] >= moment]

    assert 0.75 < sum(e.get("refused", False) for e in search) / len(search) < 0.95
    assert sum(e.get("refused", False) for e in use) < 0.05 * len(use)
    assert len({e["account_id"] for e in search}) <= 10 < len({e["account_id"] for e in use})
    assert sum(t < moment for t in truth.unanswered_ms) > 5 * sum(t < moment for t in truth.answered_ms) / 2


def test_two_campaigns_share_one_pool():
    """Both campaigns of two_in_pool have the same accounts, and their own exchanges."""
    (one, two), events = run("two_in_pool:start_h=0")

    assert one.accounts == two.accounts
    assert one.id != two.id
    assert len(events) == one.exchanges + two.exchanges
    assert 0.7 < one.exchanges / two.exchanges < 1.4


def test_one_campaign_runs_over_two_pools():
    """The two pools of two_pools are disjoint, work at the same time, and share no card."""
    (truth,), events = run("two_pools:start_h=0")
    first, second = map(set, truth.pools)
    cards = [owners(events, pool, "identity", "payment_fingerprint").keys() for pool in (first, second)]

    assert set() == first & second
    assert set(truth.accounts) == first | second
    assert set() == cards[0] & cards[1]
    assert all(sum(truth.per_account.get(a, 0) for a in pool) > 50 for pool in (first, second))


def test_burners_are_used_up_and_left():
    """Each burner account sends some 50 exchanges within its hours and is gone; some were opened just before."""
    _, events = run("burner:start_h=0,accounts=40,per_day=1200")
    mine = defaultdict(list)
    for event in events:
        mine[event["account_id"]].append(event)

    assert 30 < np.median([len(found) for found in mine.values()]) < 80
    ages = [found[0]["event_time"] - found[0]["account_created_at"] for found in mine.values()]
    assert 0 < min(ages) < 3 * HOUR_MS
    for found in mine.values():
        assert found[-1]["event_time"] - found[0]["event_time"] < 3 * HOUR_MS


def test_clean_infrastructure_shares_nothing_of_its_own():
    """With evade=clean no two accounts share a card or a device."""
    (truth,), events = run("clean_infrastructure:start_h=0", hours=8.0)

    assert set() == shared(events, set(truth.accounts), "identity", "payment_fingerprint")
    assert set() == shared(events, set(truth.accounts), "identity", "device_fingerprint")


def test_a_pool_shares_cards_devices_and_exits():
    """Without evasion some accounts of a pool share cards, some devices, some addresses, none all three."""
    (truth,), events = run("fixed_prompt:start_h=0,accounts=100", hours=8.0)
    paths = (("identity", "payment_fingerprint"), ("identity", "device_fingerprint"), ("client", "ip"))

    assert all(len(shared(events, set(truth.accounts), *path)) > 3 for path in paths)


def test_an_instruction_in_the_system_prompt_shows_as_its_hash():
    """With place=system all hostile exchanges have one system hash and plain items as text."""
    _, events = run("fixed_prompt:start_h=0,place=system")

    assert 1 == len({e["prompt"]["system_hash"] for e in events})


@pytest.mark.parametrize("evasion", ["human_hours", "aged", "own_networks", "residential", "own_pace", "split_payment"])
def test_evasions_change_the_traffic(evasion):
    """Each evasion leaves its mark on the events."""
    _, plain = run("fixed_prompt:start_h=0,accounts=20")
    _, evading = run(f"fixed_prompt:start_h=0,accounts=20,evade={evasion}")

    assert plain != evading


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hidra", "did you mean 'hydra'"),
        ("hydra:shares=1", "did you mean 'share'"),
        ("hydra:share", "no parameter 'share'"),
        ("hydra:share=lots", "share"),
        ("hydra:share=0", "must be positive"),
        ("hydra:evade=own_network", "did you mean 'own_networks'"),
        ("hydra:items=gsm9k", "did you mean 'gsm8k'"),
        ("hydra:purpose=reasons", "did you mean 'reasoning'"),
    ],
)
def test_a_wrong_campaign_is_named(text, message):
    """An unknown shape, parameter or value is an error that says which, and the nearest known."""
    with pytest.raises(InputError, match=message):
        parse(text, DEFAULTS)
