"""Three stages that only count: the smallest operators that need every promise of the runtime.

They tick in event time, pack their records, hold items back until every source has passed a tick, repeat output after a
restart and drop what others repeat. If a record is lost, read twice, reordered or restored wrongly, a count differs.
"""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from streams.config import Settings
from streams.contracts.hashing import partition_of
from streams.errors import StateError
from streams.operator import (
    ALERTS,
    DEAD_LETTERS,
    EVIDENCE,
    MARKER_KEY,
    SIGHTINGS,
    Batch,
    Checkpoint,
    Operator,
    Record,
)
from streams.state import pack, unpack

TOKENS = 40  # tokens that accounts share
NEVER = -(1 << 62)
ENDED = 1 << 62


class Event(msgspec.Struct):
    """The input: ``time`` in ms of event time; ``crash`` ends the worker that reads it, once (a file marks it done)."""

    account: str
    time: int
    crash: str = ""


class Packet(msgspec.Struct, array_like=True):
    """What travels between stages: who sends, how far it is, and items of (time, key, count, order)."""

    source: int
    watermark: int  # ENDED: nothing will follow, and the largest time is `last`
    last: int
    idle: bool
    items: list[tuple[int, str, int, int]]


_event = msgspec.json.Decoder(Event).decode
_packet = msgspec.msgpack.Decoder(Packet).decode
_encode = msgspec.msgpack.Encoder().encode


class CountingAccounts:
    """Count the events of each account; send each with its count to tokens and campaigns."""

    stage = "accounts"

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = defaultdict(int)
        self.finished = False
        self._settings = settings
        self._counts: dict[str, tuple[int, int]] = {}  # account -> events, applied offset
        self._dirty: dict[str, int] = {}  # account -> first offset not yet in a snapshot, in that order
        self._watermark = NEVER
        self._last = NEVER
        self._history: list[tuple[int, int, int]] = []  # offset, watermark and last time before it
        self._next = 0

    def on_batch(self, batch: Batch) -> list[Record]:
        records: list[Record] = []
        items: list[tuple[int, str, int, int]] = []
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            self._history.append((offset, self._watermark, self._last))
            self._next = offset + 1
            try:
                event = _event(value or b"")
            except msgspec.MsgspecError:
                self.counters["dead_letters", "broken_json"] += 1
                records.append(Record(DEAD_LETTERS, None, None, value or b"", (("offset", b"%d" % offset),)))
                continue
            if event.crash:
                crash_once(event.crash)
            count, applied = self._counts.get(event.account, (0, -1))
            effective = max(event.time, self._watermark)
            self._watermark = max(self._watermark, event.time - self._settings.time.lateness_ms)
            self._last = max(self._last, effective)
            if offset <= applied:
                self.counters["events", "applied before"] += 1
                continue  # its items were delivered before that snapshot was written
            self._counts[event.account] = (count + 1, offset)
            self._dirty.setdefault(event.account, offset)
            items.append((effective, event.account, count + 1, offset))
            self.counters["events", "accepted"] += 1
        return records + self._send(items, self._watermark)

    def _send(self, items: list[tuple[int, str, int, int]], watermark: int, idle: bool = False) -> list[Record]:
        shares: list[list[tuple[int, str, int, int]]] = [[] for _ in range(self._settings.kafka.sighting_partitions)]
        for item in items:
            token = token_of(item[1])
            shares[partition_of(token, len(shares))].append(item)
        packets = [Packet(self.partition, watermark, self._last, idle, share) for share in shares]
        records = [Record(SIGHTINGS, to, None, _encode(packet)) for to, packet in enumerate(packets)]
        return [
            *records,
            Record(EVIDENCE, 0, None, _encode(Packet(self.partition, watermark, self._last, idle, items))),
        ]

    def on_idle(self) -> list[Record]:
        return self._send([], self._watermark, idle=True)

    def on_end(self) -> list[Record]:
        self.finished = True
        return self._send([], ENDED)

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        if not self._history and not self._dirty:
            return None
        chosen = list(self._dirty)[:max_keys]
        snapshots = [(account.encode(), pack(self._counts[account])) for account in chosen]
        for account in chosen:
            del self._dirty[account]
        offset = min(self._dirty.values(), default=self._next)
        watermark, last = next(
            ((watermark, last) for at, watermark, last in self._history if at >= offset), (self._watermark, self._last)
        )
        self._history = [entry for entry in self._history if entry[0] >= offset]
        marker = pack((offset, watermark, last, self.finished))
        return Checkpoint(snapshots, marker, offset, bool(self._dirty))

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        found = dict(records)
        if (marker := found.pop(MARKER_KEY, None)) is None:
            if found:
                raise StateError("snapshots without a marker")
            return None
        self._next, self._watermark, self._last, self.finished = unpack(marker, tuple[int, int, int, bool])
        self._counts = {key.decode(): unpack(value, tuple[int, int]) for key, value in found.items()}
        return self._next

    def gauges(self) -> dict[tuple[str, ...], float]:
        gauges: dict[tuple[str, ...], float] = {("held", "accounts"): len(self._counts)}
        return gauges if self._watermark == NEVER else gauges | {("watermark_ms",): self._watermark}


