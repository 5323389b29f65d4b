"""Simulated traffic through the real stages: as a file, as the answer of one process, and on a topic."""

import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from support import PATIENCE_S, until
from workers import Alert, WorkerProcess

from streams.config import Settings
from streams.operator import ALERTS, Record
from streams.pipeline import STAGES
from streams.replay import Summary, key_of, replay
from streams.runtime.kafka_client import producer_config
from streams.runtime.topics import topic_name
from streams.simulator.campaigns import SHAPES
from streams.simulator.campaigns.spec import CampaignSpec
from streams.simulator.generate import Simulation
from streams.simulator.plan import Disturbances, Plan, scaled
from streams.simulator.sinks import write_file

Sample = tuple[str, frozenset[tuple[str, str]]]  # name and labels

REAL = "streams.pipeline:make_operator"
DISTURBANCES = Disturbances(late=0.01, reordered=0.02, duplicates=0.01, hot_share=0.6, partitions=4)


def busy_plan(events: int, accounts: int, hours: float = 8.0, lasting_h: float = 4.0, seed: int = 11) -> Plan:
    """Every shape of campaign, one after another, each ending long before the plan does, so that cases close too."""
    specs = [*(shape.default for shape in SHAPES.values()), SHAPES["stolen_key"].default, SHAPES["stolen_key"].default]
    return scaled(Plan(seed, accounts, hours, campaigns=_one_after_another(specs, hours, lasting_h)), events)


def _one_after_another(specs: list[CampaignSpec], hours: float, lasting_h: float) -> tuple[CampaignSpec, ...]:
    step = (hours - lasting_h - 1.0) / (len(specs) - 1)
    return tuple(msgspec.structs.replace(spec, start_h=0.3 + i * step, hours=lasting_h) for i, spec in enumerate(specs))


def write_events(plan: Plan, path: Path, disturbances: Disturbances = DISTURBANCES) -> list[bytes]:
    """Simulate to a file and return its lines."""
    write_file(Simulation(msgspec.structs.replace(plan, disturbances=disturbances)), path, lambda _: None)
    return path.read_bytes().splitlines()


def replayed(path: Path, settings: Settings) -> tuple[list[Alert], Summary]:
    """What `stillwatch replay` makes of a file: all revisions in order, and the summary."""
    records: list[Record] = []
    summary = replay([str(path)], settings, records.append)
    alerts = [(each.key or b"", each.value, tuple(each.headers)) for each in records if each.role == ALERTS]
    return alerts, summary


class Feed:
    """One producer that sends lines to the requests topic in order, keyed by account."""

    def __init__(self, settings: Settings, key: Callable[[bytes], bytes] = key_of) -> None:
        self._topic = settings.kafka.requests_topic
        self._key = key
        self._producer = Producer(producer_config(settings) | {"log_level": 0})

    def send(self, lines: Sequence[bytes]) -> None:
        """Send these and wait until the broker has them."""
        for line in lines:
            self._producer.produce(self._topic, line, self._key(line))
            self._producer.poll(0)
        assert 0 == self._producer.flush(60)


class Follower:
    """Read the alerts topic as it grows."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer({"bootstrap.servers": settings.kafka.bootstrap, "group.id": "follower"})
        self._consumer.assign([TopicPartition(topic_name(settings, ALERTS), 0, 0)])
        self.alerts: set[Alert] = set()

    def at_least(self, count: int) -> bool:
        """Whether so many different ones have come."""
        for message in self._consumer.consume(10_000, 0.05):
            assert message.error() is None, message.error()
            self.alerts.add((message.key(), message.value(), tuple(message.headers() or ())))
        return len(self.alerts) >= count

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()


def samples(worker: WorkerProcess) -> dict[Sample, float]:
    """All numbers on a worker's /metrics, by name and labels."""
    with urllib.request.urlopen(f"{url(worker)}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def metric(worker: WorkerProcess, name: str, **labels: str) -> float:
    """The sum of a metric over all labels that are not given."""
    wanted = set(labels.items())
    return sum(value for (each, found), value in samples(worker).items() if each == name and wanted <= found)


def url(worker: WorkerProcess) -> str:
    """Where a worker serves its metrics and probes; waits until it says so."""
    assert until(lambda: "metrics and probes: " in worker.log() or worker.process.poll() is not None), worker.log()
    assert worker.process.poll() is None, worker.log()
    return worker.log().partition("metrics and probes: ")[2].split()[0]


def real_worker(settings: Settings, folder: Path, *arguments: str) -> WorkerProcess:
    """A worker with the stages as they are shipped."""
    return WorkerProcess(settings, folder, *arguments, operators=REAL)


def owner_of(stage: str, workers: Sequence[WorkerProcess]) -> WorkerProcess:
    """Who has the most partitions of a stage."""
    assert stage in STAGES
    return max(workers, key=lambda worker: len(worker.assigned().get(stage, [])))


def decoded(alerts: Sequence[Alert] | set[Alert]) -> list[dict[str, Any]]:
    """The values of alerts, in order of case and revision."""
    values = [msgspec.json.decode(value) for _, value, _ in alerts]
    return sorted(values, key=lambda value: (value["alert_id"], value["revision"]))


def shown(alerts: Sequence[Alert] | set[Alert]) -> Counter[tuple[str, str]]:
    """How many revisions there are of each kind and status."""
    return Counter((value["kind"], value["status"]) for value in decoded(alerts))


def difference(expected: Sequence[Alert], actual: set[Alert]) -> str:
    """Describe the first revisions, by event time, that only one side has; empty if there are none."""
    told = []
    for side, found in (("only replay", set(expected) - actual), ("only live", actual - set(expected))):
        values = sorted(decoded(found), key=lambda value: (value["detected_at"], value["alert_id"]))
        told += [f"{side}: {len(values)} revisions", *(msgspec.json.encode(value).decode() for value in values[:2])]
    return "" if set(expected) == actual else "\n".join(told)
