"""Where events go: a file, compressed or not, or a Kafka topic, paced or as fast as it takes them."""

import contextlib
import gzip
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from streams.errors import BrokerError
from streams.simulator.generate import Event

FLUSH_S = 60.0  # a broker that takes nothing for a minute is reported
REPORT_EVENTS = 2_000


@contextlib.contextmanager
def open_output(path: Path) -> Iterator[Any]:
    """Open a file to write, compressed by its suffix (.gz, .zst); equal content gives equal bytes."""
    with path.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=5, fileobj=raw, mtime=0) as out:
                yield out
        elif path.suffix == ".zst":
            with zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False) as out:
                yield out
        else:
            yield raw


def write_file(events: Iterable[Event], path: Path, report: Callable[[int], object]) -> int:
    """Write one event a line and return how many; ``report`` is called with each further number of events."""
    total = 0
    with open_output(path) as out:
        lines: list[bytes] = []
        for event in events:
            lines.append(event.value)
            if len(lines) == REPORT_EVENTS:
                out.write(b"\n".join(lines) + b"\n")
                report(len(lines))
                total += len(lines)
                lines = []
        if lines:
            out.write(b"\n".join(lines) + b"\n")
            report(len(lines))
    return total + len(lines)


def produce(
    events: Iterable[Event],
    topic: str,
    config: dict[str, Any],
    report: Callable[[int], object],
    speed: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Produce events keyed by account and return how many arrived.

    ``speed`` is event time per wall time, counted from the first event; None is as fast as the broker takes them.
    ``config`` is a confluent producer's; its partitioner must be ``murmur2_random``, which puts a key where Kafka's own
    clients do. Record timestamps are left to the wall clock. Ends early, with what was produced, once ``stop`` says so.
    Raises `BrokerError` if the cluster cannot be reached or refuses an event.
    """
    from confluent_kafka import KafkaException, Producer

    failures: list[str] = []
    arrived = 0

    def delivered(error: Any, message: Any) -> None:
        nonlocal arrived
        if error is None:
            arrived += 1
        else:
            failures.append(str(error))

    producer = Producer(config | {"linger.ms": 20, "queue.buffering.max.messages": 50_000})
    origin_ms, began, sent = None, time.monotonic(), 0
    try:
        for event in events:
            if failures or stop():
                break
            if speed is not None:
                origin_ms = event.time_ms if origin_ms is None else origin_ms
                _wait(producer, began + (event.time_ms - origin_ms) / 1_000 / speed, stop)
            while True:
                try:
                    producer.produce(topic, event.value, event.account_id, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.1)
            sent += 1
            if sent % REPORT_EVENTS == 0:
                producer.poll(0)
                report(REPORT_EVENTS)
        report(sent % REPORT_EVENTS)
        left = producer.flush(FLUSH_S)
    except KafkaException as error:
        raise BrokerError(f"cannot produce to {topic}: {error}") from None
    if failures or left:
        reason = failures[0] if failures else f"{left} events were not taken within {FLUSH_S:.0f} s"
        raise BrokerError(f"cannot produce to {topic}: {reason}")
    return arrived


def _wait(producer: Any, until: float, stop: Callable[[], bool]) -> None:
    """Serve delivery reports until a moment of the monotonic clock."""
    while (left := until - time.monotonic()) > 0.001 and not stop():
        producer.poll(min(left, 0.1))
