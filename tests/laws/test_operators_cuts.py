"""The answer does not depend on where batches are cut, on how partitions interleave, or on how many there are."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from law_traffic import DISTURBED, IN_ORDER, SETTINGS, alerts_of, batch, by_partition, golden, traffic
from list_broker import ListBroker

from streams.operator import ALERTS
from streams.pipeline import Pipeline
from streams.replay import Replay


def test_traffic_is_worth_it():
    """The golden run has cases that open, change, lose accounts and close."""
    alerts = [msgspec.json.decode(record.value) for record in golden()]
    statuses = Counter(alert["status"] for alert in alerts)
    removed = sum(bool(alert["accounts"].get("removed")) for alert in alerts)
    assert min(statuses["open"], statuses["updated"], statuses["closed"], removed) > 0, (statuses, removed)


def _cut(sizes: list[int]) -> list:
    """Feed the partitions in turn, in batches of the given sizes over and over."""
    pipeline = Pipeline(SETTINGS)
    partitions = by_partition(traffic())
    starts = [0] * len(partitions)
    out = []
    turn = 0
    while any(start < len(mine) for start, mine in zip(starts, partitions, strict=True)):
        size = sizes[turn % len(sizes)]
        partition = turn % len(partitions)
        lines = partitions[partition][starts[partition] : starts[partition] + size]
        if lines:
            out += pipeline.feed(batch(partition, starts[partition], lines))
            starts[partition] += len(lines)
        turn += 1
    out += pipeline.end()
    return [record for record in out if record.role == ALERTS]


def test_cut_at_every_position():
    """One event a batch gives the same bytes as one batch a partition."""
    assert golden() == _cut([1])


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_cut_anywhere(sizes):
    """Any other cut does, too."""
    assert golden() == _cut(sizes)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_interleaved_anyhow(seed):
    """Packets of the sources reach tokens and campaigns in any order of the sources."""
    broker = ListBroker(SETTINGS, by_partition(traffic()))
    broker.run(Random(seed), most=60, checkpoint_share=0.0)
    assert golden() == broker.alerts
    plain = ListBroker(SETTINGS, by_partition(traffic()))
    plain.run(Random(0), most=10_000, checkpoint_share=0.0)
    assert plain.items() == broker.items()


def test_replay_gives_the_same():
    """The host of the command `replay` gives what the plainest run gives."""
    out = []
    replay = Replay(SETTINGS, out.append)
    for line in traffic():
        replay.feed(line.value)
    replay.end()
    assert golden() == [record for record in out if record.role == ALERTS]


@pytest.mark.parametrize("share", [0.02, 0.13, 0.31, 0.5, 0.77, 0.93])
def test_prefix_gives_prefix(share):
    """The alerts of a part of the input, cut at a tick's end, are the first alerts of the whole."""
    lines = traffic(IN_ORDER)
    tick_ms = SETTINGS.time.tick_ms
    end = -(-lines[int(len(lines) * share)].time_ms // tick_ms) * tick_ms
    part = alerts_of([line for line in lines if line.time_ms <= end])
    whole = alerts_of(lines)
    assert whole[: len(part)] == part
    assert [record for record in whole if detected_at(record) <= end] == part


def detected_at(record):
    return msgspec.json.decode(record.value)["detected_at"]


@pytest.mark.parametrize(("requests", "sightings"), [(1, 1), (2, 5), (4, 2), (7, 3)])
def test_number_of_partitions(requests, sightings):
    """Input without late events gives the same alerts over any number of partitions."""
    # a partition of so little traffic has gaps that look like a clock far ahead
    time = msgspec.structs.replace(SETTINGS.time, far_ahead_ms=12 * 3_600_000)
    one = msgspec.structs.replace(SETTINGS, time=time)
    kafka = msgspec.structs.replace(SETTINGS.kafka, request_partitions=requests, sighting_partitions=sightings)
    assert alerts_of(traffic(IN_ORDER), one) == alerts_of(traffic(IN_ORDER), msgspec.structs.replace(one, kafka=kafka))


HASHES = """
import hashlib
from law_traffic import golden
digest = hashlib.sha256()
for record in golden():
    digest.update(repr(tuple(record)).encode())
print(digest.hexdigest())
"""


def test_hash_seed():
    """Python's own hashes, and with them the order of sets, have no say."""
    found = {
        subprocess.run(
            [sys.executable, "-c", HASHES],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert 1 == len(found), found
    assert DISTURBED.late > 0
