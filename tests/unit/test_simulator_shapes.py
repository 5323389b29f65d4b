"""Each hostile shape does what it is named after."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import numpy as np
import pytest

from streams.errors import InputError
from streams.simulator import kinds
from streams.simulator.accounts import STYLES
from streams.simulator.campaigns import DEFAULTS, parse
from streams.simulator.campaigns.benchmark import benchmark, table
from streams.simulator.campaigns.evasions import ROTATION_MS
from streams.simulator.campaigns.spec import EVASIONS
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan
from streams.simulator.rhythm import DAY_MS, HOUR_MS


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


@pytest.mark.parametrize("start_h", [0, 2])
def test_a_key_is_stolen_from_an_account_with_habits(start_h):
    """Whenever the campaign begins, probes wait for sixteen exchanges of the owner, and bursts end within the run."""
    (truth,), events = run(f"stolen_key:accounts=12,start_h={start_h}", hours=7.0)
    for account in truth.accounts:
        probe_ms, burst_ms = truth.times_ms[account][:2]
        before = sum(e["account_id"] == account and e["event_time"] < probe_ms for e in events)
        assert before >= 16 or probe_ms == truth.end_ms - 70 * 60_000  # or as late as it can be
        assert burst_ms - probe_ms >= HOUR_MS / 2
        assert truth.times_ms[account][-1] < truth.end_ms
    assert truth.moments["probe_ms"] == min(times[0] for times in truth.times_ms.values())


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


def test_wrappers_rotate():
    """With evade=rotate no wrapper of the first three hours comes again in the next three, but each many times."""
    _, events = run("fixed_prompt:start_h=0,accounts=30,per_day=200,evade=rotate", hours=6.0)
    turn = events[0]["event_time"] // ROTATION_MS + 1
    early, late = (
        Counter(e["prompt"]["text"][:25] for e in events if (e["event_time"] // ROTATION_MS >= turn) is after)
        for after in (False, True)
    )

    assert set() == {start for start, n in early.items() if n > 20} & late.keys()
    assert max(early.values()) > 100
    assert max(late.values()) > 100


def test_jitter_makes_hours_uneven():
    """With evade=jitter an account's load varies from hour to hour far more than without."""

    def spread(evade):
        _, events = run(f"fixed_prompt:start_h=0,accounts=40,per_day=400,use=chat{evade}", hours=12.0)
        loads = Counter((e["account_id"], e["event_time"] // HOUR_MS) for e in events)
        return np.std(list(loads.values())) / np.mean(list(loads.values()))

    assert spread(",evade=own_pace+jitter") > 1.2 * spread(",evade=own_pace")


def test_copied_cover_repeats_what_benign_accounts_sent():
    """With evade=copied_cover nearly all cover prompts are letter by letter those of benign accounts; else few are."""
    for evade, low, high in ((",evade=copied_cover", 0.9, 1.0), ("", 0.0, 0.2)):
        spec = parse(f"hydra:start_h=0.5,accounts=40,share=0.01{evade}", DEFAULTS)
        simulation = Simulation(Plan(seed=6, accounts=600, hours=2.0, campaigns=(spec,)))
        mine = set(simulation.truth.campaigns[0].accounts)
        sent = {True: [], False: []}
        for event in simulation:
            sent[event.account_id in mine].append(json.loads(event.value)["prompt"]["text"])
        known = set(sent[False])
        assert low <= sum(text in known for text in sent[True]) / len(sent[True]) <= high


def test_aged_accounts_are_no_younger_than_two_weeks():
    """With evade=aged no account was opened for the campaign; without, about the given share was."""
    ages = {}
    for evade in ("", ",evade=aged"):
        _, events = run(f"fixed_prompt:start_h=0,accounts=200,opened=0.3{evade}")
        ages[evade] = {e["account_id"]: (e["event_time"] - e["account_created_at"]) / DAY_MS for e in events}.values()

    assert min(ages[",evade=aged"]) >= 14
    assert 0.2 < sum(age < 1 for age in ages[""]) / len(ages[""]) < 0.4


def test_a_new_address_for_each_session_keeps_the_program():
    """With evade=residential accounts have many addresses, and no more programs than benign ones."""
    _, events = run("fixed_prompt:start_h=0,accounts=20,per_day=400,evade=residential")
    seen = defaultdict(lambda: (set(), set()))
    for event in events:
        for found, name in zip(seen[event["account_id"]], ("ip", "user_agent"), strict=True):
            found.add(event["client"].get(name))

    assert np.median([len(addresses) for addresses, _ in seen.values()]) >= 5
    assert max(len(programs - {None}) for _, programs in seen.values()) <= 2


def test_pools_have_no_network_in_common():
    """The pools of failover and two_pools share no address and no /24, whatever the seed."""
    for shape in ("failover", "two_pools"):
        (truth,), events = run(f"{shape}:start_h=0,accounts=160,per_day=200")
        first, second = (
            {ip.rpartition(".")[0] if "." in ip else ip[:13] for ip in owners(events, set(pool), "client", "ip")}
            for pool in truth.pools
        )
        assert first
        assert set() == first & second


def test_poisoning_is_half_of_its_segment():
    """From the first minute half of what the segment sends is the campaign's, whatever the segment."""
    for segment in ("plan=edu,use=api", "plan=pro,use=code"):
        spec = parse(f"poisoning:{segment}", DEFAULTS)
        simulation = Simulation(Plan(seed=6, accounts=1_500, hours=2.0, campaigns=(spec,)))
        benign = sum(
            population.expected(simulation.span.start_ms, simulation.span.end_ms)[members].sum()
            for population, members in in_segment(simulation.plan, spec)
        )
        sum(1 for _ in simulation)
        found = simulation.truth.campaigns[0].exchanges

        assert found / (found + benign) == pytest.approx(0.5, abs=0.1)


def in_segment(plan, spec):
    """The benign populations of a plan with the accounts that are in a specification's segment."""
    for name, count in kinds.counts(plan.accounts).items():
        population = next(kind for kind in kinds.KINDS if kind.name == name).build(plan.span, count)
        drafts = population.accounts.drafts
        yield (
            population,
            [spec.plan == one.plan and spec.use in ("", STYLES[one.style]) for one in drafts],
        )


@pytest.mark.parametrize(
    ("shape", "share"), [("fixed_prompt", 0.0005), ("hydra", 0.003), ("failover", 0.003), ("reseller", 0.003)]
)
def test_hostile_traffic_is_the_share_asked_for(shape, share):
    """Whatever the shape, its hostile exchanges are about the given share of all, down to 0.05 %."""
    plan = Plan(seed=6, accounts=4_000, hours=6.0, campaigns=(DEFAULTS[shape],), hostile_share=share)
    simulation = Simulation(plan)
    total = sum(1 for _ in simulation)

    assert simulation.truth.campaigns[0].exchanges / total == pytest.approx(share, rel=0.6)


def test_a_share_that_cover_traffic_forbids_is_refused():
    """A hydra of 1 % distillation cannot be a tenth of all traffic."""
    spec = msgspec.structs.replace(DEFAULTS["hydra"], share=0.01)
    with pytest.raises(InputError, match="cover traffic"):
        Simulation(Plan(accounts=50, hours=1.0, campaigns=(spec,), hostile_share=0.1))


def test_the_benchmark_has_all_its_rows():
    """D1 to D16 are there, each of its campaigns can be simulated, and every shape and evasion is in one."""
    texts = [text for shape in benchmark().shapes for text in shape.campaigns]
    specs = [parse(text, DEFAULTS) for text in texts]

    assert [f"D{n}" for n in range(1, 17)] == [shape.id for shape in benchmark().shapes]
    assert set(DEFAULTS) == {spec.shape for spec in specs}
    assert set(EVASIONS) - {"own_devices", "own_domains"} == {
        name for spec in specs for name in spec.evade.split("+") if name
    }
    assert len(texts) == len(set(texts))
    relays = [parse(text, DEFAULTS) for shape in benchmark().shapes for text in shape.more if "reseller" in text]
    assert [54_000, 54_000] == [spec.accounts * spec.per_day * spec.hours / 24 for spec in relays]


def test_the_table_of_the_benchmark_is_current():
    """The table in the simulator's README is what the code prints now."""
    readme = (Path(__file__).parents[2] / "streams/simulator/README.md").read_text("utf-8")

    assert table() in readme


def test_an_instruction_in_the_system_prompt_shows_as_its_hash():
    """With place=system all hostile exchanges have one system hash and plain items as text."""
    _, events = run("fixed_prompt:start_h=0,place=system")

    assert 1 == len({e["prompt"]["system_hash"] for e in events})


def test_sleepers_are_ordinary_until_the_campaign_begins():
    """They are seen from the plan's start on, and nothing of the campaign's is asked before its own."""
    (truth,), events = run("fixed_prompt:start_h=2,accounts=60,per_day=200,evade=sleepers")
    early = {e["account_id"] for e in events if e["event_time"] < truth.start_ms}

    assert len(early) > 50
    assert min(truth.answered_ms) >= truth.start_ms
    assert truth.cover > 200
    assert all(e["event_time"] < truth.start_ms for e in events[: truth.cover])


@pytest.mark.parametrize("evasion", [name for name in EVASIONS if name != "copied_cover"])
def test_evasions_change_the_traffic(evasion):
    """Each evasion leaves its mark on the events."""
    _, plain = run("fixed_prompt:start_h=0.5,accounts=30,hours=1")
    _, evading = run(f"fixed_prompt:start_h=0.5,accounts=30,hours=1,evade={evasion}")

    assert plain != evading


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hidra", "did you mean 'hydra'"),
        ("hydra:shares=1", "did you mean 'share'"),
        ("hydra:share", "no parameter 'share'"),
        ("hydra:share=lots", "share"),
        ("reseller:share=0.1", "reseller has no parameter 'share'"),
        ("burner:evade=sleepers", "has no sleepers"),
        ("stolen_key:evade=jitter", "stolen_key has no parameter 'evade'"),
        ("hydra:share=0", "must be positive"),
        ("hydra:evade=own_network", "did you mean 'own_networks'"),
        ("hydra:items=gsm9k", "did you mean 'gsm8k'"),
        ("hydra:purpose=reasons", "did you mean 'reasoning'"),
        ("hydra:plan=teams", "did you mean 'team'"),
        ("hydra:use=apis", "did you mean 'api'"),
        ("hydra:segment_share=1", "segment_share"),
    ],
)
def test_a_wrong_campaign_is_named(text, message):
    """An unknown shape, parameter or value is an error that says which, and the nearest known."""
    with pytest.raises(InputError, match=message):
        parse(text, DEFAULTS)
