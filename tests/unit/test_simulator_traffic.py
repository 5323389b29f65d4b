"""What the traffic must be like: heavy-tailed, rhythmic, diverse, and without a field that gives the hostile away."""

import json
from collections import Counter, defaultdict

import msgspec
import numpy as np
import pytest

from streams.contracts.fingerprint import fingerprint
from streams.simulator import kinds
from streams.simulator.campaigns import DEFAULTS
from streams.simulator.generate import Simulation
from streams.simulator.plan import START_MS, Plan, campaigns
from streams.simulator.rhythm import DAY_MS, HOUR_MS

POOLS = ("fixed_prompt", "template_variants", "low_and_slow", "hydra", "paraphrase", "grading")
EVENTS_PER_ACCOUNT = 40  # a few heavy accounts would otherwise decide what is usual


def traffic(seed, accounts=1_200, hours=3.0, shapes=POOLS):
    """Events as dicts and whether each account is hostile; pools run from the start, so time tells nothing."""
    specs = tuple(msgspec.structs.replace(DEFAULTS[shape], start_h=0.0) for shape in shapes)
    simulation = Simulation(Plan(seed=seed, accounts=accounts, hours=hours, campaigns=specs))
    hostile = {account for campaign in simulation.truth.campaigns for account in campaign.accounts}
    events = [json.loads(event.value) for event in simulation]
    return simulation, events, np.array([event["account_id"] in hostile for event in events])


@pytest.fixture(scope="module")
def two_seeds():
    """The same mix from two seeds, at most so many events of an account."""
    return [capped(*traffic(seed)[1:]) for seed in (31, 32)]


def capped(events, hostile):
    """Keep the first events of each account."""
    seen, kept = Counter(), []
    for i, event in enumerate(events):
        seen[event["account_id"]] += 1
        if seen[event["account_id"]] <= EVENTS_PER_ACCOUNT:
            kept.append(i)
    return [events[i] for i in kept], hostile[kept]


def fields(event):
    """Everything that is no content and no identifier of its own: categories, and whether a field is known."""
    client, identity, prompt = event.get("client") or {}, event.get("identity") or {}, event["prompt"]
    ip = client.get("ip", "")
    return {
        **{
            name: event.get(name)
            for name in ("plan", "model", "operation", "status", "refused", "stream", "temperature")
        },
        **{name: client.get(name) for name in ("asn", "country", "user_agent", "tls_fingerprint")},
        "mail": identity.get("email_domain"),
        "event_id": (len(event["event_id"]), event["event_id"].isalnum()),
        "account_id": (len(event["account_id"]), event["account_id"][:5]),
        "address": "v6" if ":" in ip else "v4" if ip else None,
        **{f"has {name}": name in event for name in ("org_id", "api_key_id", "conversation_id", "latency_ms", "tools")},
        **{f"has {name}": name in identity for name in ("payment_fingerprint", "device_fingerprint")},
        "has system": "system_hash" in prompt,
    }


