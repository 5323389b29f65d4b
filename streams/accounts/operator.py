"""Stage 1, keyed by account: decode, validate, drop duplicates, learn; sightings and signals out."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from streams.accounts.account import Account, AccountModels, AccountState
from streams.accounts.clock import PartitionClock
from streams.accounts.dead_letters import dead_letter
from streams.accounts.outbox import Outbox
from streams.accounts.sightings import FirstSightings
from streams.accounts.tokens_of import TokenHashes
from streams.config import Settings
from streams.contracts.fingerprint import fingerprint
from streams.contracts.hashing import hash32, hash64, partition_of
from streams.contracts.packets import ENDED, IDLE, NO_TIME, RUNNING, Introduction
from streams.contracts.request import Prompt, Rejected, RequestEvent, decode_request
from streams.errors import StateError
from streams.operator import MARKER_KEY, Batch, Checkpoint, Record
from streams.state import pack, seal, unpack, unseal

Item = tuple[int, bytes | None, RequestEvent, int]  # offset, key, event, hash of the account


class Marker(msgspec.Struct, array_like=True):
    """Where a restored partition goes on."""

    offset: int
    clock: tuple[int, int, list[tuple[int, int]]]
    settings: str


class AccountsOperator:
    """The accounts of one request partition.

    Acts at once: an account's events come from one partition, in order. See `Operator` for the methods.
    """

    stage = "accounts"

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = {}
        self._settings = settings
        self._limits = settings.accounts
        self._clock = PartitionClock(settings.time)
        self._hashes = TokenHashes()
        self._accounts: dict[str, Account] = {}
        half = self._limits.first_sightings_max_bytes // 4
        self._memories = {
            b"i": FirstSightings(b"si", self._limits.infrastructure_ttl_ms, half),
            b"c": FirstSightings(b"sc", self._limits.content_ttl_ms, 2 * half),
            b"n": FirstSightings(b"sn", self._limits.near_prompt_ttl_ms, half),
        }
        self._outbox = Outbox(settings, partition, self._memories)
        self._held: list[Item] = []  # before there is a watermark
        self._next_offset = 0
        self._dirty: dict[str, int] = {}  # account id -> offset that made it dirty, in that order
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
        out: list[Record] = []
        items: list[Item] = []
        max_bytes = self._limits.max_event_bytes
        for offset, key, value in zip(batch.offsets, batch.keys, batch.values, strict=True):
            event = decode_request(value, max_bytes)
            if isinstance(event, Rejected):
                self._count("events", "dead_letter")
                self._count("dead_letters", event.reason)
                out.append(dead_letter(self._settings, batch.partition, offset, key, value, event.reason))
                continue
            for name in event.faults:
                self._count("field_faults", name)
            items.append((offset, key, event, hash64(event.account_id.encode())))
        if batch.offsets:
            self._next_offset = batch.offsets[-1] + 1
        self._finished = False
        return out + self._take(items)

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
            out = self._take([])
        return out + self._outbox.flush(self._clock, status)

    def _take(self, items: list[Item]) -> list[Record]:
        clock = self._clock
        if clock.watermark == NO_TIME:
            for i, item in enumerate(items):
                self._held.append(item)
                if clock.begin(item[2].event_time, item[3]):
                    items = items[i + 1 :]
                    break
            else:
                return []
        if self._held:
            held, self._held = self._held, []
            self._cuts.append((held[0][0], PartitionClock(self._settings.time).dump()))
            self._events(held, clock.first_times([item[2].event_time for item in held]))
        if items:
            self._cuts.append((items[0][0], clock.dump()))
            late, far = clock.late, clock.far
            times = clock.effective([item[2].event_time for item in items], [item[3] for item in items])
            if clock.late > late:
                self._count("events", "late", n=clock.late - late)
            if clock.far > far:
                self._count("events", "far_ahead", n=clock.far - far)
            self._events(items, times)
        self._sweep()
        return self._outbox.flush(clock, RUNNING)

    def _events(self, items: list[Item], times: list[int]) -> None:
        accounts, outbox, hashes, dirty = self._accounts, self._outbox, self._hashes, self._dirty
        ttl, from_event, ring = self._limits.ttl_ms, self._limits.river_from_event, self._limits.dedupe_events
        accepted = duplicates = misrouted = 0
        for (offset, key, event, hash_), time in zip(items, times, strict=True):
            name = event.account_id
            account = accounts.get(name)
            if account is None or time - account.last_time > ttl:
                account = accounts[name] = Account(hash_)
                account.misrouted = partition_of(name, self._settings.kafka.request_partitions) != self.partition
            elif offset <= account.applied:
                continue
            digest = hash32(event.event_id.encode())
            if digest in account.recent:
                duplicates += 1
                continue
            count = account.count
            if count < ring:
                account.recent.append(digest)
            else:
                account.recent[count % ring] = digest
            gap_ms = time - account.last_time if count else -1
            account.applied = offset
            account.count = count = count + 1
            if time > account.last_time:
                account.last_time = time
            if name not in dirty:
                dirty[name] = offset
            if account.misrouted:
                misrouted += 1
            if key is None:
                self._count("misrouted", "missing_key")
            accepted += 1

            infrastructure = hashes.infrastructure(event)
            self._introduce(account, event, offset, time, infrastructure[4])
            prompt = event.prompt
            head = tail = exact = 0
            if prompt is not None and prompt.text is not None:
                prompt, head, tail, exact = with_fingerprints(prompt)
                event = msgspec.structs.replace(event, prompt=prompt)
            bits = account.vote(infrastructure[0], infrastructure[1])
            if count >= from_event:
                models = account.models
                if models is None:
                    models = account.models = AccountModels()
                elif gap_ms >= 0:
                    bits |= models.score_learn(gap_ms / 1000.0, event.output_tokens, event.input_tokens)
                bits |= 1 << 41
                if bits >> 36 & 1:
                    self._count("drift", "page_hinkley")
            content = hashes.content(event)
            outbox.add(offset, time, account, event, infrastructure, content, head, tail, exact, gap_ms, bits)
        self._count("events", "accepted", n=accepted)
        if duplicates:
            self._count("events", "duplicate", n=duplicates)
        if misrouted:
            self._count("events", "misrouted", n=misrouted)
            self._count("misrouted", "partition", n=misrouted)

    def _introduce(self, account: Account, event: RequestEvent, offset: int, time: int, mail: int) -> None:
        org = self._hashes.get(66, event.org_id)
        plan, created = event.plan or account.plan, event.account_created_at or account.created_at
        org, mail = org or account.org, mail or account.mail
        if account.count > 1 and (org, mail, plan, created) == (
            account.org, account.mail, account.plan, account.created_at,
        ):  # fmt: skip
            return
        account.org, account.mail, account.plan, account.created_at = org, mail, plan[:32], created
        self._outbox.introductions.append(
            Introduction(offset, time, account.hash, event.account_id, org, plan[:32], created, mail)
        )

    def _sweep(self) -> None:
        """Forget accounts unseen for their lifetime; an account that comes back is new whether or not it was swept."""
        watermark = self._clock.watermark
        if watermark - self._swept < self._limits.ttl_ms // 16:
            return
        self._swept = watermark
        oldest = watermark - self._limits.ttl_ms - self._settings.time.far_ahead_ms
        gone = [name for name, account in self._accounts.items() if account.last_time < oldest]
        for name in gone:
            del self._accounts[name]
            self._dirty.pop(name, None)
        self._gone += gone
        self._count("accounts_evicted", n=len(gone))

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Dirty accounts in first-dirty order, new first sightings, and the lowest offset that all of them cover."""
        if self._clock.watermark == NO_TIME or (self._next_offset == self._captured and not self._dirty):
            return None
        self._captured = self._next_offset
        names = list(self._dirty)[:max_keys]
        snapshots: list[tuple[bytes, bytes | None]] = [
            (b"a" + name.encode(), None) for name in self._gone if name not in self._accounts
        ]
        self._gone = []
        for name in names:
            snapshots.append((b"a" + name.encode(), pack(self._accounts[name].dump())))
            del self._dirty[name]
        for memory in self._memories.values():
            for key, rows in memory.checkpoint():
                snapshots.append((key, seal(rows) if rows is not None else None))
        lowest = next(iter(self._dirty.values()), None)
        offset, clock = self._next_offset, self._clock.dump()
        if lowest is not None:
            while len(self._cuts) > 1 and self._cuts[1][0] <= lowest:
                self._cuts.popleft()
            offset, clock = self._cuts[0]
        else:
            self._cuts.clear()
        marker = pack(Marker(offset, clock, ""))
        return Checkpoint(snapshots, marker, offset, more=bool(self._dirty))

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load accounts, first sightings and clock."""
        marker: Marker | None = None
        segments: dict[bytes, dict[bytes, bytes]] = {letter: {} for letter in self._memories}
        for key, value in records:
            if key == MARKER_KEY:
                marker = unpack(value, Marker)
            elif key[:1] == b"a":
                name = key[1:].decode()
                self._accounts[name] = Account.load(hash64(name.encode()), unpack(value, AccountState))  # type: ignore[arg-type]
            elif key[:1] == b"s" and key[1:2] in segments and key[2:].isdigit():
                segments[key[1:2]][key] = unseal(value)
            else:
                raise StateError(f"the accounts state holds an unknown key {key[:40]!r}")
        if marker is None:
            if self._accounts:
                raise StateError("the accounts state has accounts but no marker; delete the state topic to start anew")
            return None
        self._clock.load(marker.clock)
        self._next_offset = marker.offset
        hashes = np.array([a.hash for a in self._accounts.values()], np.uint64)
        applied = np.array([a.applied for a in self._accounts.values()], np.int64)
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

    def gauges(self) -> dict[tuple[str, ...], float]:
        """Watermark, and what is held."""
        held = sum(len(memory) for memory in self._memories.values())
        size = sum(memory.nbytes for memory in self._memories.values())
        early = sum(memory.evicted_early for memory in self._memories.values())
        self.counters["tokens_evicted_early",] = early
        values: dict[tuple[str, ...], float] = {
            ("held", "accounts"): len(self._accounts),
            ("held", "first_sightings"): held,
            ("state_bytes",): size,
        }
        if self._clock.watermark != NO_TIME:
            values["watermark_ms",] = self._clock.watermark
        return values


def with_fingerprints(prompt: Prompt) -> tuple[Prompt, int, int, int]:
    """Replace a prompt's text by its fingerprints (those that the gateway sent stand).

    Also returns the hashes of its head, of its tail, and of the whole text. What is too short to mean anything has none.
    """
    text = prompt.text or ""
    found = fingerprint(text)
    whole = found.as_prompt()
    sent = {
        name: value for name in Prompt.__struct_fields__ if name != "text" and (value := getattr(prompt, name)) is not None
    }
    exact = hash64(text.encode("utf-8", "surrogatepass"))
    return msgspec.structs.replace(whole, **sent), found.head_hash, found.tail_hash, exact
