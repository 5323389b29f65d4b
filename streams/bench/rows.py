"""Decode and replay, each in a process of its own: run as ``python -m streams.bench.rows ROW FILE SETTINGS``."""

import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from streams.bench.alone import campaigns
from streams.bench.digest import Digest
from streams.bench.memory import resident_bytes
from streams.bench.row import Row, row
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.contracts.packets import NEAR_LOW, TEMPLATE
from streams.contracts.request import Rejected, decode_request
from streams.operator import ALERTS, Batch, Record

BATCH_EVENTS = 500
PROGRESS_EVENTS = 10_000


class Replayed(msgspec.Struct):
    """What a replay hands back."""

    row: Row
    alerts: list[tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]]  # key, value, headers


class Operated(msgspec.Struct):
    """What stage accounts alone hands back."""

    row: Row
    digest: Digest


def decode(traffic: Traffic, settings: Settings) -> Row:
    """Decode and validate every event, nothing else."""
    wall = cpu = 0.0
    done = 0
    batch: list[bytes] = []
    lines = traffic.lines()
    while batch := [line for _, line in zip(range(BATCH_EVENTS), lines, strict=False)]:
        began, cpu_began = time.perf_counter(), time.process_time()
        found = [decode_request(line, settings.accounts.max_event_bytes) for line in batch]
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - cpu_began
        if Rejected in set(map(type, found)):
            raise AssertionError("the simulator wrote an event that is none")
        done += len(batch)
        _progress(done)
    return row("decode only", done, wall, cpu)


def operate(traffic: Traffic, settings: Settings) -> Operated:
    """Run stage accounts alone, without a host: what every host adds to, and what every host must give."""
    from streams.accounts.operator import AccountsOperator
    from streams.pipeline import warm_up
    from streams.replay import Replay

    warm_up()
    digest = Digest()
    seconds = cpu = 0.0
    operators = [AccountsOperator(settings, each, durable=False) for each in range(settings.kafka.request_partitions)]

    class Alone:
        def feed(self, batch: Batch) -> list[Record]:
            return self._timed(operators[batch.partition].on_batch, batch)

        def end(self) -> list[Record]:
            return [record for operator in operators for record in self._timed(operator.on_end)]

        def _timed(self, call: Any, *arguments: Any) -> list[Record]:
            nonlocal seconds, cpu
            began, cpu_began = time.perf_counter(), time.process_time()
            out: list[Record] = call(*arguments)
            seconds, cpu = seconds + time.perf_counter() - began, cpu + time.process_time() - cpu_began
            return out

    before = resident_bytes()
    host = Replay(settings, lambda record: digest.add(record.role, record.value))
    host.pipeline = Alone()  # type: ignore[assignment]  # has the two methods that `Replay` calls
    for done, line in enumerate(traffic.lines(), 1):
        host.feed(line)
        if done % PROGRESS_EVENTS == 0:
            _progress(done)
    host.end()
    found = row("stage accounts alone", host.lines, seconds, cpu)
    found.accounts = sum(int(operator.gauges()["held", "accounts"]) for operator in operators)
    found.memory_bytes = resident_bytes() - before
    return Operated(found, digest)


class _Timed:
    """An operator with a stopwatch."""

    def __init__(self, operator: Any, seconds: dict[str, float]) -> None:
        self._operator, self._seconds = operator, seconds
        self.partition = operator.partition

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operator, name)

    def on_batch(self, batch: Batch) -> list[Record]:
        """Pass on."""
        return self._time(self._operator.on_batch, batch)

    def on_end(self) -> list[Record]:
        """Pass on."""
        return self._time(self._operator.on_end)

    def _time(self, call: Any, *arguments: Any) -> list[Record]:
        began = time.thread_time()
        out: list[Record] = call(*arguments)
        self._seconds[self._operator.stage] += time.thread_time() - began
        return out


def replay(traffic: Traffic, settings: Settings) -> Replayed:
    """Run all stages over the events, as `stillwatch replay` does."""
    from streams.pipeline import warm_up
    from streams.replay import Replay

    warm_up()
    alerts: list[tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]] = []

    def keep(record: Record) -> None:
        if record.role == ALERTS:
            alerts.append((record.key or b"", record.value, record.headers))

    host = Replay(settings, keep)
    pipeline = host.pipeline
    seconds = dict.fromkeys(("accounts", "tokens", "campaigns"), 0.0)
    pipeline.accounts = [_Timed(each, seconds) for each in pipeline.accounts]  # type: ignore[misc]  # forwards all that it is asked for
    pipeline.tokens = [_Timed(each, seconds) for each in pipeline.tokens]  # type: ignore[misc]  # as above
    pipeline.campaigns = _Timed(pipeline.campaigns, seconds)  # type: ignore[assignment]  # as above
    before = resident_bytes()
    began, cpu_began = time.perf_counter(), time.process_time()
    for done, line in enumerate(traffic.lines(), 1):
        host.feed(line)
        if done % PROGRESS_EVENTS == 0:
            _progress(done)
    host.end()
    found = row("replay", host.lines, time.perf_counter() - began, time.process_time() - cpu_began)
    found.stages_us_per_event = {stage: round(s / host.lines * 1e6, 2) for stage, s in seconds.items()}
    found.accounts = len(pipeline.campaigns.table)
    found.memory_bytes = resident_bytes() - before
    found.memory_bytes_per_account = round(found.memory_bytes / max(1, found.accounts))
    found.per_event = _per_event(pipeline, host.lines)
    found.alerts = len(alerts)
    return Replayed(found, alerts)


def _per_event(pipeline: Any, events: int) -> dict[str, float]:
    def counted(operators: list[Any], name: str) -> int:
        return sum(operator.counters.get((name,), 0) for operator in operators)

    kinds = [operator._table.rows(operator._table.tokens())["kind"] for operator in pipeline.tokens]
    shown = sum(int(((kind >= TEMPLATE) & (kind < NEAR_LOW)).sum()) for kind in kinds)
    near = sum(len(half) for operator in pipeline.tokens for half in operator._near) / 2  # two halves a prompt
    counts = {
        "sightings": counted(pipeline.accounts, "sightings"),
        "links": counted(pipeline.tokens, "links"),
        "signals": counted(pipeline.accounts, "signals"),
        "new content tokens": shown + near,
    }
    return {name: round(count / events, 3) for name, count in counts.items()}


def _progress(done: int) -> None:
    print(done, flush=True)


def main() -> None:
    """Run one row and write its result next to the events."""
    name, traffic_json, settings_json, result = sys.argv[1:]
    traffic = msgspec.json.decode(traffic_json, type=Traffic)
    settings = msgspec.json.decode(settings_json, type=Settings)
    if name == "campaigns":
        found: Any = campaigns(traffic, settings, _progress)
    else:
        found = {"decode": decode, "operator": operate, "replay": replay}[name](traffic, settings)
    Path(result).write_bytes(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main()
