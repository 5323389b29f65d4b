"""What the worker hosts when it is measured (its hidden option ``--operators``): the real operators, counted."""

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from streams.accounts.columns import Reader
from streams.accounts.operator import AccountsOperator
from streams.bench.hosts import Job
from streams.bench.live import Verdict
from streams.bench.meter import VARIABLE, Meter, Metered
from streams.config import Settings
from streams.operator import Batch, Checkpoint, Record
from streams.pipeline import make_operator, warm_up
from streams.state import pack
from streams.tokens.operator import TokensOperator


@cache
def _meter() -> Meter:
    job = msgspec.json.decode(os.environ[VARIABLE], type=Job)
    return Meter(job.meter, job.events)


def durable(stage: str, settings: Settings, partition: int) -> Any:
    """The product as it is, stage accounts counted."""
    operator = make_operator(stage, settings, partition)
    return Metered(operator, _meter()) if stage == "accounts" else operator


def volatile(stage: str, settings: Settings, partition: int) -> Any:
    """The same, but a checkpoint holds the position only."""
    warm_up()
    return Metered(AccountsOperator(settings, partition, durable=False), _meter())


def all_durable(stage: str, settings: Settings, partition: int) -> Any:
    """All stages, counted where they end: an event is done when campaigns has acted on its signal."""
    operator = make_operator(stage, settings, partition)
    return Metered(operator, _meter(), _acted(operator)) if stage == "campaigns" else operator


def all_volatile(stage: str, settings: Settings, partition: int) -> Any:
    """The same, but checkpoints hold positions only, and those of campaigns are left to the settings."""
    if stage == "campaigns":
        return all_durable(stage, settings, partition)
    warm_up()
    made = {"accounts": AccountsOperator, "tokens": TokensOperator}[stage]
    return made(settings, partition, durable=False)


def _acted(operator: Any) -> Callable[[Batch], int]:
    """Count the signals that a batch made stage campaigns act on: those that wait for their tick are not done."""
    before = 0

    def acted(batch: Batch) -> int:
        nonlocal before
        now = operator.counters.get(("signals",), 0)
        more, before = now - before, now
        return more

    return acted


class _Watched:
    """Campaigns, which says when it has decided everything up to a time."""

    def __init__(self, operator: Any, path: str) -> None:
        self._operator, self._path = operator, path
        self.partition = operator.partition

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operator, name)

    def on_batch(self, batch: Batch) -> list[Record]:
        """Pass on, and write a line if a tick was decided."""
        before = self._operator.ticks.done
        out: list[Record] = self._operator.on_batch(batch)
        if (done := self._operator.ticks.done) > before:
            with open(self._path, "ab") as file:
                file.write(msgspec.json.encode(Verdict(time.time(), done / 1_000)) + b"\n")
        return out


def watched(stage: str, settings: Settings, partition: int) -> Any:
    """The product as it is; campaigns says when it decides."""
    operator = make_operator(stage, settings, partition)
    if stage != "campaigns":
        return operator
    return _Watched(operator, msgspec.json.decode(os.environ[VARIABLE], type=Job).meter)


class _Scanner(Reader):
    """Without what is done to what was decoded: addresses and texts."""

    def _finish(self, rows: Any, left: Any, text: bytearray) -> None:
        pass


class DecodeOnly:
    """Decode batches as stage accounts does, and drop them: what bounds everything that decodes in this worker."""

    stage = "accounts"

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = {}
        self.finished = False
        self._reader = _Scanner(settings.accounts.max_event_bytes)
        self._next_offset = self._captured = 0

    def on_batch(self, batch: Batch) -> list[Record]:
        """Decode; raises AssertionError for an event that is none."""
        events, odd = self._reader.read(batch.offsets, batch.values)
        if events.offset.size + len(odd) < len(batch.offsets):
            raise AssertionError("events got lost")
        self._next_offset = batch.offsets[-1] + 1
        return []

    def on_idle(self) -> list[Record]:
        """Nobody waits."""
        return []

    def on_end(self) -> list[Record]:
        """That was all."""
        self.finished = True
        return []

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """The position only."""
        if self._next_offset == self._captured:
            return None
        self._captured = self._next_offset
        return Checkpoint([], pack(self._next_offset), self._next_offset)

    def restore(self, records: Any) -> int | None:
        """Begin at the beginning."""
        return None

    def gauges(self) -> dict[tuple[str, ...], float]:
        """Nothing is held."""
        return {}


def decode_only(stage: str, settings: Settings, partition: int) -> Any:
    """See `DecodeOnly`."""
    warm_up()
    return Metered(DecodeOnly(settings, partition), _meter())
