"""Three workers killed, stopped, paused and started at random while events come in: nothing differs in the end."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import until
from test_worker_skeleton import expected_alerts
from workers import WorkerProcess, make_events, produce, read_alerts

from streams.config import Settings, State
from streams.runtime.topics import create_topics

pytestmark = [pytest.mark.system, pytest.mark.slow]

STORM_S = 40.0
SEED = 3


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
def test_a_storm_of_kills_pauses_and_restarts_changes_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path, static: bool
):
    """No alert is missing and none is extra; what is repeated is the same bytes."""
    rng = random.Random(SEED)
    settings = make_settings(Settings(state=State(max_keys=200)), session_timeout_s=3, batch_max_events=100)
    create_topics(settings)
    events = make_events(30_000)

    def start(name: str) -> WorkerProcess:
        return WorkerProcess(settings, tmp_path, *(["--instance", name] if static else []))

    workers = {name: start(name) for name in "abc"}
    woken: dict[str, float] = {}
    sent, began = 0, time.monotonic()
    try:
        while sent < len(events):
            due = min(len(events), int(len(events) * (time.monotonic() - began) / STORM_S))
            produce(settings, events[sent:due])
            sent = due
            for name, at in list(woken.items()):
                if time.monotonic() > at:
                    workers[name].signal(signal.SIGCONT)
                    del woken[name]
            name = rng.choice("abc")
            worker, action = workers[name], rng.choice(["kill", "end", "pause", "nothing"])
            if worker.process.poll() is not None:
                assert worker.wait() in (0, 1, -signal.SIGKILL, -signal.SIGTERM), worker.log()
                workers[name] = start(name)
            elif name not in woken and action == "kill":
                worker.signal(signal.SIGKILL)
            elif name not in woken and action == "end":
                worker.signal(signal.SIGTERM)
            elif name not in woken and action == "pause":
                worker.signal(signal.SIGSTOP)
                woken[name] = time.monotonic() + rng.uniform(0.5, 6.0)
            until(lambda: any(each.process.poll() is not None for each in workers.values()), rng.uniform(0.5, 2.0))
    finally:
        for worker in workers.values():
            worker.__exit__()
    with WorkerProcess(settings, tmp_path, "--drain", *(["--instance", "a"] if static else [])) as last:
        assert 0 == last.wait(), last.log()

    assert expected_alerts(settings, events) == set(read_alerts(settings))