def numbers(event):
    """The numeric fields, -1 for unknown."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "latency_ms", "turn", "tools")
    found = {name: event.get(name, -1) for name in names}
    return found | {
        "age": event["event_time"] - event["account_created_at"],
        "hour": event["event_time"] // HOUR_MS % 24,
    }


def values(events):
    """The accounts by field and value."""
    found = defaultdict(lambda: defaultdict(set))
    for event in events:
        for name, value in fields(event).items():
            found[name][value].add(event["account_id"])
    return found


def asleep():
    """What the benign accounts of a larger service would show, whether or not they are awake in the hours we watch."""
    accounts = [population.accounts for population in Simulation(Plan(seed=33, accounts=10_000)).populations]
    return [
        {"event_id": "", "prompt": {}, "client": json.loads(client), **json.loads(b"{%b}" % fragment)}
        for each in accounts
        for fragment, clients in zip(each.fragments, each.clients, strict=True)
        for client in clients
    ]


def test_no_field_value_is_only_the_hostiles(two_seeds):
    """A value that hostile accounts of both seeds show is shown by benign accounts too, in every field."""
    good = values([event for seed in two_seeds for event, bad in zip(*seed, strict=True) if not bad] + asleep())
    bad = [values(event for event, bad in zip(*seed, strict=True) if bad) for seed in two_seeds]
    for name in good:
        common = {v for v in bad[0][name] if len(bad[0][name][v]) > 2 and len(bad[1][name].get(v, ())) > 2}
        assert set() == common - good[name].keys(), name


def test_a_small_tree_cannot_tell_the_hostile(two_seeds):
    """A depth-2 tree on non-content fields, grown on one seed, stays under AUC 0.6 on the other."""
    tables = [table(events) for events, _ in two_seeds]
    labels = [hostile for _, hostile in two_seeds]
    for train, test in ((0, 1), (1, 0)):
        tree = grow(tables[train], labels[train], balance(labels[train]), depth=2)
        assert auc(predict(tree, tables[test]), labels[test]) < 0.6, tree


def balance(hostile):
    """Weights that give both sides the same mass."""
    return np.where(hostile, 0.5 / hostile.sum(), 0.5 / (~hostile).sum())


def table(events):
    """Columns of one-value tests, as (name, value) -> bool array, quantile cuts of the numbers included."""
    columns = {}
    rows = [fields(event) for event in events]
    for name in rows[0]:
        values = [str(row[name]) for row in rows]
        for value, count in Counter(values).most_common(40):
            if count > len(rows) * 0.005:
                columns[name, value] = np.array([v == value for v in values])
    sizes = [numbers(event) for event in events]
    for name in sizes[0]:
        values = np.array([row[name] for row in sizes], float)
        for share in np.linspace(0.1, 0.9, 9):
            columns[name, round(float(share), 1)] = values <= np.quantile(values, share)
    return columns


def grow(columns, labels, weights, depth):
    """Grow a tree greedily by weighted Gini impurity; a leaf is the hostile share."""
    total = weights.sum()
    if depth == 0 or total == 0:
        return (weights * labels).sum() / max(total, 1e-12)

    def impurity(mask):
        mass = weights[mask].sum()
        hostile = (weights * labels)[mask].sum()
        return 0.0 if mass == 0 else hostile * (1 - hostile / mass)

    best = min(columns, key=lambda name: (impurity(columns[name]) + impurity(~columns[name]), str(name)))
    mask = columns[best]
    sides = [
        grow({name: column[side] for name, column in columns.items()}, labels[side], weights[side], depth - 1)
        for side in (mask, ~mask)
    ]
    return best, *sides


def predict(tree, columns):
    """Scores of all rows; a value that the other seed lacks is nobody's."""
    length = len(next(iter(columns.values())))
    if not isinstance(tree, tuple):
        return np.full(length, tree)
    mask = columns.get(tree[0], np.zeros(length, bool))
    return np.where(mask, predict(tree[1], columns), predict(tree[2], columns))


def auc(scores, hostile):
    """Probability that a hostile row scores above a benign one, ties halved."""
    order = np.unique(scores)
    good = np.array([(scores[~hostile] == s).mean() for s in order])
    bad = np.array([(scores[hostile] == s).mean() for s in order])
    return float((bad * (np.cumsum(good) - good / 2)).sum())


def test_the_tree_would_find_a_give_away(two_seeds):
    """The test above can fail: with a field that only the hostile have, the tree reaches an AUC of 0.9."""
    (events, hostile), _ = two_seeds
    columns = table(events) | {("planted", "x"): hostile}

    assert 0.9 < auc(predict(grow(columns, hostile, balance(hostile), 2), columns), hostile)


def test_benign_rates_have_a_heavy_tail():
    """The busiest 1 % of benign accounts send more than a tenth of the exchanges, the median a handful a day."""
    _, events, _ = traffic(33, accounts=400, hours=16.0, shapes=())
    sent = np.sort(list(Counter(event["account_id"] for event in events).values()))[::-1]

    assert sent[:4].sum() > 0.1 * sent.sum()
    assert np.median(sent) < 0.25 * sent.mean()


def test_people_sleep():
    """Hobbyists of one time zone send at least five times as much in the evening as before dawn."""
    span = Plan(seed=3, accounts=3_000, hours=72).span
    population = kinds.KINDS[0].build(span, 3_000)
    zone = population.accounts.utc_offset_h
    evening = population.rhythm(START_MS // DAY_MS * DAY_MS + 21 * HOUR_MS, zone * 0)
    night = population.rhythm(START_MS // DAY_MS * DAY_MS + 4 * HOUR_MS, zone * 0)

    assert (evening > 5 * night).all()
    assert 6 < len(set(zone.tolist()))


def test_office_work_rests_at_the_weekend():
    """Developers send less than half as much on a Sunday as on a Thursday."""
    population = kinds.KINDS[1].build(Plan(seed=3).span, 200)
    thursday = population.expected(START_MS // DAY_MS * DAY_MS, START_MS // DAY_MS * DAY_MS + DAY_MS)
    sunday = population.expected(START_MS // DAY_MS * DAY_MS + 3 * DAY_MS, START_MS // DAY_MS * DAY_MS + 4 * DAY_MS)

    assert sunday.sum() < 0.5 * thursday.sum()


def test_most_prompts_are_new():
    """On the default mix at least half of the events show a template that no event before them had."""
    simulation = Simulation(Plan(seed=6, accounts=1_000, hours=4.0, campaigns=campaigns("default")))
    templates = [fingerprint(json.loads(event.value)["prompt"]["text"]).template_hash for event in simulation]

    assert len(set(templates)) > 0.5 * len(templates)
