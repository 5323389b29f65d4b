"""Each hard negative does what it is named after, and has a label of its own."""

import json
from collections import Counter, defaultdict

import pytest

from streams.simulator.generate import Simulation
from streams.simulator.kinds import FULL_SIZES, KINDS, counts
from streams.simulator.plan import Plan
from streams.simulator.rhythm import HOUR_MS

# How an analyst would call what each kind of hard negative shares or repeats, and the field that shows it.
SHARED = {  # one value on most accounts of the kind
    "byok_app": lambda e: e["prompt"].get("system_hash"),
    "sdk_defaults": lambda e: e["client"].get("user_agent"),
    "agency": lambda e: (e["identity"] or {}).get("payment_fingerprint"),
    "migration": lambda e: e.get("org_id"),
    "ci_review": lambda e: e["prompt"].get("system_hash"),
    "evaluation_suite": lambda e: e.get("org_id"),
}
MANY = {  # many values on one account
    "ci_review": lambda e: e["client"].get("ip"),
    "shared_team_key": lambda e: e["client"].get("ip"),
}
FEW = {"cgnat": 3, "university": 12, "hackathon": 2}  # addresses that carry most of the kind's exchanges


@pytest.fixture(scope="module")
def kinds():
    """The events of each kind in two days, by account, as dicts."""
    simulation = Simulation(Plan(seed=6, accounts=2_500, hours=48.0, activity=0.3))
    kind_of = {account: kind.kind for kind in simulation.truth.benign for account in kind.accounts}
    found = defaultdict(lambda: defaultdict(list))
    for event in simulation:
        found[kind_of[event.account_id]][event.account_id].append(json.loads(event.value))
    return found


def test_every_hard_negative_is_there_with_its_own_label(kinds):
    """Nineteen hard negatives and a company's teams are kinds of their own, and all of them send."""
    hard = {kind.name for kind in KINDS if kind.hard}

    assert 20 == len(hard)
    assert hard <= set(kinds)


@pytest.mark.parametrize("kind", SHARED)
def test_accounts_of_a_kind_share_what_makes_them_look_alike(kinds, kind):
    """Most accounts of the kind show one value."""
    shows = [{SHARED[kind](e) for e in events} - {None} for events in kinds[kind].values()]
    most = Counter(value for values in shows for value in values).most_common(1)[0][1]

    assert most > 0.5 * len(shows)


@pytest.mark.parametrize("kind", MANY)
def test_one_account_of_a_kind_is_seen_in_many_places(kinds, kind):
    """The busiest account of the kind has at least ten addresses."""
    assert max(len({MANY[kind](e) for e in events}) for events in kinds[kind].values()) >= 10


@pytest.mark.parametrize("kind", FEW)
def test_a_kind_sits_behind_few_addresses(kinds, kind):
    """A few addresses carry half of the exchanges of many unrelated accounts."""
    seen = Counter(e["client"].get("ip") for events in kinds[kind].values() for e in events)
    del seen[None]

    assert sum(n for _, n in seen.most_common(FEW[kind])) > 0.5 * seen.total()


@pytest.mark.parametrize("kind", ["course", "viral_prompt"])
def test_many_send_one_prompt_within_hours(kinds, kind):
    """One prompt comes from more accounts than any other text of the kind, most of it within twelve hours."""
    senders, times = defaultdict(set), defaultdict(list)
    for account, events in kinds[kind].items():
        for event in events:
            start = event["prompt"]["text"][:60]
            senders[start].add(account)
            times[start].append(event["event_time"])
    prompt = max(senders, key=lambda start: len(senders[start]))
    spread = sorted(times[prompt])

    assert len(senders[prompt]) >= 10
    assert spread[len(spread) * 9 // 10] - spread[0] < 12 * HOUR_MS


def test_seats_that_migrate_are_new_and_start_together(kinds):
    """All accounts were opened within the hour before the migration, and three of five are seen within one."""
    firsts = sorted(events[0]["event_time"] for events in kinds["migration"].values())
    opened = [e["account_created_at"] for events in kinds["migration"].values() for e in events[:1]]

    assert max(opened) - min(opened) < HOUR_MS
    assert 0 < firsts[0] - min(opened) < 2 * HOUR_MS
    assert firsts[len(firsts) * 3 // 5] - firsts[0] < HOUR_MS


def test_full_sizes_are_those_of_the_reports():
    """An app has 10,000 users with keys of their own, a migration 2,000 seats, and a size may leave a kind out."""
    sizes = counts(20_000, {**FULL_SIZES, "agency": 0})

    assert (10_000, 2_000, 500) == (sizes["byok_app"], sizes["migration"], sizes["course"])
    assert "agency" not in sizes
    assert list(sizes) == [kind.name for kind in KINDS if kind.name in sizes]
