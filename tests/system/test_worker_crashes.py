"""A crash or a rebalance at each step between a batch, its output, its checkpoint and the restore: nothing differs."""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from breaking import CHECKPOINT, OUTPUT, RESTORE
from confluent_kafka import ConsumerGroupState
from counting import Event, replay
from live import metric
from support import until
from workers import WorkerProcess, drain, expected_alerts, logs_of, make_events, produce, read_alerts, stored

from streams.config import Settings, State
from streams.runtime.kafka_client import reach
from streams.runtime.topics import STAGES, create_topics

pytestmark = pytest.mark.system

SETTINGS = Settings(state=State(max_keys=100, campaigns_interval_s=1))  # checkpoints of accounts trail behind
PORTION = 200
MOMENT_S = 0.2  # between portions: a checkpoint comes every second, and there are portions for twenty
STEPS = (*OUTPUT, *CHECKPOINT, *RESTORE)
# The event loop's own steps cannot be interrupted by a rebalance: one of them stands for the others.
REBALANCED = ("captured", "delivered", "half written", "offsets sent", "committed", "offsets read", "state read")


def breaking(settings: Settings, folder: Path, at: str, *arguments: str) -> WorkerProcess:
    """A worker that breaks somewhere, see `breaking`."""
    return WorkerProcess(settings, folder, *arguments, operators="breaking:make_operator", environ={"BREAK_AT": at})


def same(settings: Settings, events: list[Event], repeated: bool = True) -> None:
    """Alerts and state are those of an undisturbed run; no alert came twice, unless that may be."""
    alerts = read_alerts(settings)
    assert expected_alerts(settings, events) == set(alerts)
    assert repeated or len(set(alerts)) == len(alerts)
    assert replay(settings, logs_of(events)).state == stored(settings)


@pytest.mark.parametrize(("step", "stage"), list(zip(STEPS, cycle(STAGES), strict=False)))
def test_a_crash_between_two_steps_changes_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path, step: str, stage: str
):
    """Killed there when something is stored already: no alert is missing, none is extra, and the state is the same."""
    settings = make_settings(SETTINGS, batch_max_events=100)
    create_topics(settings)
    events, sent = make_events(20_000), 0
    if step in RESTORE:
        sent = len(events) // 2  # event time enough that the stages below the first have state too
        produce(settings, events[:sent])
        with WorkerProcess(settings, tmp_path, "--instance", "a") as worker:
            assert until(lambda: any(stored(settings, [stage]).values())), worker.log()
    with breaking(settings, tmp_path, f"{stage}:{step}:{1 if step in RESTORE else 2}:", "--instance", "a") as worker:
        assert until(lambda: worker.process.poll() is not None or worker.assigned().get(stage)), worker.log()
        while worker.process.poll() is None:
            assert sent < len(events) - PORTION, worker.log()
            produce(settings, events[sent : sent + PORTION])
            sent += PORTION
            until(lambda: worker.process.poll() is not None, MOMENT_S)
        assert -9 == worker.wait(), worker.log()
    produce(settings, events[sent:])
    drain(settings, tmp_path, "--instance", "a")

    same(settings, events)


@pytest.mark.parametrize("step", REBALANCED)
def test_a_rebalance_in_the_middle_of_a_step_repeats_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path, step: str
):
    """A second worker joins while the first is held there: commit first, then share; every alert exactly once."""
    settings = make_settings(SETTINGS, batch_max_events=100, session_timeout_s=180)
    create_topics(settings)
    events = make_events(20_000)
    produce(settings, events)
    held = tmp_path / "held"
    admin, group = reach(settings), f"{settings.kafka.group_prefix}-accounts"

    def rebalancing() -> bool:
        found = admin.describe_consumer_groups([group])[group].result(10)
        return found.state == ConsumerGroupState.PREPARING_REBALANCING

    with breaking(settings, tmp_path, f"accounts:{step}:1:{held}", "--drain") as first:
        assert until(held.exists), first.log()
        before = metric(first, "stillwatch_rebalances_total", stage="accounts")
        with WorkerProcess(settings, tmp_path, "--drain") as second:
            if step == "captured":
                assert until(rebalancing), second.log()
            elif step in RESTORE:
                assert until(lambda: second.assigned().get("accounts")), second.log()
            else:
                assert until(lambda: metric(first, "stillwatch_rebalances_total", stage="accounts") > before)
            held.unlink()
            assert [0, 0] == [first.wait(), second.wait()], first.log() + second.log()

    same(settings, events, repeated=False)


def test_a_checkpoint_that_outlives_its_rebalance_is_refused(make_settings: Callable[..., Settings], tmp_path: Path):
    """Held in an open transaction for longer than the session: another has the partitions by then; exit 1."""
    settings = make_settings(SETTINGS, batch_max_events=100, session_timeout_s=6)
    create_topics(settings)
    events = make_events(20_000)
    produce(settings, events)
    held = tmp_path / "held"

    with breaking(settings, tmp_path, f"accounts:half written:1:{held}") as first:
        assert until(held.exists), first.log()
        with WorkerProcess(settings, tmp_path, "--drain") as second:
            assert until(lambda: second.assigned().get("accounts")), second.log()
            held.unlink()
            assert 1 == first.wait(), first.log()
            assert 0 == second.wait(), second.log()
    assert "could not wait for the checkpoint" in first.log()
    assert "Its partitions or its name are another worker's by now" in first.log()

    same(settings, events)
