"""Each River model is at work: with any one of them standing still, the evidence of a golden run is another.

Three small runs, each made so that its models have something to say: stolen keys of steady accounts, a group whose
purpose turns while it grows, and campaigns on the second day of a benign reference.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from streams.accounts.account import ACCOUNT_MODELS, AccountModels
from streams.campaigns import reference
from streams.campaigns.cluster_models import CLUSTER_MODELS, ClusterModels
from streams.campaigns.reference import PRIOR, REFERENCE_MODELS, Reference
from streams.config import Settings
from streams.doc_tables import MEANINGS
from streams.models import MODELS
from streams.operator import ALERTS, Record
from streams.replay import Replay
from streams.simulator.campaigns import SHAPES, CampaignSpec
from streams.simulator.generate import Simulation
from streams.simulator.plan import START_MS, Plan

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
KINDS = {
    "account": ACCOUNT_MODELS,
    "group": CLUSTER_MODELS,
    "plan": REFERENCE_MODELS,
    "detector": dict.fromkeys(PRIOR, "beta"),
}
Found = dict[tuple[str, int, str], tuple[float, ...]]  # (case, revision, indicator) -> contributions


def stolen_keys() -> list[bytes]:
    """Four programs of a steady rhythm, in six sittings; then somebody else uses their keys from everywhere."""
    events = [event for number in range(4) for event in _stolen(f"owner-{number}", number)]
    return [msgspec.json.encode(event) for event in sorted(events, key=lambda event: event["event_time"])]


def _stolen(account: str, number: int) -> list[dict[str, Any]]:
    rng = random.Random(number)
    events: list[dict[str, Any]] = []
    home = _client("198.51.100.7", 64_500, "DE", "python-sdk/1.0")
    away = [_client(f"203.0.{rng.randrange(256)}.9", 64_501 + i, "XX", "curl/8") for i in range(4)]
    now = START_MS + number * MINUTE_MS

    def exchange(after_ms: float, client: dict[str, Any], model: str, size: float) -> None:
        nonlocal now
        now += int(after_ms)
        events.append({
            "event_id": f"{account}-{len(events)}", "event_time": now, "account_id": account, "plan": "pro",
            "account_created_at": START_MS - 400 * 24 * HOUR_MS, "model": model, "client": client,
            "input_tokens": int(2 * size), "output_tokens": int(size),
            "prompt": {"simhash": f"{rng.getrandbits(64):016x}"},
        })  # fmt: skip

    for _ in range(6):
        for _ in range(20):
            exchange(MINUTE_MS * rng.uniform(0.7, 1.3), home, "m-1", 200 * rng.uniform(0.7, 1.4))
        now += 40 * MINUTE_MS
    exchange(10 * MINUTE_MS, away[0], "m-2", 6)
    now += 20 * MINUTE_MS
    for _ in range(300):
        exchange(1_000 * rng.expovariate(0.6), rng.choice(away), "m-2", 8_000 * rng.uniform(0.5, 2))
    return events


def _client(ip: str, asn: int, country: str, agent: str) -> dict[str, Any]:
    return {"ip": ip, "asn": asn, "country": country, "user_agent": agent, "tls_fingerprint": agent}


def turning_group() -> list[bytes]:
    """A campaign that asks for reasoning only from a certain hour on, and that five accounts at a time join."""
    turn_ms, spec = START_MS + int(1.8 * HOUR_MS), _spec("two_in_pool", accounts=60, per_day=600, start_h=0.3)
    run = Simulation(Plan(1, 40, 4.0, activity=0.3, prompts="fingerprints", campaigns=(spec,)))
    numbers = {account: number for number, account in enumerate(run.truth.campaigns[0].accounts)}
    lines = []
    for time_ms, account, value in run:
        if (number := numbers.get(account)) is not None:
            joins_ms = START_MS + (0.5 + 3.3 * (number // 5 * 5) / len(numbers)) * HOUR_MS if number >= 10 else 0
            asks = msgspec.json.decode(value)["prompt"].get("reasoning_elicitation", 0) >= 0.3
            if time_ms < joins_ms or (asks and time_ms < turn_ms):
                continue
        lines.append(value)
    return lines


def second_day() -> list[bytes]:
    """28 benign hours, then two campaigns of two hours."""
    campaigns = tuple(_spec(shape, accounts=20, per_day=150, start_h=28.1) for shape in ("grading", "fixed_prompt"))
    plan = Plan(2, 1_000, 30.0, activity=0.1, prompts="fingerprints", campaigns=campaigns)
    return [event.value for event in Simulation(plan)]


def _spec(shape: str, **changes: float) -> CampaignSpec:
    return msgspec.structs.replace(SHAPES[shape].default, **changes)


RUNS: dict[str, Callable[[], list[bytes]]] = {
    "account": cache(stolen_keys),
    "group": cache(turning_group),
    "plan": (third := cache(second_day)),
    "detector": third,
}


def evidence_of(lines: list[bytes]) -> Found:
    """Replay, and collect what each revision says."""
    records: list[Record] = []
    replay = Replay(Settings(), records.append)
    for line in lines:
        replay.feed(line)
    replay.end()
    found: Found = {}
    for alert in (msgspec.json.decode(record.value) for record in records if record.role == ALERTS):
        for item in alert["evidence"]:
            key = (alert["alert_id"], alert["revision"], item["indicator"])
            found[key] = (*found.get(key, ()), item["contribution"])
    return found


@cache
def golden(unit: str) -> Found:
    """The evidence with every model at work."""
    return evidence_of(RUNS[unit]())


class Still:
    """Make models stand still, and count how often they were asked to learn."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.river, self.calls = name, MODELS[kind].river, 0

    def hold(self, model: Any) -> Any:
        """Let this one learn nothing from now on."""
        assert isinstance(model, self.river), f"{self.name} is a {type(model)}, not River's {self.river}"
        for method in ("update", "learn_one"):
            if hasattr(model, method):
                setattr(model, method, self._ignore)
        return model

    def _ignore(self, *_: object, **__: object) -> None:
        self.calls += 1


