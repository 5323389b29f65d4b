"""Start worker processes for tests, feed them, and read what comes out."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from counting import Event, replay
from support import PATIENCE_S, until

from streams.accounts import sightings
from streams.config import Accounts, Settings
from streams.contracts.hashing import partition_of
from streams.operator import ALERTS, MARKER_KEY
from streams.runtime.checkpoint import committed_reader
from streams.runtime.kafka_client import producer_config, reach
from streams.runtime.restore import read_state
from streams.runtime.shutdown import STOP_DEADLINE_S
from streams.runtime.topics import STAGES, create_topics, input_partitions, state_topic, topic_name
from streams.settings import flatten, variable
from streams.state import unseal
from streams.tokens import near, table
from streams.tokens.operator import TokensOperator

HERE = Path(__file__).parent
PATHS = os.environ.get("PYTHONPATH", "").split(os.pathsep)
EXIT_S = 20.0  # for the interpreter and the kernel; a worker that misses its deadline ends itself, and not with 0
START_MS = 1_700_000_000_000

LOGS = {b"t": table.ROW, b"n": near.ROW, b"si": sightings.ROW, b"sc": sightings.ROW, b"sn": sightings.ROW}  # of rows
LIFETIMES_MS = {
    b"n": Accounts().near_prompt_ttl_ms,
    b"sn": Accounts().near_prompt_ttl_ms,
    b"si": Accounts().infrastructure_ttl_ms,
    b"sc": Accounts().content_ttl_ms,
}
TOKEN_LIVES_MS = TokensOperator(Settings(), 0)._table.life_ms  # by kind

Alert = tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]  # key, value, headers


class WorkerProcess:
    """One `stillwatch worker` with the counting operators, ended when the context is left."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *arguments: str,
        operators: str = "counting:make_operator",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        name = f"worker-{len(list(folder.glob('worker-*.log')))}"
        self.log_path = folder / f"{name}.log"
        program = shutil.which("stillwatch", path=os.path.dirname(sys.executable))
        assert program, "the package is installed"
        environ = {**os.environ, **(environ or {}), "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), *PATHS]))}
        environ |= {variable(key): str(value) for key, value in flatten(settings).items() if value != ""}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "worker", "--metrics-port", "0", "--operators", operators, *arguments],
                env=environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> None:
        """SIGTERM: it must end in order and in time."""
        self.signal(signal.SIGTERM)
        assert 0 == self.wait(STOP_DEADLINE_S + EXIT_S), self.log()

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the end and return the exit code; fails with the log if it takes too long."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker still runs after {timeout_s} s:\n{self.log()}") from None

    def log(self) -> str:
        """What it printed so far."""
        return self.log_path.read_text()

    def assigned(self) -> dict[str, list[int]]:
        """The partitions of each stage, as it logged them last."""
        lines = [line for line in self.log().splitlines() if '"partitions assigned"' in line and line.endswith("}")]
        return {each["stage"]: each["partitions"] for each in map(msgspec.json.decode, lines)}


def drain(settings: Settings, folder: Path, *arguments: str) -> None:
    """Run a worker to the end of what is there."""
    with WorkerProcess(settings, folder, "--drain", *arguments) as worker:
        assert 0 == worker.wait(), worker.log()


def settled(settings: Settings, *workers: WorkerProcess) -> bool:
    """Whether these workers have all partitions among them, each worker some, and their state restored."""
    shares = [worker.assigned() for worker in workers]
    wanted = {"accounts": settings.kafka.request_partitions, "tokens": settings.kafka.sighting_partitions}
    return all(
        all(share.get(stage) for share in shares)
        and list(range(count)) == sorted(partition for share in shares for partition in share[stage])
        for stage, count in wanted.items()
    )


def make_events(count: int, seed: int = 7, step_ms: int = 20, even: bool = False) -> list[Event]:
    """Events of 500 accounts of very different (or ``even``) rates, out of order by 3 s, one in a hundred late by 20 s.

    Partitions get very different (or even) shares.
    """
    rng = random.Random(seed)
    time_ms, events = START_MS, []
    for _ in range(count):
        time_ms += rng.randrange(step_ms)
        late_ms = rng.randrange(3_000) + (20_000 if rng.random() < 0.01 else 0)
        number = rng.randrange(500) if even else int(rng.paretovariate(1)) % 500
        events.append(Event(f"account-{number}", time_ms - late_ms))
    return events


def logs_of(events: Iterable[Event], partitions: int = 4) -> dict[int, list[bytes]]:
    """What each partition of the requests topic holds once the events are produced."""
    logs: dict[int, list[bytes]] = {partition: [] for partition in range(partitions)}
    for event in events:
        logs[partition_of(event.account, partitions)].append(msgspec.json.encode(event))
    return logs


