"""Small simulated traffic for the laws: seven hours of event time, five campaigns, a few thousand events.

Lifetimes are cut so short that all of it happens within these hours: accounts and tokens expire and come back, cases
close and open again.
"""

from functools import cache
from typing import NamedTuple

import msgspec

from streams.config import Accounts, Campaigns, Kafka, Settings, Time
from streams.contracts.hashing import partition_of
from streams.operator import ALERTS, Batch, Record
from streams.pipeline import Pipeline
from streams.simulator.campaigns import SHAPES, CampaignSpec
from streams.simulator.generate import Simulation
from streams.simulator.plan import Disturbances, Plan

MINUTE_MS = 60_000
PARTITIONS = 3
SETTINGS = Settings(
    kafka=Kafka(request_partitions=PARTITIONS, sighting_partitions=2),
    time=Time(tick_ms=5_000),
    accounts=Accounts(
        ttl_ms=90 * MINUTE_MS,
        infrastructure_ttl_ms=180 * MINUTE_MS,
        content_ttl_ms=120 * MINUTE_MS,
        near_prompt_ttl_ms=30 * MINUTE_MS,
        dedupe_events=8,
        river_from_event=5,
    ),
    campaigns=Campaigns(close_after_ms=60 * MINUTE_MS),
)
DISTURBED = Disturbances(late=0.01, reordered=0.02, duplicates=0.02, hot_share=0.5, partitions=PARTITIONS)
IN_ORDER = Disturbances()


class Line(NamedTuple):
    """One event as it reaches the gateway."""

    time_ms: int
    key: bytes
    value: bytes


def _spec(shape: str, **changes: float) -> CampaignSpec:
    return msgspec.structs.replace(SHAPES[shape].default, **changes)


@cache
def traffic(disturbances: Disturbances = DISTURBED) -> list[Line]:
    """About 2,500 events in order of arrival, the same in every run."""
    campaigns = (
        _spec("fixed_prompt", accounts=14, per_day=90, start_h=0.2, hours=1.5),
        _spec("template_variants", accounts=12, per_day=70, start_h=0.8, variants=5),
        _spec("reseller", accounts=3, per_day=300, start_h=0.5, hours=3),
        _spec("stolen_key", per_day=18_000, start_h=4, hours=0.3),
        _spec("grading", accounts=10, per_day=60, start_h=2.5),
    )
    plan = Plan(seed=5, accounts=50, hours=7.2, activity=0.35, campaigns=campaigns, disturbances=disturbances)
    return [Line(time, account.encode(), value) for time, account, value in Simulation(plan)]


def by_partition(lines: list[Line], partitions: int = PARTITIONS) -> list[list[Line]]:
    """Deal events out as a producer does: murmur2 of the key."""
    out: list[list[Line]] = [[] for _ in range(partitions)]
    for line in lines:
        out[partition_of(line.key.decode(), partitions)].append(line)
    return out


def batch(partition: int, start: int, lines: list[Line]) -> Batch:
    """Make a batch whose first offset is ``start``."""
    offsets = range(start, start + len(lines))
    return Batch(partition, offsets, [line.key for line in lines], [line.value for line in lines])


def alerts_of(lines: list[Line], settings: Settings = SETTINGS) -> list[Record]:
    """Run the pipeline in the plainest way, one batch per partition, and return its alerts."""
    pipeline = Pipeline(settings)
    out = []
    for partition, mine in enumerate(by_partition(lines, settings.kafka.request_partitions)):
        out += pipeline.feed(batch(partition, 0, mine))
    out += pipeline.end()
    return [record for record in out if record.role == ALERTS]


@cache
def golden() -> list[Record]:
    """Return the alerts of the disturbed traffic: what every other way of running it has to give."""
    return alerts_of(traffic())
