"""Floods around real campaigns: memory stays bounded, a metric tells, and the campaigns are caught all the same.

By hand, ten million (some minutes each; the limits grow with it):

    FLOOD_EVENTS=10000000 uv run pytest -n 0 -s tests/laws/test_floods.py
"""

import os
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest
from law_traffic import IN_ORDER, PARTITIONS, SETTINGS, Line, alerts_of, traffic

from streams.bench.memory import resident_bytes
from streams.config import Settings
from streams.contracts.alert import decode_alert
from streams.contracts.fold import Case, fold_all
from streams.contracts.hashing import partition_of
from streams.operator import ALERTS, Batch, Record
from streams.pipeline import Pipeline

EVENTS = int(os.environ.get("FLOOD_EVENTS", "12000"))
MINUTE_MS = 60_000
START_MS = traffic(IN_ORDER)[0].time_ms
FROM_MS, TO_MS = START_MS + 15 * MINUTE_MS, START_MS + 195 * MINUTE_MS  # most campaigns are busy then
BATCH = 500
MOST_ACCOUNTS = max(200, EVENTS // 40)  # held by a partition of accounts
ROOMY_BYTES, TIGHT_BYTES = 1_000 * EVENTS, 25 * EVENTS  # of first sightings, and of tokens, by partition
MARGIN = 1.3  # of campaigns over what stage accounts may hold: 1.25, and those of ten seconds
CAUGHT = 0.6  # of the accounts that the calm run names

pytestmark = pytest.mark.timeout(600 + EVENTS // 500)

Counts = dict[tuple[str, ...], int]


class Flood(NamedTuple):
    """How to make the n-th of its events, as changes to a plain one, and a count by which it is seen."""

    make: Callable[[int, Random], dict[str, Any]]
    seen: tuple[str, ...]
    least: float  # of that count, as a share of the flood's events
    tight: bool = False  # memory for tokens is so short that it runs out

    def settings(self) -> Settings:
        """Return settings with limits that the flood reaches."""
        size = TIGHT_BYTES if self.tight else ROOMY_BYTES
        limits = {"max_accounts": MOST_ACCOUNTS, "first_sightings_max_bytes": size}
        return msgspec.structs.replace(
            SETTINGS,
            accounts=msgspec.structs.replace(SETTINGS.accounts, **limits),
            tokens=msgspec.structs.replace(SETTINGS.tokens, max_bytes=size),
        )


def token(n: int) -> str:
    return f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}"


def content(n: int) -> dict[str, Any]:
    """Content that nobody else has."""
    return {"prompt": {"simhash": token(n + 1), "template_hash": token(n + 2), "chars": 100}}


def ids(n: int, random: Random) -> dict[str, Any]:
    """A new account each time, with content of its own."""
    return {"account_id": f"flood-{token(n)}", **content(n)}


def tokens(n: int, random: Random) -> dict[str, Any]:
    """Twenty accounts that show something new of every kind each time."""
    return {
        "account_id": f"flood-{n % 20}",
        "org_id": token(n + 3),
        "identity": {"payment_fingerprint": token(n + 4), "device_fingerprint": token(n + 5)},
        "client": {
            "ip": f"{n >> 16 & 127 | 128}.{n >> 8 & 255}.{n & 255}.9",
            "user_agent": token(n + 6),
            "tls_fingerprint": token(n + 7),
        },
    } | content(n)


def one_account(n: int, random: Random) -> dict[str, Any]:
    """One account that makes nearly all of the traffic."""
    return {"account_id": "flood", **content(n)}


def giants(n: int, random: Random) -> dict[str, Any]:
    """Fields as long as they may be, longer, and nested."""
    return {
        "account_id": f"flood-{n % 20}" + "x" * 100,
        "plan": token(n) * 600,
        "org_id": "o" * random.choice([128, 129]),
        "client": {"user_agent": "u" * random.choice([512, 513]), "ip": "9" * 2_000},
        "prompt": {"text": token(n) * random.choice([10, 300])},
        "padding": [[n] * random.choice([1, 1_000])] * 2,
    }


def clocks(n: int, random: Random) -> dict[str, Any]:
    """Clocks that are wrong by anything from a minute to centuries, in accounts whose other events are right."""
    wrong = random.choice([-1, 1]) * random.choice([MINUTE_MS, 60 * MINUTE_MS, 10**9, 10**11, 10**13])
    return {"account_id": f"flood-{n % 20}", "off_ms": wrong if n % 2 else 0, **content(n)}


FLOODS = {
    "ids": Flood(ids, ("accounts_evicted_early",), 0.8),
    "tokens": Flood(tokens, ("tokens_evicted_early",), 0.5, True),
    "one account": Flood(one_account, ("tokens_evicted_early",), 0.1, True),
    "giants": Flood(giants, ("field_faults", "client.user_agent"), 0.4),
    "clocks": Flood(clocks, ("events", "late"), 0.2),
}


def flood_lines(flood: Flood) -> Iterator[Line]:
    """Yield the flood's events in order of when they come."""
    random = Random(1)
    for n in range(EVENTS):
        at_ms = FROM_MS + (TO_MS - FROM_MS) * n // EVENTS
        event = {"event_id": f"f{n}", "model": "m", "input_tokens": 9, "output_tokens": 9} | flood.make(n, random)
        event["event_time"] = max(0, at_ms + event.pop("off_ms", 0))
        yield Line(at_ms, event["account_id"].encode(), msgspec.json.encode(event))


def merged(flood: Flood) -> Iterator[Line]:
    """Yield the flood's events among those of the traffic."""
    calm = iter(traffic(IN_ORDER))
    waiting = next(calm, None)
    for line in flood_lines(flood):
        while waiting is not None and waiting.time_ms <= line.time_ms:
            yield waiting
            waiting = next(calm, None)
        yield line
    while waiting is not None:
        yield waiting
        waiting = next(calm, None)


def cases_of(records: list[Record]) -> dict[str, Case]:
    return fold_all(decode_alert(record.value) for record in records)


@cache
def calm() -> dict[str, Case]:
    """Return the cases without any flood."""
    return cases_of(alerts_of(traffic(IN_ORDER)))


class Run:
    """A pipeline that is fed in batches, and the most it held at a time."""

    def __init__(self, settings: Settings) -> None:
        self.pipeline = Pipeline(settings)
        self.out: list[Record] = []
        self.most: dict[str, float] = {}
        self._ends = [0] * PARTITIONS
        self._waiting: list[list[Line]] = [[] for _ in range(PARTITIONS)]

    def feed(self, line: Line) -> None:
        """Take in one event; batches go on when they are full."""
        mine = self._waiting[partition_of(line.key.decode(), PARTITIONS)]
        mine.append(line)
        if len(mine) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Feed all that waits: partitions stay close together."""
        for partition, mine in enumerate(self._waiting):
            start = self._ends[partition]
            self._ends[partition] += len(mine)
            keys, values = [line.key for line in mine], [line.value for line in mine]
            self.out += self.pipeline.feed(Batch(partition, range(start, start + len(mine)), keys, values))
            mine.clear()
        for stage, operators in self.stages().items():
            gauges = [operator.gauges() for operator in operators]
            for name in (("held", "accounts"), ("state_bytes",), ("buffered_items",)):
                value = max(each.get(name, 0) for each in gauges)
                key = f"{stage} {name[-1]}"
                self.most[key] = max(self.most.get(key, 0), value)

    def stages(self) -> dict[str, list[Any]]:
        """Operators by stage."""
        pipeline = self.pipeline
        return {"accounts": pipeline.accounts, "tokens": pipeline.tokens, "campaigns": [pipeline.campaigns]}

    def counts(self) -> Counts:
        """Counters of the first two stages, added up."""
        found: Counts = {}
        for stage in ("accounts", "tokens"):
            for operator in self.stages()[stage]:
                for key, n in operator.counters.items():
                    found[key] = found.get(key, 0) + n
        return found


def caught(found: dict[str, Case], wanted: Case) -> float:
    """Return the largest share of a case's accounts that one case of its category names."""
    names = set(wanted.members)
    same = (set(case.members) for case in found.values() if case.latest.category == wanted.latest.category)
    return max((len(names & each) / len(names) for each in same), default=0.0)


@pytest.mark.parametrize("name", FLOODS)
def test_flood(name: str):
    """Whatever floods the input, what is held has a limit, a counter tells, and no campaign gets away."""
    flood = FLOODS[name]
    run = Run(flood.settings())
    half = 0
    for n, line in enumerate(merged(flood)):
        run.feed(line)
        if n == EVENTS // 2:
            half = resident_bytes()
    run.flush()
    run.out += run.pipeline.end()
    grown = resident_bytes() - half
    counts, found = run.counts(), cases_of([record for record in run.out if record.role == ALERTS])
    shares = {alert_id: round(caught(found, case), 2) for alert_id, case in calm().items()}
    print(f"\n{name}: {EVENTS:,} events, most held {run.most}; {flood.seen} {counts.get(flood.seen, 0):,}; "
          f"caught {shares}; {len(found)} cases; memory of the second half {grown / 1e6:+.0f} MB")  # fmt: skip
    assert flood.least * EVENTS <= counts.get(flood.seen, 0)
    assert run.most["accounts accounts"] <= MOST_ACCOUNTS
    assert run.most["campaigns accounts"] <= MARGIN * PARTITIONS * MOST_ACCOUNTS
    assert run.most["tokens state_bytes"] <= 2 * run.pipeline.campaigns.settings.tokens.max_bytes
    clusters = [share for alert_id, share in shares.items() if calm()[alert_id].latest.kind == "cluster"]
    # whose networks are forgotten for lack of memory, his stolen key is not told from him on the road
    assert min(clusters if flood.tight else shares.values()) >= CAUGHT, shares


def test_the_campaigns_are_worth_it():
    """The calm run has cases of the campaigns that the traffic plays, of groups and of a stolen key."""
    assert {"distillation", "stolen_credential"} <= {case.latest.category for case in calm().values()}
    assert len([case for case in calm().values() if case.latest.kind == "cluster"]) >= 2
