"""How cost grows with the number of accounts: one process per size, run as ``python -m streams.bench.scale``.

In one process and without a broker, so a restart is what the operators take to load their state, without reading it
from Kafka. Checkpoints are taken as the worker takes them, and the last record of each key is kept as Kafka would.
"""

import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from streams.bench.crowd import EVENTS_PER_S, Crowd
from streams.bench.memory import resident_bytes
from streams.config import Settings
from streams.operator import MARKER_KEY, Batch, Record

LAST_SHARE = 0.2  # of the events: what an event costs once all accounts are there
CHECKPOINT_EVENTS = 200_000  # the worker's ten seconds at full speed
STAGES = ("accounts", "tokens", "campaigns")
# Where accounts come and go. At the crowd's own speed ten million are over in 50 minutes of event time, and first
# sightings stay in memory for an hour longer than they count.
EVICTED_EVENTS_PER_S = EVENTS_PER_S // 10


class Size(msgspec.Struct):
    """What is to be measured: so many accounts seen, and so many of them held at a time at most."""

    seen: int
    held: int

    @property
    def crowd(self) -> Crowd:
        """Whom the stages see."""
        return Crowd(self.seen, events_per_s=EVENTS_PER_S if self.held >= self.seen else EVICTED_EVENTS_PER_S)

    def limits(self, settings: Settings) -> Settings:
        """Return settings whose lifetimes let ``held`` accounts appear; as they are if that is all."""
        if self.held >= self.seen:
            return settings
        life_ms = self.crowd.events * self.held // self.seen * 1_000 // self.crowd.events_per_s
        lives = dict.fromkeys(("ttl_ms", "infrastructure_ttl_ms", "content_ttl_ms", "near_prompt_ttl_ms"), life_ms)
        return msgspec.structs.replace(
            settings,
            accounts=msgspec.structs.replace(settings.accounts, **lives),
            # what is evicted must be older by this, too
            time=msgspec.structs.replace(settings.time, far_ahead_ms=min(settings.time.far_ahead_ms, life_ms // 10)),
        )


class Point(msgspec.Struct):
    """One size. CPU times are of one core; memory is what the stage's batches made the process grow by."""

    seen: int
    held: int  # by stage accounts at the end
    events: int
    events_per_s: int  # a core, all stages, over the last fifth
    us_per_event: dict[str, float]  # by stage, over the last fifth
    memory_bytes: dict[str, int]  # by stage, and of the whole process
    first_sightings_bytes: int  # of the memory of stage accounts: what accounts have shown before
    state_bytes: dict[str, int]  # records that a restore reads: by stage
    restart_s: dict[str, float]  # CPU to load them: by stage
    capture_s: float  # the longest that a checkpoint held a stage up


class _Gauge:
    """An operator that is watched: CPU time and growth of its batches, its checkpoints as a state topic keeps them."""

    def __init__(self, operator: Any, cpu_s: dict[str, float], memory: dict[str, int]) -> None:
        self.operator, self.state = operator, dict[bytes, bytes]()
        self.longest_s = 0.0
        self._cpu_s, self._memory = cpu_s, memory

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operator, name)

    def on_batch(self, batch: Batch) -> list[Record]:
        """Pass on."""
        began, before = time.thread_time(), resident_bytes()
        out: list[Record] = self.operator.on_batch(batch)
        self._cpu_s[self.operator.stage] += time.thread_time() - began
        self._memory[self.operator.stage] += resident_bytes() - before
        return out

    def keep(self, max_keys: int | None) -> None:
        """Take a checkpoint."""
        began = time.thread_time()
        taken = self.operator.checkpoint(max_keys)
        self.longest_s = max(self.longest_s, time.thread_time() - began)
        for key, value in () if taken is None else (*taken.snapshots, (MARKER_KEY, taken.marker)):
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value


def measure(size: Size, settings: Settings) -> Point:
    """Feed a crowd to all stages. Accounts above ``size.held`` are evicted as their lifetime ends."""
    from streams.pipeline import make_operator, warm_up
    from streams.replay import Replay

    warm_up()
    crowd, settings = size.crowd, size.limits(settings)
    cpu_s, memory = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0)
    host = Replay(settings, lambda record: None)
    pipeline: Any = host.pipeline
    parts = {"accounts": settings.kafka.request_partitions, "tokens": settings.kafka.sighting_partitions}

    def made(stage: str) -> list[_Gauge]:
        each = range(parts.get(stage, 1))
        return [_Gauge(make_operator(stage, settings, partition), cpu_s, memory) for partition in each]

    gauges = {stage: made(stage) for stage in STAGES}
    pipeline.accounts, pipeline.tokens = gauges["accounts"], gauges["tokens"]
    (pipeline.campaigns,) = gauges["campaigns"]
    before, at = resident_bytes(), dict(cpu_s)
    last = round(crowd.events * (1 - LAST_SHARE))
    for done, (_, line) in enumerate(crowd.lines()):
        if done == last:
            host.flush()
            at = dict(cpu_s)
        host.feed(line)
        if (done + 1) % CHECKPOINT_EVENTS == 0:
            host.flush()
            for gauge in (gauge for stage in STAGES for gauge in gauges[stage]):
                gauge.keep(settings.state.max_keys if gauge.stage != "campaigns" else None)
            print(done + 1, flush=True)
    host.end()
    whole = resident_bytes() - before
    for gauge in (gauge for stage in STAGES for gauge in gauges[stage]):
        gauge.keep(None)
    us = {stage: round((cpu_s[stage] - at[stage]) / (crowd.events - last) * 1e6, 2) for stage in STAGES}
    state = {stage: sum(len(k) + len(v) for g in gauges[stage] for k, v in g.state.items()) for stage in STAGES}
    records = sum(state.values())
    return Point(
        size.seen,
        sum(int(gauge.gauges()["held", "accounts"]) for gauge in gauges["accounts"]),
        crowd.events,
        round(1e6 / sum(us.values())),
        us,
        memory | {"process": max(0, whole - records)},
        sum(each.nbytes for gauge in gauges["accounts"] for each in gauge._memories.values()),
        state,
        {stage: round(sum(_restored_s(g, settings) for g in gauges[stage]), 2) for stage in STAGES},
        round(max(g.longest_s for stage in STAGES for g in gauges[stage]), 2),
    )


def _restored_s(gauge: _Gauge, settings: Settings) -> float:
    from streams.pipeline import STAGES as OPERATORS

    fresh = OPERATORS[gauge.stage](settings, gauge.partition)
    began = time.thread_time()
    fresh.restore(gauge.state.items())
    return time.thread_time() - began


def main() -> None:
    """Measure the size that is given as JSON, and append the point to a file."""
    size, settings, path = sys.argv[1:]
    point = measure(msgspec.json.decode(size, type=Size), msgspec.json.decode(settings, type=Settings))
    with Path(path).open("ab") as file:
        file.write(msgspec.json.encode(point) + b"\n")


if __name__ == "__main__":
    main()
