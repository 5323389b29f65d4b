"""Stage 1, keyed by account: decode, validate, drop duplicates, learn; sightings and signals out."""

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streams.accounts.clock import PartitionClock
from streams.accounts.columns import NO_EVENTS, Events, Reader
from streams.accounts.dead_letters import dead_letter
from streams.accounts.habits import ACCEPTED, DUPLICATE
from streams.accounts.outbox import Outbox
from streams.accounts.sightings import FirstSightings
from streams.accounts.table import AccountTable
from streams.config import Settings
from streams.contracts.packets import ENDED, IDLE, NO_TIME, RUNNING, Introduction
from streams.contracts.request import Rejected
from streams.errors import StateError
from streams.operator import MARKER_KEY, Batch, Checkpoint, Record
from streams.settings import maker
from streams.state import NO_MARKER, distrust, pack, seal, unpack, unseal

PLANS = 1_000  # names of plans that are remembered without a look at who still has them


class AccountState(NamedTuple):
    """An account's record: row, ids of its last events, plan, and its models with the events that wait for them."""

    row: bytes
    ids: bytes
    plan: str
    habits: tuple[list[Any], bytes] | None  # from its 8th event on


class Marker(msgspec.Struct, array_like=True):
    """Where a restored partition goes on."""

    offset: int
    clock: tuple[int, int, list[tuple[int, int]]]
    made_by: str = ""


