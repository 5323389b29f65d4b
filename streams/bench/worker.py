"""The worker row: a topic filled beforehand on a real broker, one worker process that drains it, checkpoints on."""

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams.bench.rows import Row, row
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.demo.worker_process import Numbers, WorkerProcess
from streams.errors import StillwatchError
from streams.operator import ALERTS
from streams.replay import key_of
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import client_config, producer_config, reach
from streams.runtime.topics import create_topics, topic_name
from streams.simulator.generate import Event
from streams.simulator.sinks import produce

ASK_S = 1.0  # an answer takes 10 to 20 ms of the worker's CPU
TIMEOUT_S = 1_800.0
SKEW_MAX_MS = (
    600_000  # event time runs hundreds of times faster than the clock, so partitions drift apart within a batch
)
FIRST_SHARE, LAST_SHARE = 0.1, 0.95  # of the events: between them it runs evenly, neither starting nor ending

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Alert = tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]  # key, value, headers


class _Sample(msgspec.Struct):
    at_s: float
    numbers: Numbers
    threads_s: dict[str, float]


def work(traffic: Traffic, settings: Settings, expected: list[Alert] | None, report: Callable[[str, int], None]) -> Row:
    """Measure one worker with all stages.

    ``expected`` are the alerts of a replay; the row is void unless the worker's are the same, or if there are none.
    ``report(what, events)`` tells how far it is. Raises `StillwatchError` if Kafka or the worker fail.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stillwatch-bench-")))
        broker = stack.enter_context(LocalBroker(report=lambda text: report(text, 0)))
        kafka = msgspec.structs.replace(settings.kafka, bootstrap=broker.bootstrap)
        settings = msgspec.structs.replace(settings, kafka=kafka)
        create_topics(settings)
        events = (Event(0, (key_of(line) or b"").decode(), line) for line in traffic.lines())
        done = 0

        def produced(count: int) -> None:
            nonlocal done
            done += count
            report("fill the topic", done)

        produce(events, settings.kafka.requests_topic, producer_config(settings), produced)
        worker = WorkerProcess(settings, folder, "--drain")
        stack.callback(worker.stop)
        samples = _drain(worker, lambda count: report("worker", count))
        found = read_alerts(settings)
    measured = _steady(samples, traffic.events)
    measured.alerts = len(found)
    measured.void = _void(found, expected)
    return measured


def _drain(worker: WorkerProcess, report: Callable[[int], None]) -> list[_Sample]:
    began = time.monotonic()
    worker.start()
    samples: list[_Sample] = []
    while (code := worker.exit_code) is None:
        if time.monotonic() - began > TIMEOUT_S:
            raise StillwatchError(f"The worker has not drained the topic within {TIMEOUT_S / 60:.0f} min.")
        if (numbers := worker.numbers()) is not None:
            samples.append(_Sample(time.monotonic(), numbers, _by_thread(worker.pid)))
            report(numbers.read)
        time.sleep(ASK_S if samples and samples[-1].numbers.read else ASK_S / 4)
    if code != 0:
        worker.check()
    return samples


def _by_thread(pid: int) -> dict[str, float]:
    """CPU seconds by kind of thread so far; empty where there is no /proc."""
    found = dict.fromkeys(("event loop", "fetch and state", "librdkafka"), 0.0)
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # a thread that has just ended
        kind = "event loop" if path.parent.name == str(pid) else "fetch and state"
        user, system = rest.split()[11:13]
        found["librdkafka" if name.startswith("rdk:") else kind] += (int(user) + int(system)) / TICKS_PER_S
    return found if any(found.values()) else {}


def _steady(samples: list[_Sample], events: int) -> Row:
    """Take the rates between the first and the last sample that see it run evenly; what it took to start is apart."""
    inside = [s for s in samples if FIRST_SHARE * events <= s.numbers.read <= LAST_SHARE * events]
    if len(inside) < 2 or inside[0].numbers.read == inside[-1].numbers.read:
        raise StillwatchError("The worker was done before it could be measured: ask for more --events.")
    first, last = inside[0], inside[-1]
    count = last.numbers.read - first.numbers.read
    found = row("worker", count, last.at_s - first.at_s, last.numbers.cpu_s - first.numbers.cpu_s)
    found.accounts = samples[-1].numbers.accounts
    found.threads_us_per_event = {
        name: round((seconds - first.threads_s.get(name, 0.0)) / count * 1e6, 2)
        for name, seconds in last.threads_s.items()
    }
    found.start_cpu_s = round(max((s.numbers.cpu_s for s in samples if not s.numbers.read), default=0.0), 1)
    found.memory_bytes = max(s.numbers.resident_bytes for s in samples)
    return found


def read_alerts(settings: Settings) -> list[Alert]:
    """Return what the alert topic holds, without repeats."""
    reach(settings)
    topic = topic_name(settings, ALERTS)
    consumer = Consumer(
        client_config(settings)
        | {"group.id": "stillwatch-bench", "enable.partition.eof": True, "enable.auto.commit": False}
    )
    try:
        missing = set(consumer.list_topics(topic, 10.0).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in missing])
        found: dict[Any, None] = {}
        while missing:
            for message in consumer.consume(1_000, 1.0):
                if (error := message.error()) is None:
                    found[message.key(), message.value(), tuple(message.headers() or ())] = None
                elif error.code() == KafkaError._PARTITION_EOF:
                    missing.discard(message.partition())
        return list(found)
    finally:
        consumer.close()


def _void(found: list[Alert], expected: list[Alert] | None) -> str:
    if expected is None:
        return "no replay to compare the alerts with"
    if not expected:
        return "no alerts to compare: ask for more --events"
    mine, theirs = sorted(found), sorted((key, value, tuple(map(tuple, headers))) for key, value, headers in expected)
    if mine != theirs:
        return f"{len(set(mine) ^ set(theirs))} of {len(theirs)} alerts differ from the replay's"
    return ""
