"""The simulator's promises to whoever builds on it: determinism, order, valid events, a true truth file."""

import json
import os
import subprocess
import sys
from collections import Counter
from importlib import resources

import jsonschema
import pytest

from streams.contracts.request import RequestEvent, decode_request
from streams.simulator import generate as generate_module
from streams.simulator.campaigns import SHAPES
from streams.simulator.generate import Simulation, generate
from streams.simulator.plan import Plan, bench_plan, campaigns, demo_plan
from streams.simulator.truth import read

PLAN = Plan(seed=5, accounts=300, hours=3.0, campaigns=campaigns("all"), release_h=1.0)

DIGEST = """
import hashlib
from streams.simulator.generate import generate
from streams.simulator.plan import Plan, campaigns
digest = hashlib.sha256()
for event in generate(Plan(seed=5, accounts=120, hours=1.5, campaigns=campaigns("default"))):
    digest.update(event.account_id.encode() + event.value)
print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def run():
    """One run of every shape, with its events."""
    simulation = Simulation(PLAN)
    return simulation, list(simulation)


def test_two_processes_with_other_hash_seeds_give_the_same_bytes():
    """The same plan gives the same bytes whatever Python's hash seed is."""
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "77")
    }

    assert 1 == len(found)


def test_another_seed_gives_other_accounts():
    """No account id of one seed occurs under another."""
    one, other = ({e.account_id for e in generate(Plan(seed=s, accounts=50, hours=1))} for s in (1, 2))

    assert set() == one & other


def test_a_campaign_leaves_every_benign_event_as_it_was(monkeypatch):
    """Runs with and without campaigns have the same benign events, so the two can be compared pair by pair."""
    monkeypatch.setattr(generate_module, "SLICE_EVENTS", 500)
    without = [e.value for e in generate(Plan(seed=5, accounts=120, hours=1))]
    simulation = Simulation(Plan(seed=5, accounts=120, hours=1, campaigns=campaigns("default")))
    hostile = {account for campaign in simulation.truth.campaigns for account in campaign.accounts}

    assert without == [e.value for e in simulation if e.account_id not in hostile]


def test_events_come_in_order_and_once(run):
    """Times never go back, and event ids are unique."""
    _, events = run
    times = [e.time_ms for e in events]

    assert sorted(times) == times
    assert len(events) == len({json.loads(e.value)["event_id"] for e in events})


def test_a_simulation_runs_only_once():
    """A second iteration is refused, since it would count the truth twice."""
    simulation = Simulation(Plan(accounts=20, hours=0.2))
    list(simulation)

    with pytest.raises(RuntimeError, match="runs once"):
        list(simulation)


@pytest.mark.parametrize("prompts", ["text", "fingerprints"])
def test_events_keep_the_contract(prompts):
    """Every sampled event is valid by the published schema, and the decoder finds no faulty field in any."""
    folder = resources.files("streams.contracts").joinpath("schemas")
    schema = json.loads(folder.joinpath("request-event.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    plan = Plan(seed=8, accounts=200, hours=1.0, campaigns=campaigns("all"), prompts=prompts)
    for number, event in enumerate(generate(plan)):
        decoded = decode_request(event.value, 262_144)
        assert isinstance(decoded, RequestEvent)
        assert ((), event.time_ms, event.account_id) == (decoded.faults, decoded.event_time, decoded.account_id)
        if number % 10 == 0:
            validator.validate(json.loads(event.value))


def test_fingerprints_hide_the_text():
    """In fingerprint mode no event carries prompt text."""
    assert all(b'"text"' not in e.value for e in generate(Plan(accounts=50, hours=0.5, prompts="fingerprints")))


def test_truth_counts_what_was_sent(run):
    """The truth's counts by account, kind and campaign are those of the events."""
    simulation, events = run
    truth = simulation.truth
    sent = Counter(e.account_id for e in events)

    assert truth.events == len(events)
    assert truth.benign_exchanges == sum(kind.exchanges for kind in truth.benign)
    assert truth.events == truth.benign_exchanges + sum(
        sent[a] for a in {a for c in truth.campaigns for a in c.accounts}
    )
    for kind in truth.benign:
        assert kind.exchanges == sum(sent[a] for a in kind.accounts)
    for campaign in truth.campaigns:
        sharing = [c.exchanges for c in truth.campaigns if c.accounts == campaign.accounts]
        assert sum(sharing) + campaign.cover == sum(sent[a] for a in campaign.accounts)
        assert campaign.exchanges == len(campaign.answered_ms) + len(campaign.unanswered_ms)
        assert campaign.exchanges == sum(campaign.per_account.values())
        assert all(0 < count <= sent[account] for account, count in campaign.per_account.items())
        assert campaign.per_account == {account: len(times) for account, times in campaign.times_ms.items()}
        assert all(times == sorted(times) for times in campaign.times_ms.values())


def test_truth_tells_what_leaked_when(run):
    """Answered hostile exchanges are sorted, lie in the campaign's window, and are those of the events."""
    simulation, events = run
    for campaign in simulation.truth.campaigns:
        times = campaign.answered_ms
        assert sorted(times) == times
        assert campaign.start_ms <= times[0]
        assert 0 == campaign.leaked_before(times[0])
        assert len(times) == campaign.leaked_before(simulation.truth.end_ms)
        if campaign.cover == 0 and campaign.shape != "two_in_pool":
            mine = set(campaign.accounts)
            assert times == [e.time_ms for e in events if e.account_id in mine and _answered(e)]


def _answered(event):
    fields = json.loads(event.value)
    return fields["status"] // 100 == 2 and not fields.get("refused")


def test_truth_file_reads_back(run, tmp_path):
    """What is written to the truth file is what is read."""
    simulation, _ = run
    simulation.truth.write(tmp_path / "truth.json")

    assert simulation.truth == read(tmp_path / "truth.json")


def test_accounts_belong_to_one_side(run):
    """No account is both benign and part of a campaign, and none is part of two, but those of two_in_pool."""
    truth = run[0].truth
    pools = {tuple(campaign.accounts) for campaign in truth.campaigns}
    groups = [*(kind.accounts for kind in truth.benign), *pools]

    assert {1} == set(Counter(account for group in groups for account in group).values())
    assert len(pools) == len(truth.campaigns) - 1


def test_named_plans_have_the_size_they_promise():
    """The demo expects 200,000 events in 6 to 8 hours whatever its seed; the benchmark has 50,000 benign accounts."""
    for seed in range(3):
        demo = demo_plan(seed)
        assert 195_000 < Simulation(demo).expected_events < 205_000
        assert 6 <= demo.hours <= 8
        assert 5 <= len(demo.campaigns)
    assert 50_000 == bench_plan(1).accounts


def test_every_shape_has_hostile_exchanges(run):
    """Each shape leaks something within its window."""
    simulation, _ = run

    assert set(SHAPES) == {c.shape for c in simulation.truth.campaigns if c.answered_ms}