class AccountsOperator:
    """The accounts of one request partition.

    Acts at once: an account's events come from one partition, in order. See `Operator` for the methods.
    """

    stage = "accounts"

    def __init__(self, settings: Settings, partition: int, durable: bool = True) -> None:
        """Make an operator; one that is not ``durable`` keeps nothing for checkpoints and takes none."""
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = {}
        self._settings = settings
        self._maker = maker(settings)
        self._limits = settings.accounts
        self._clock = PartitionClock(settings.time)
        self._durable = durable
        self._reader = Reader(self._limits.max_event_bytes)
        self._table = AccountTable(settings.accounts.dedupe_events, settings.accounts.river_from_event)
        self._plans: dict[int, str] = {0: ""}  # names by token
        self._plans_max = PLANS
        half = self._limits.first_sightings_max_bytes // 4
        self._memories = {
            b"i": FirstSightings(b"si", self._limits.infrastructure_ttl_ms, half, durable),
            b"c": FirstSightings(b"sc", self._limits.content_ttl_ms, 2 * half, durable),
            b"n": FirstSightings(b"sn", self._limits.near_prompt_ttl_ms, half, durable),
        }
        self._outbox = Outbox(settings, partition, self._memories)
        self._held = NO_EVENTS  # before there is a watermark
        self._next_offset = 0
        self._dirty: dict[int, int] = {}  # row -> offset that made it dirty, in that order
        self._gone: list[str] = []  # evicted since the last checkpoint
        self._cuts: deque[tuple[int, Any]] = deque()  # (first offset, clock) of the batches since the last commit
        self._swept = NO_TIME
        self._captured = -1  # next offset at the last checkpoint
        self._finished = False

    @property
    def finished(self) -> bool:
        """The end of input was declared."""
        return self._finished

    def _count(self, *key: str, n: int = 1) -> None:
        self.counters[key] = self.counters.get(key, 0) + n

    def on_batch(self, batch: Batch) -> list[Record]:
        """Take in records of the request topic; returns sightings, signals and dead letters."""
        events, odd = self._reader.read(batch.offsets, batch.values)
        out: list[Record] = []
        missing = batch.keys.count(None)
        for i, event in odd:
            if isinstance(event, Rejected):
                self._count("events", "dead_letter")
                self._count("dead_letters", event.reason)
                place = (batch.partition, batch.offsets[i], batch.keys[i], batch.values[i])
                out.append(dead_letter(self._settings, *place, event.reason))
                missing -= batch.keys[i] is None
            else:
                for name in event.faults:
                    self._count("field_faults", name)
        if missing:
            self._count("misrouted", "missing_key", n=missing)
        if batch.offsets:
            self._next_offset = batch.offsets[-1] + 1
        self._finished = False
        return out + self._take(events)

    def on_idle(self) -> list[Record]:
        """Let the stages below go on without this partition."""
        return self._quiet(IDLE)

    def on_end(self) -> list[Record]:
        """Declare the end of input."""
        self._finished = True
        return self._quiet(ENDED)

    def _quiet(self, status: int) -> list[Record]:
        out = []
        if self._clock.watermark == NO_TIME:
            self._clock.confirm()
            out = self._take(NO_EVENTS)
        return out + self._flush(status)

    def _take(self, events: Events) -> list[Record]:
        clock = self._clock
        if clock.watermark == NO_TIME or self._held.offset.size:
            held = self._held.and_(events)
            begin = self._held.offset.size
            for time, account in zip(events.rows["time"].tolist(), events.rows["account"].tolist(), strict=True):
                if clock.watermark != NO_TIME:
                    break
                clock.begin(time, account)
                begin += 1
            if clock.watermark == NO_TIME:
                self._held = held
                return []
            self._held = NO_EVENTS
            self._cut(int(held.offset[0]), PartitionClock(self._settings.time))
            far = clock.far
            times = clock.first_times(held.rows["time"][:begin])
            if clock.far > far:
                self._count("events", "far_ahead", n=clock.far - far)
            if begin < held.offset.size:
                times = np.concatenate([times, self._times(held.part(begin, None))])
            self._events(held, times)
        elif events.offset.size:
            self._events(events, self._times(events))
        self._sweep()
        return self._flush(RUNNING)

    def _flush(self, status: int) -> list[Record]:
        outbox = self._outbox
        self._count("sightings", n=outbox.sightings)
        self._count("signals", n=outbox.signals)
        return outbox.flush(self._clock, status)

    def _cut(self, offset: int, clock: PartitionClock) -> None:
        if self._durable:
            self._cuts.append((offset, clock.dump()))

    def _times(self, events: Events) -> Any:
        clock = self._clock
        self._cut(int(events.offset[0]), clock)
        late, far = clock.late, clock.far
        times = clock.effective(events.rows["time"], events.rows["account"])
        if clock.late > late:
            self._count("events", "late", n=clock.late - late)
        if clock.far > far:
            self._count("events", "far_ahead", n=clock.far - far)
        return times

    def _events(self, events: Events, time: Any) -> None:
        table = self._table
        at = table.find(events)
        taken = table.take(at, time, events, self._limits.ttl_ms)
        if self._durable:
            for row in at[taken["newly_dirty"] == 1].tolist():
                self._dirty[row] = int(table.dirty_at[row])
        kept = np.flatnonzero(taken["outcome"] == ACCEPTED)
        partition = (events.rows["murmur"] & 0x7FFFFFFF) % self._settings.kafka.request_partitions
        misrouted = int(np.count_nonzero(partition[kept] != self.partition))
        self._introduce(events, at, time, taken)
        table.habits.learn(at, events.rows, taken)
        for n, keys in (
            (kept.size, (("events", "accepted"),)),
            (int(np.count_nonzero(taken["outcome"] == DUPLICATE)), (("events", "duplicate"),)),
            (misrouted, (("events", "misrouted"), ("misrouted", "other_partition"))),
            (int(np.count_nonzero(taken["bits"] >> np.uint64(36) & np.uint64(1))), (("drift", "page_hinkley"),)),
        ):
            if n:
                for key in keys:
                    self._count(*key, n=n)
        if kept.size:
            self._outbox.add(events, time, kept, taken)

    def _introduce(self, events: Events, at: Any, time: Any, taken: Any) -> None:
        """Say who an account is: with its first event, and when what it says of itself changes."""
        table, rows = self._table, events.rows
        for i in np.flatnonzero(taken["introduced"] == 1).tolist():
            row = int(at[i])
            plan = int(rows["plan"][i])
            if plan and plan not in self._plans:
                self._plans[plan] = events.plan(i)
            who = (int(table.hashes[row]), table.name(row))
            org, mail, created = (int(taken[name][i]) for name in ("org", "mail", "created_at"))
            known = self._plans[int(taken["plan"][i])]
            self._outbox.introductions.append(
                Introduction(int(events.offset[i]), int(time[i]), *who, org, known, created, mail)
            )

    def _sweep(self) -> None:
        """Forget accounts unseen for their lifetime; an account that comes back is new whether or not it was swept."""
        if len(self._plans) > self._plans_max:
            self._forget_plans()
        if (more := len(self._table) - self._limits.max_accounts) > 0:
            self._forget(self._table.least(more + self._limits.max_accounts // 8), "accounts_evicted_early")
        watermark = self._clock.watermark
        if watermark - self._swept >= self._limits.ttl_ms // 16:
            self._swept = watermark
            oldest = watermark - self._limits.ttl_ms - self._settings.time.far_ahead_ms
            self._forget(self._table.unseen_since(oldest), "accounts_evicted")

    def _forget(self, rows: list[int], counter: str) -> None:
        if self._durable:
            for row in rows:
                self._dirty.pop(row, None)
            self._gone += self._table.remove(rows)
        else:
            self._table.remove(rows)
        self._count(counter, n=len(rows))
        self._forget_plans()

    def _forget_plans(self) -> None:
        """Forget names of plans that no account has."""
        plans = set(np.unique(self._table.rows["plan"]).tolist())
        self._plans = {token: name for token, name in self._plans.items() if token in plans or not token}
        self._plans_max = max(PLANS, 2 * len(self._plans))

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Dirty accounts in first-dirty order, new first sightings, and the lowest offset that all of them cover.

        No more than ``max_keys`` evicted accounts either: a jump of the clock may evict all. One that is restored since
        its tombstone has to wait is too old to count.
        """
        if self._held.offset.size or (self._next_offset in (0, self._captured) and not (self._dirty or self._gone)):
            return None
        self._captured = self._next_offset
        rows = list(self._dirty)[:max_keys]
        table, plans = self._table, self._plans
        snapshots: list[tuple[bytes, bytes | None]] = [
            (b"a" + name.encode(), None) for name in self._gone[:max_keys] if not table.knows(name)
        ]
        self._gone = self._gone[len(self._gone) if max_keys is None else max_keys :]
        for row in rows:
            state = (*table.dump(row), plans[int(table.rows["plan"][row])], table.habits.dump(row))
            snapshots.append((b"a" + table.name(row).encode(), pack(state)))
            del self._dirty[row]
        table.dirty_at[rows] = -1
        for memory in self._memories.values():
            for key, segment in memory.checkpoint():
                snapshots.append((key, seal(segment) if segment is not None else None))
        lowest = next(iter(self._dirty.values()), None)
        offset, clock = self._next_offset, self._clock.dump()
        if lowest is not None:
            while len(self._cuts) > 1 and self._cuts[1][0] <= lowest:
                self._cuts.popleft()
            offset, clock = self._cuts[0]
        else:
            self._cuts.clear()
        marker = pack(Marker(offset, clock, self._maker))
        return Checkpoint(snapshots, marker, offset, more=bool(self._dirty or self._gone))

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load accounts, first sightings and clock."""
        with distrust(self.stage):
            return self._restore(records)

    def _restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        marker: Marker | None = None
        segments: dict[bytes, dict[bytes, bytes]] = {letter: {} for letter in self._memories}
        for key, value in records:
            if key == MARKER_KEY:
                marker = unpack(value, Marker)
            elif key[:1] == b"a":
                self._load(key[1:].decode(), unpack(value, AccountState))
            elif key[:1] == b"s" and key[1:2] in segments and key[2:].isdigit():
                segments[key[1:2]][key] = unseal(value)
            else:
                raise StateError(f"the accounts state holds an unknown key {key[:40]!r}")
        if marker is None:
            if len(self._table) or any(segments.values()):
                raise StateError(NO_MARKER.format(stage=self.stage))
            return None
        if marker.made_by not in ("", self._maker):
            self._count("state_made_otherwise")
        self._clock.load(marker.clock)
        self._next_offset = marker.offset
        used = self._table.rows["count"] > 0
        hashes, applied = self._table.hashes[used], self._table.rows["applied"][used]
        order = np.argsort(hashes)
        hashes, applied = hashes[order], applied[order]

        def covered(rows: Any) -> Any:
            where = np.minimum(np.searchsorted(hashes, rows["account"]), max(0, hashes.size - 1))
            known = hashes[where] == rows["account"] if hashes.size else np.zeros(rows.size, bool)
            upto = np.where(known, applied[where], -1) if hashes.size else np.full(rows.size, -1)
            return rows["offset"] <= np.maximum(upto, marker.offset - 1)

        for letter, memory in self._memories.items():
            memory.restore(segments[letter], covered)
        return marker.offset

    def _load(self, name: str, state: AccountState) -> None:
        row_bytes, ids_bytes, plan, habits = state
        row = self._table.load(name, row_bytes, ids_bytes)
        if plan:
            self._plans[int(self._table.rows["plan"][row])] = plan
        if habits is not None:
            self._table.habits.load(row, *habits)

    def gauges(self) -> dict[tuple[str, ...], float]:
        """Watermark, and what is held."""
        held = sum(len(memory) for memory in self._memories.values())
        size = self._table.nbytes + sum(memory.nbytes for memory in self._memories.values())
        early = sum(memory.evicted_early for memory in self._memories.values())
        self.counters["tokens_evicted_early",] = early
        values: dict[tuple[str, ...], float] = {
            ("held", "accounts"): len(self._table),
            ("held", "first_sightings"): held,
            ("state_bytes",): size,
        }
        if self._clock.watermark != NO_TIME:
            values["watermark_ms",] = self._clock.watermark
        return values
