"""Three workers killed, paused, ended and started at random, and the broker, too: nothing differs in the end.

By hand, ten seeds with 500,000 events each (4 to 10 minutes a seed on two cores):

    export STORM_SEEDS=1,2,3,4,5,6,7,8,9,10 STORM_EVENTS=500000 STORM_STEPS=60
    uv run pytest -n 0 -s tests/system/test_worker_storm.py
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from confluent_kafka import KafkaException, TopicPartition
from conftest import private_settings
from counting import Event, Golden, replay
from live import REAL, Feed, busy_plan, write_events
from support import PATIENCE_S, until
from workers import WorkerProcess, contents, logs_of, make_events, read_alerts, stored

from streams import pipeline
from streams.config import Campaigns, Settings, State
from streams.contracts.hashing import partition_of
from streams.replay import key_of
from streams.runtime.broker import LocalBroker
from streams.runtime.checkpoint import committed_reader
from streams.runtime.topics import create_topics

SEEDS = [int(each) for each in os.environ.get("STORM_SEEDS", "3").split(",")]
EVENTS = int(os.environ.get("STORM_EVENTS", "20000"))
STEPS = int(os.environ.get("STORM_STEPS", "15"))  # so many equal portions of events, and after each something happens
PAUSE_S = (0.5, 6.0)  # with a session of 3 s
WAIT_S = (0.5, 2.0)  # after each step
MOVE_S = 10.0  # and, so that a slow machine has a storm, too, at most so much longer until a checkpoint has moved on
SETTLE_S = 10.0  # what a transaction has committed is readable a moment after its worker has ended
TELLING = ("partitions assigned", "stopping", "the ", "waiting for", "not a member", "a rebalance")  # of log lines
EARLY = 0.1  # the share of steps that do not wait for a worker with partitions
WILD = ("kill", "end", "pause", "nothing")
IN_ORDER = ("end", "nothing")
PARTITIONS = Settings().kafka.request_partitions
STATE = State(max_keys=200, campaigns_interval_s=2)  # checkpoints of accounts trail far behind
ENDS = {0, 1, 3, -signal.SIGKILL, -signal.SIGTERM}  # 3: started while the broker was down
ENDS_IN_ORDER = {0, -signal.SIGTERM}  # the second before the interpreter was up

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(3_600 + EVENTS // 50)]


class Traffic(NamedTuple):
    """Events by line, in order, and what an undisturbed run makes of them."""

    lines: list[bytes]
    key_of: Callable[[bytes], bytes]
    golden: Golden


def counted(settings: Settings, folder: Path) -> Traffic:
    """Traffic of the counting stages."""
    events = make_events(EVENTS)
    lines = [msgspec.json.encode(event) for event in events]
    return Traffic(
        lines, lambda line: msgspec.json.decode(line, type=Event).account.encode(), replay(settings, logs_of(events))
    )


def simulated(settings: Settings, folder: Path) -> Traffic:
    """Simulated traffic with every shape of campaign, through the stages as they are shipped."""
    lines = write_events(busy_plan(EVENTS, EVENTS // 80), folder / "events.jsonl")
    logs: dict[int, list[bytes]] = {partition: [] for partition in range(settings.kafka.request_partitions)}
    for line in lines:
        logs[partition_of(key_of(line).decode(), len(logs))].append(line)
    return Traffic(lines, key_of, replay(settings, logs, pipeline.make_operator))


class Storm:
    """The workers by name, and what is done to them."""

    def __init__(
        self, settings: Settings, folder: Path, operators: str, static: bool, rng: random.Random, allowed: set[int]
    ) -> None:
        self._allowed = allowed  # exit codes
        self._settings, self._folder, self._operators, self._static, self._rng = (
            settings, folder, operators, static, rng
        )  # fmt: skip
        self.done: Counter[str] = Counter()
        self.ends: Counter[int] = Counter()
        self._workers = {name: self.start(name) for name in "abc"}
        self._woken: dict[str, float] = {}
        self._commits = committed_reader(settings, f"{settings.kafka.group_prefix}-accounts")
        self.committed = 0  # of the input, as far as was looked

    def start(self, name: str, *arguments: str) -> WorkerProcess:
        """Start a worker."""
        self.done["start"] += 1
        named = ("--instance", name) if self._static else ()
        return WorkerProcess(self._settings, self._folder, *named, *arguments, operators=self._operators)

    def act(self, actions: Sequence[str]) -> None:
        """Do something to one of them, then wait for a while, or until one has ended."""
        self._wake()
        if self._rng.random() > EARLY:
            until(self._ready)
        name = self._rng.choice(self._ready() or sorted(self._workers))
        worker, action = self._workers[name], self._rng.choice(actions)
        if worker.process.poll() is not None:
            self._ended(worker)
            self._workers[name] = self.start(name)
        elif name not in self._woken and action != "nothing":
            self.done[action] += 1
            if action == "pause":
                self._woken[name] = time.monotonic() + self._rng.uniform(*PAUSE_S)
            worker.signal({"kill": signal.SIGKILL, "end": signal.SIGTERM, "pause": signal.SIGSTOP}[action])
        wait_s = self._rng.uniform(*WAIT_S)
        until(lambda: any(each.process.poll() is not None for each in self._workers.values()), wait_s)
        if self._rng.random() > EARLY:
            until(self._moved, MOVE_S)

    def _moved(self) -> bool:
        """Whether more of the input is committed than at the last step."""
        self._wake()
        places = [TopicPartition(self._settings.kafka.requests_topic, each) for each in range(PARTITIONS)]
        try:
            found = sum(max(0, each.offset) for each in self._commits.committed(places, 5.0))
        except KafkaException:  # the broker is being killed
            return False
        moved, self.committed = found > self.committed, max(found, self.committed)
        return moved

    def _ready(self) -> list[str]:
        """Who has ended, or has had partitions; a machine may be so slow that nobody would ever get that far."""
        self._wake()
        workers = self._workers.items()
        return [
            name for name, each in workers
            if each.process.poll() is not None or (name not in self._woken and each.assigned())
        ]  # fmt: skip

    def _wake(self) -> None:
        for name in [name for name, at in self._woken.items() if time.monotonic() > at]:
            self._workers[name].signal(signal.SIGCONT)
            del self._woken[name]

    def _ended(self, worker: WorkerProcess) -> None:
        code = worker.wait()
        assert code in self._allowed, f"exit {code}:\n{worker.log()}"
        self.ends[code] += 1

    def end(self) -> None:
        """End all of them in order."""
        for name in self._woken:
            self._workers[name].signal(signal.SIGCONT)
        for worker in self._workers.values():
            worker.signal(signal.SIGTERM)
        for worker in self._workers.values():
            self._ended(worker)

    def kill(self) -> None:
        """Leave nothing behind."""
        for worker in self._workers.values():
            worker.__exit__()
        self._commits.close()


def run(traffic: Traffic, feed: Feed, storm: Storm, actions: Sequence[str], broker: LocalBroker | None) -> None:
    """Feed in equal portions through the storm, then work through what is left; the broker is killed half way."""
    lines = traffic.lines
    try:
        for step in range(STEPS):
            feed.send(lines[len(lines) * step // STEPS : len(lines) * (step + 1) // STEPS])
            if broker is not None and step == STEPS // 2:
                broker.kill()
                broker.restart()
                storm.done["broker"] += 1
            storm.act(actions)
        storm.end()
    finally:
        storm.kill()
    with storm.start("a", "--drain") as last:
        assert 0 == last.wait(10 * PATIENCE_S), last.log()


def compared(settings: Settings, traffic: Traffic, storm: Storm, told: str) -> int:
    """Alerts and state are those of an undisturbed run; returns how many alerts came twice."""
    alerts = read_alerts(settings)
    repeated = len(alerts) - len(set(alerts))
    print(f"\n{told}: {len(traffic.lines):,} events, {len(set(alerts)):,} alerts, {repeated:,} repeated; "
          f"{storm.committed:,} events done under way; {dict(storm.done)}; exit codes {dict(storm.ends)}")  # fmt: skip
    assert {(each.key or b"", each.value, tuple(each.headers)) for each in traffic.golden.alerts} == set(alerts)
    wanted = {place: contents(records) for place, records in traffic.golden.state.items()}

    def differing() -> list[str]:
        live = stored(settings)
        return [place for place, found in wanted.items() if found != contents(live[place])]

    until(lambda: not differing(), SETTLE_S)
    assert [] == differing()
    return repeated


def events_of(folder: Path) -> str:
    """What all workers said of their partitions and their ends."""
    said = [line for path in sorted(folder.glob("worker-*.log")) for line in path.read_text().splitlines()]
    return "\n".join(sorted(line for line in said if any(f'"{word}' in line for word in TELLING)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("operators", "static"), [(REAL, False), ("counting:make_operator", True)], ids=["real", "counting"]
)
def test_a_storm_changes_nothing(tmp_path: Path, operators: str, static: bool, seed: int):
    """No alert is missing and none is extra, the state is the same, and what is repeated is the same bytes."""
    with LocalBroker() as broker:
        base = Settings(state=STATE, campaigns=Campaigns(close_after_ms=45 * 60_000))
        settings = private_settings(broker.bootstrap, base, session_timeout_s=3, batch_max_events=100)
        create_topics(settings)
        traffic = (simulated if operators == REAL else counted)(settings, tmp_path)
        storm = Storm(settings, tmp_path, operators, static, random.Random(seed), ENDS)
        run(traffic, Feed(settings, traffic.key_of), storm, WILD, broker)
        compared(settings, traffic, storm, f"storm, {'real' if operators == REAL else 'counting'} stages, seed {seed}")


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_come_and_end_in_order_repeat_nothing(kafka: LocalBroker, tmp_path: Path, seed: int):
    """SIGTERM and starts at random: every alert exactly once."""
    base = Settings(state=STATE)
    settings = private_settings(kafka.bootstrap, base, session_timeout_s=30, batch_max_events=100)
    create_topics(settings)
    traffic = counted(settings, tmp_path)
    storm = Storm(settings, tmp_path, "counting:make_operator", False, random.Random(seed), ENDS_IN_ORDER)
    run(traffic, Feed(settings, traffic.key_of), storm, IN_ORDER, None)

    assert 0 == compared(settings, traffic, storm, f"in order, seed {seed}"), events_of(tmp_path)
