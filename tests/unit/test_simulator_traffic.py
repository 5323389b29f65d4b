"""What the traffic must be like: heavy-tailed, rhythmic, diverse, and cheap to make."""

import json
from collections import Counter

import numpy as np
import psutil

from streams.contracts.fingerprint import fingerprint
from streams.simulator import kinds
from streams.simulator.generate import Simulation
from streams.simulator.plan import START_MS, Plan, campaigns
from streams.simulator.rhythm import DAY_MS, HOUR_MS

MONTH_GROWTH_BYTES = 20_000_000


def sent(seed, **options):
    """Events of a plan without campaigns, as dicts."""
    return [json.loads(event.value) for event in Simulation(Plan(seed=seed, **options))]


def test_benign_rates_have_a_heavy_tail():
    """The busiest 1 % of benign accounts send more than a tenth of the exchanges, the median a handful a day."""
    events = sent(33, accounts=400, hours=16.0)
    loads = np.sort(list(Counter(event["account_id"] for event in events).values()))[::-1]

    assert loads[:4].sum() > 0.1 * loads.sum()
    assert np.median(loads) < 0.25 * loads.mean()


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


def test_each_time_zone_has_its_own_week():
    """Over eight days office workers of every zone rest at night and at their own weekend, hobbyists do not."""
    plan = Plan(seed=3, accounts=400, hours=24 * 8, activity=0.2)
    developer, hobbyist = (next(k for k in kinds.KINDS if k.name == name) for name in ("developer", "hobbyist"))
    for kind, rest in ((developer, True), (hobbyist, False)):
        population = kind.build(plan.span, 400)
        population.accounts.rate[:] = 60.0
        rows = [
            population.slice(start, start + 6 * HOUR_MS) for start in range(START_MS, plan.span.end_ms, 6 * HOUR_MS)
        ]
        time = np.concatenate([part["time"] for part in rows])
        zone = population.accounts.utc_offset_h[np.concatenate([part["account"] for part in rows])]
        for offset in (-5.0, 1.0, 5.5, 9.0):
            hours = (time[zone == offset] / HOUR_MS + offset + 72) % 168
            weekend = (hours >= 120).sum() / (hours < 120).sum() * 5 / 2
            night = ((hours % 24 >= 1) & (hours % 24 < 6)).mean() * 24 / 5
            assert (weekend < 0.5) == rest, (kind.name, offset)
            assert night < 0.5, (kind.name, offset)


def test_a_month_recurs_and_stays_small():
    """In 30 days every kind is active, homework and viral prompts change, and memory does not grow."""
    plan = Plan(seed=6, accounts=1_200, hours=720.0, activity=0.03, kinds={"course": 300, "viral_prompt": 300})
    simulation = Simulation(plan)
    prompts = {"course": Counter(), "viral_prompt": Counter()}
    kind_of = {a: kind.kind for kind in simulation.truth.benign if kind.kind in prompts for a in kind.accounts}
    process, resident = psutil.Process(), []
    for number, event in enumerate(simulation):
        if (kind := kind_of.get(event.account_id)) is not None:
            prompts[kind][json.loads(event.value)["prompt"]["text"][:60]] += 1
        if number % 10_000 == 0:
            resident.append(process.memory_info().rss)

    assert all(kind.exchanges > 2 for kind in simulation.truth.benign)
    assert sum(count > 5 for count in prompts["course"].values()) >= 3
    assert sum(count > 5 for count in prompts["viral_prompt"].values()) >= 6
    assert len(resident) >= 10
    assert resident[-1] - resident[len(resident) // 3] < MONTH_GROWTH_BYTES


def test_most_prompts_are_new():
    """On the default mix at least half of the events show a template that no event before them had."""
    simulation = Simulation(Plan(seed=6, accounts=1_000, hours=4.0, campaigns=campaigns("default")))
    templates = [fingerprint(json.loads(event.value)["prompt"]["text"]).template_hash for event in simulation]

    assert len(set(templates)) > 0.5 * len(templates)
