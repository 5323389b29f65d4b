"""What an event costs in each stage, as a multiple of decoding it in the same run: machines differ, ratios hardly do.

Limits are about twice what was measured on two quiet cores, where decoding takes 2.2 us; they are there to see a slip.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.bench.rows import decode, replay
from streams.bench.traffic import Traffic, write_traffic
from streams.config import Settings

pytestmark = pytest.mark.alone

EVENTS = 40_000


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    """Events of the default mix."""
    path: Path = tmp_path_factory.mktemp("bench") / "events.jsonl"
    yield write_traffic(path, 5_000, EVENTS, seed=1, report=lambda count: None)
    path.unlink()


@pytest.fixture(scope="module")
def costs(traffic: Traffic) -> dict[str, float]:
    """CPU time an event, in units of decoding it; the better of two runs each."""
    unit = min(decode(traffic, Settings()).cpu_us_per_event for _ in range(3))
    rows = [replay(traffic, Settings()).row for _ in range(2)]
    costs = {stage: min(row.stages_us_per_event[stage] for row in rows) / unit for stage in rows[0].stages_us_per_event}
    return costs | {"replay": min(row.cpu_us_per_event for row in rows) / unit}


@pytest.mark.parametrize(("what", "limit"), [("accounts", 6), ("tokens", 2), ("campaigns", 12), ("replay", 28)])
def test_cost_of_an_event(costs, what, limit):
    """No stage takes twice what it took when it was measured."""
    assert costs[what] <= limit, costs


def test_traffic_is_the_default_mix(traffic):
    """Events are about as large as real ones, of as many accounts as asked for and its campaigns."""
    assert EVENTS == traffic.events
    assert 600 <= traffic.size_bytes / traffic.events <= 900
    assert 5_000 < traffic.accounts < 6_000
    assert EVENTS == len(list(traffic.lines()))


def test_content_is_new(traffic):
    """Most prompts bring content that nobody else has shown, as real ones do."""
    row = replay(Traffic(traffic.path, 10_000, 0, 0), Settings()).row
    assert row.per_event["new content tokens"] >= 0.5
    assert 1.0 == row.per_event["signals"]