def expected_alerts(settings: Settings, events: list[Event]) -> set[Alert]:
    """What the same operators give in one process."""
    return {(alert.key or b"", alert.value, alert.headers) for alert in replay(settings, logs_of(events)).alerts}


def produce(settings: Settings, events: Iterable[Event], **config: Any) -> None:
    """Send events to the requests topic and wait until the broker has them."""
    producer = Producer(producer_config(settings) | config)
    for event in events:
        producer.produce(settings.kafka.requests_topic, msgspec.json.encode(event), event.account.encode())
        producer.poll(0)
    assert 0 == producer.flush(PATIENCE_S)


def delete_topic(settings: Settings, topic: str) -> None:
    """Delete a topic and wait until it is gone."""
    admin = reach(settings)
    admin.delete_topics([topic])[topic].result(30)
    assert until(lambda: topic not in admin.list_topics(timeout=10).topics)


def topics_made(settings: Settings) -> bool:
    """Whether missing topics could be made; a deletion may still be under way."""
    try:
        return bool(create_topics(settings))
    except Exception:
        return False


def read_topic(settings: Settings, topic: str, partitions: Sequence[int] = (0,)) -> list[Any]:
    """All messages of a topic that are committed now."""
    consumer = committed_reader(settings, "reader")
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    messages, missing = [], set(partitions)
    while missing:
        for message in consumer.consume(10_000, 0.2):
            if message.error() is None:
                messages.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                missing.discard(message.partition())
    consumer.close()
    return messages


def read_alerts(settings: Settings) -> list[Alert]:
    """All alerts so far."""
    return [
        (message.key(), message.value(), tuple(message.headers() or ()))
        for message in read_topic(settings, topic_name(settings, ALERTS))
    ]


def stored(settings: Settings, stages: Sequence[str] = STAGES) -> dict[str, dict[bytes, bytes]]:
    """What the state topics hold now, by stage and partition; without the markers, which say how far each is."""
    found = {}
    for stage in stages:
        count = input_partitions(settings, stage)
        consumer = committed_reader(settings, "reader")
        for partition, records in read_state(consumer, state_topic(settings, stage), range(count)).items():
            found[f"{stage}/{partition}"] = {key: value for key, value in records.items() if key != MARKER_KEY}
        consumer.close()
    return found


def contents(records: Mapping[bytes, bytes]) -> dict[bytes, object]:
    """What state records say, whatever checkpoints they were written by: logs of rows as the rows that count.

    Of the log of tokens the last row of each counts; a first sighting or a near prompt may stand in its log twice. All
    may stand there for a while after they have expired: when they go depends on where checkpoints fall.
    """
    found: dict[bytes, object] = {}
    logs: dict[bytes, list[bytes]] = {}
    for key, value in sorted(records.items()):
        if key[-12:].isdigit() and key[:-12] in LOGS:
            logs.setdefault(key[:-12], []).append(unseal(value))
        else:
            found[key] = value
    for prefix, parts in logs.items():
        rows = np.frombuffer(b"".join(parts), LOGS[prefix])
        if prefix == b"t":
            _, last = np.unique(rows["token"][::-1], return_index=True)
            rows = rows[rows.size - 1 - last]
        if rows.size:
            life_ms = TOKEN_LIVES_MS[rows["kind"]] if prefix == b"t" else LIFETIMES_MS[prefix]
            rows = rows[rows["time"] >= rows["time"].max() - life_ms]
        found[prefix] = np.unique(rows).tobytes()
    return found


class AlertCounter:
    """Follow the alerts topic: how many so far."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap, "group.id": "counter"})
        self._consumer.assign([TopicPartition(topic_name(settings, ALERTS), 0, 0)])
        self.count = 0

    def at_least(self, count: int) -> bool:
        """Whether so many have come."""
        self.count += len(self._consumer.consume(10_000, 0.05))
        return self.count >= count


def wait_for_alerts(settings: Settings, count: int) -> None:
    """Wait until there are so many alerts."""
    counter = AlertCounter(settings)
    assert until(lambda: counter.at_least(count)), f"{counter.count} alerts of {count}"


def committed(settings: Settings, stage: str, topic: str, partitions: int) -> Mapping[int, int]:
    """The committed offsets of a stage's group."""
    consumer = committed_reader(settings, f"{settings.kafka.group_prefix}-{stage}")
    found = consumer.committed([TopicPartition(topic, partition) for partition in range(partitions)], 20)
    consumer.close()
    return {each.partition: each.offset for each in found}