@contextmanager
def held(unit: str, name: str) -> Iterator[Still]:
    """Hold one model of each account, group, plan or detector that is made meanwhile."""
    still = Still(name, KINDS[unit][name])
    with pytest.MonkeyPatch.context() as patch:
        if unit == "plan":
            _hold_parts(patch, still)
        else:
            owner = {"account": AccountModels, "group": ClusterModels, "detector": Reference}[unit]
            make = owner.__init__

            def made(self: Any) -> None:
                make(self)
                still.hold(self.rates[name] if unit == "detector" else getattr(self, name))

            patch.setattr(owner, "__init__", made)
        yield still


def _hold_parts(patch: pytest.MonkeyPatch, still: Still) -> None:
    """A generation of the reference makes its models one by one."""
    forests, stats = reference.make_half_space_trees, reference.stats
    if still.name == "forest":
        patch.setattr(reference, "make_half_space_trees", lambda *given, **named: still.hold(forests(*given, **named)))
    else:
        makers = {"Mean": stats.Mean, "Var": stats.Var}
        patch.setattr(
            reference, "stats", SimpleNamespace(**makers | {still.river.__name__: lambda: still.hold(still.river())})
        )


@pytest.mark.parametrize(("unit", "name"), [(unit, name) for unit, models in KINDS.items() for name in models])
def test_evidence_changes_without_it(unit: str, name: str):
    """Held still from the start, a model changes evidence, that of an indicator which the README names with it."""
    with held(unit, name) as still:
        found = evidence_of(RUNS[unit]())

    assert still.calls > 0
    changed = {key for key in golden(unit).keys() | found.keys() if golden(unit).get(key) != found.get(key)}
    assert set(MEANINGS[unit][name][1].split(", ")) & {indicator for _, _, indicator in changed}, changed


@pytest.mark.parametrize("unit", ["account", "group", "plan"])
def test_golden_run_is_the_same_twice(unit: str):
    """A change is the model's doing."""
    assert golden(unit)
    assert golden(unit) == evidence_of(RUNS[unit]())
