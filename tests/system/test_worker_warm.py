"""A worker that begins with a reference: the alerts of a replay that begins with it, and its own state comes first."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from live import Feed, difference, real_worker, replayed
from workers import read_alerts

from streams.config import Settings, Time
from streams.operator import ALERTS, Record
from streams.replay import Replay, replay
from streams.runtime.topics import create_topics
from streams.simulator.campaigns import SHAPES
from streams.simulator.generate import Simulation
from streams.simulator.plan import START_MS, Plan

pytestmark = pytest.mark.system

DAY_MS = 24 * 3_600_000


def test_a_worker_that_begins_with_a_reference_gives_what_replay_gives(
    make_settings: Callable[..., Settings], tmp_path: Path
):
    """First start: the file is used, byte for byte as by replay; second start: there is state, and the log says so."""
    settings = make_settings(Settings(time=Time(idle_after_s=600)))
    create_topics(settings)
    history = Replay(settings, lambda record: None)
    for event in Simulation(Plan(2, 1_000, 28.0, activity=0.1, prompts="fingerprints")):
        history.feed(event.value)
    history.end()
    reference = tmp_path / "reference"
    reference.write_bytes(history.reference())

    spec = msgspec.structs.replace(SHAPES["grading"].default, accounts=20, per_day=100, start_h=0.2)
    later = Simulation(Plan(3, 100, 9.0, START_MS + 7 * DAY_MS, 0.2, (spec,), "fingerprints"))
    lines = [event.value for event in later]
    path = tmp_path / "later.jsonl"
    path.write_bytes(b"\n".join(lines))
    warm: list[Record] = []
    replay([str(path)], settings, warm.append, reference=reference.read_bytes())
    expected = {(r.key or b"", r.value, tuple(r.headers)) for r in warm if r.role == ALERTS}
    assert len(expected) >= 3
    assert expected != set(replayed(path, settings)[0])

    Feed(settings).send(lines)
    with real_worker(settings, tmp_path, "--drain", "--reference", str(reference)) as first:
        assert 0 == first.wait(), first.log()
    assert "begins with the reference" in first.log()
    assert "" == difference(list(expected), set(read_alerts(settings)))

    with real_worker(settings, tmp_path, "--drain", "--reference", str(reference)) as second:
        assert 0 == second.wait(), second.log()
    assert "the reference is ignored" in second.log()
    assert expected == set(read_alerts(settings))