def token_of(account: str) -> str:
    """The token that an account shows: a few accounts share each."""
    return f"token-{int(account.rsplit('-', 1)[1]) % TOKENS}"


class Ticking:
    """Hold items until all sources have passed a tick, then act on the tick in one order; count per key."""

    stage = ""

    def __init__(self, settings: Settings, partition: int, sources: int) -> None:
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = defaultdict(int)
        self._settings = settings
        self._tick_ms = settings.time.tick_ms
        self._watermarks = [NEVER] * sources
        self._lasts = [NEVER] * sources
        self._idle = [False] * sources
        self._ended = [False] * sources
        self._done = NEVER  # ticks that end here or before are done
        self._buffer: dict[int, dict[tuple[Any, ...], int]] = {}  # tick's end -> item -> input offset
        self._counts: dict[str, int] = {}
        self._dirty: dict[str, None] = {}
        self._next = 0
        self._changed = False
        self.finished = False

    def on_batch(self, batch: Batch) -> list[Record]:
        records = []
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            packet = _packet(value or b"")
            source, self._next, self._changed = packet.source, offset + 1, True
            for item in packet.items:
                tick = -(-item[0] // self._tick_ms) * self._tick_ms
                if tick <= self._done:
                    self.counters["items", "repeated"] += 1
                else:
                    self._buffer.setdefault(tick, {}).setdefault((source, *item), offset)
            self._idle[source] = packet.idle
            self._lasts[source] = max(self._lasts[source], packet.last)
            if packet.watermark == ENDED:
                self._ended[source] = True
            self._watermarks[source] = max(self._watermarks[source], packet.watermark)
            records += self._advance(offset)
        return records

    def _advance(self, offset: int) -> Iterator[Record]:
        if self.finished:
            return
        if all(self._ended):
            bound = -(-max(self._lasts) // self._tick_ms) * self._tick_ms
        else:
            waiting = zip(self._watermarks, self._ended, self._idle, strict=True)
            mark = min((mark for mark, ended, idle in waiting if not ended and not idle), default=max(self._watermarks))
            bound = (mark - 1) // self._tick_ms * self._tick_ms  # a source may still send items at its watermark
        for tick in sorted(tick for tick in self._buffer if tick <= bound):
            items = sorted(self._buffer.pop(tick), key=lambda item: (item[2], item[3], item[4], item[0]))
            self._done = tick
            yield from self.act(tick, items, offset)
        self._done = max(self._done, bound)
        self.finished = all(self._ended)
        yield from self.progress()

    def act(self, tick: int, items: Sequence[tuple[Any, ...]], offset: int) -> Iterator[Record]:
        """Do what the stage does with the items of a tick: each of the stages below has its own."""
        raise NotImplementedError

    def progress(self) -> Iterator[Record]:
        return iter(())

    def count(self, key: str) -> int:
        self._counts[key] = self._counts.get(key, 0) + 1
        self._dirty[key] = None
        return self._counts[key]

    def on_idle(self) -> list[Record]:
        return []

    def on_end(self) -> list[Record]:
        return []

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        if not self._changed:
            return None
        snapshots = [(key.encode(), pack(self._counts[key])) for key in self._dirty]
        self._dirty.clear()
        self._changed = False
        held = (offset for items in self._buffer.values() for offset in items.values())
        offset = min(held, default=self._next)
        state = (offset, self._done, self._watermarks, self._lasts, self._idle, self._ended, self.finished)
        return Checkpoint(snapshots, pack(state), offset)

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        found = dict(records)
        if (marker := found.pop(MARKER_KEY, None)) is None:
            return None
        state = unpack(marker, tuple[int, int, list[int], list[int], list[bool], list[bool], bool])
        self._next, self._done, self._watermarks, self._lasts, self._idle, self._ended, self.finished = state
        self._counts = {key.decode(): unpack(value, int) for key, value in found.items()}
        return self._next

    def gauges(self) -> dict[tuple[str, ...], float]:
        return {("held", "ticks"): len(self._buffer), ("held", "items"): sum(map(len, self._buffer.values()))}


class CountingTokens(Ticking):
    """Count the accounts' events by token; tell campaigns."""

    stage = "tokens"

    def __init__(self, settings: Settings, partition: int) -> None:
        super().__init__(settings, partition, settings.kafka.request_partitions)
        self._told = NEVER

    def act(self, tick: int, items: Sequence[tuple[Any, ...]], offset: int) -> Iterator[Record]:
        links = [(tick, token, self.count(token), offset) for token in (token_of(item[2]) for item in items)]
        source = self._settings.kafka.request_partitions + self.partition
        yield Record(EVIDENCE, 0, None, _encode(Packet(source, tick + 1, tick, False, links)))

    def progress(self) -> Iterator[Record]:
        """Tell how far this partition is; the end, after all of it."""
        source = self._settings.kafka.request_partitions + self.partition
        if self.finished:
            yield Record(EVIDENCE, 0, None, _encode(Packet(source, ENDED, max(self._lasts), False, [])))
        elif self._done > self._told:
            self._told = self._done
            idle = all(self._idle)
            yield Record(EVIDENCE, 0, None, _encode(Packet(source, self._done + 1, NEVER, idle, [])))


class CountingCampaigns(Ticking):
    """Alert on each tick: how many events and links it had, and the running total of each key."""

    stage = "campaigns"

    def __init__(self, settings: Settings, partition: int = 0) -> None:
        kafka = settings.kafka
        super().__init__(settings, partition, kafka.request_partitions + kafka.sighting_partitions)

    def act(self, tick: int, items: Sequence[tuple[Any, ...]], offset: int) -> Iterator[Record]:
        for key in sorted({item[2] for item in items}):
            found = [item[3] for item in items if item[2] == key]
            value = {"key": key, "tick": tick, "counts": found, "total": self.count(key)}
            headers = (("ce_id", f"{key}:{tick}".encode()), ("ce_time", _iso(tick)))
            yield Record(ALERTS, None, key.encode(), msgspec.json.encode(value), headers)


def _iso(time_ms: int) -> bytes:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat().encode()


def make_operator(stage: str, settings: Settings, partition: int) -> Operator:
    """Return the counting operator of a stage."""
    makers: Mapping[str, Any] = {
        "accounts": CountingAccounts,
        "tokens": CountingTokens,
        "campaigns": CountingCampaigns,
    }
    return makers[stage](settings, partition)


def make_hanging(stage: str, settings: Settings, partition: int) -> Operator:
    """Return operators whose first stage hangs in its first batch."""
    operator = make_operator(stage, settings, partition)
    if stage == "accounts":
        broken: Any = operator
        broken.on_batch = lambda batch: threading.Event().wait()
    return operator


def make_failing(stage: str, settings: Settings, partition: int) -> Operator:
    """Return operators whose first stage has a bug that shows in its first batch."""
    operator = make_operator(stage, settings, partition)
    if stage == "accounts":
        broken: Any = operator
        broken.on_batch = lambda batch: [1 // 0]
    return operator


def make_oversized(stage: str, settings: Settings, partition: int) -> Operator:
    """Return operators whose last stage sends alerts that no broker takes."""
    operator = make_operator(stage, settings, partition)
    if stage == "campaigns":
        huge = Record(ALERTS, None, b"key", bytes(2 * settings.kafka.max_record_bytes))
        broken: Any = operator
        broken.on_batch = lambda batch: [huge]
    return operator


def crash_once(path: str) -> None:
    """End this process as `kill -9` would, unless ``path`` says that it was done before."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class Golden(NamedTuple):
    """What an undisturbed run gives: the alerts in order, and what its state topics would hold without the markers."""

    alerts: list[Record]
    state: dict[str, dict[bytes, bytes]]


def replay(
    settings: Settings,
    logs: Mapping[int, Sequence[bytes]],
    make: Callable[[str, Settings, int], Operator] = make_operator,
    batch_events: int = 700,
) -> Golden:
    """Run the three stages in this process over the input's partitions."""
    kafka = settings.kafka
    alerts: list[Record] = []
    accounts = [make("accounts", settings, each) for each in range(kafka.request_partitions)]
    tokens = [make("tokens", settings, each) for each in range(kafka.sighting_partitions)]
    campaigns = make("campaigns", settings, 0)
    offsets: dict[tuple[str, int], int] = defaultdict(int)

    def deliver(records: Iterable[Record]) -> None:
        for record in records:
            if record.role == ALERTS:
                alerts.append(record)
            elif record.role in (SIGHTINGS, EVIDENCE):
                partition = record.partition or 0
                offset = offsets[record.role, partition]
                offsets[record.role, partition] += 1
                operator = tokens[partition] if record.role == SIGHTINGS else campaigns
                deliver(operator.on_batch(Batch(partition, [offset], [record.key], [record.value])))

    longest = max(map(len, logs.values()), default=0)
    for start in range(0, longest, batch_events):
        for partition, values in logs.items():
            if part := values[start : start + batch_events]:
                end = start + len(part)
                deliver(accounts[partition].on_batch(Batch(partition, range(start, end), [None] * len(part), part)))
    for operator in accounts:
        deliver(operator.on_end())
    state = {}
    for operator in (*accounts, *tokens, campaigns):
        checkpoint = operator.checkpoint()
        snapshots = checkpoint.snapshots if checkpoint else []
        state[f"{operator.stage}/{operator.partition}"] = {key: value for key, value in snapshots if value is not None}
    return Golden(alerts, state)
