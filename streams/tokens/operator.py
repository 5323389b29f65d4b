"""Stage 2, keyed by token: who shares this token, and how many. Out: links."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from streams.config import Settings
from streams.contracts.packets import (
    ENDED,
    IDLE,
    LINK,
    NEAR_LOW,
    NO_TIME,
    RUNNING,
    SIGHTING,
    TAIL,
    TEMPLATE,
    Links,
    decode_sightings,
    encode_packet,
)  # fmt: skip
from streams.errors import StateError
from streams.operator import EVIDENCE, MARKER_KEY, Batch, Checkpoint, Record
from streams.rows import in_order
from streams.segments import SegmentLog
from streams.settings import maker
from streams.state import NO_MARKER, distrust, pack, seal, unpack, unseal
from streams.ticks import Position, TickBuffer
from streams.tokens import near, table
from streams.tokens.link import ITEMS_MAX, link

LINKS_SHARE = 2  # links take at most half of the largest record
REWRITE_ROWS = 100_000  # the log is rewritten when it holds four times the live rows and so many more ...
REWRITE_STEP_ROWS = 200_000  # ... with 7 MB of them in a checkpoint: a transaction of a whole table might take too long


class Marker(msgspec.Struct, array_like=True):
    """Where a restored partition goes on."""

    offset: int
    position: Position
    made_by: str = ""


class TokensOperator:
    """The tokens of one sightings partition. Acts in ticks; see `Operator` for the methods."""

    stage = "tokens"

    def __init__(self, settings: Settings, partition: int, durable: bool = True) -> None:
        """Make an operator; one that is not ``durable`` keeps nothing for checkpoints and takes none."""
        self.partition = partition
        self._durable = durable
        self.counters: dict[tuple[str, ...], int] = {}
        self._maker = maker(settings)
        limits, accounts = settings.tokens, settings.accounts
        self._links_most = max(1, settings.kafka.max_record_bytes // LINKS_SHARE // LINK.itemsize)
        self._ticks = TickBuffer(settings.kafka.request_partitions, settings.time.tick_ms)
        life = [accounts.infrastructure_ttl_ms] * TEMPLATE + [accounts.content_ttl_ms] * (TAIL + 1 - TEMPLATE)
        caps = [limits.degree_cap] * TEMPLATE + [limits.content_degree_cap] * (NEAR_LOW + 1 - TEMPLATE)
        self._table = table.TokenTable([*life, accounts.near_prompt_ttl_ms], caps, limits.max_bytes // 2)
        self._near = [
            near.NearPrompts(
                half, accounts.near_prompt_ttl_ms, limits.near_max_distance, limits.bucket_cap, limits.max_bytes // 4
            )
            for half in (0, 1)
        ]
        self._near_life_ms = accounts.near_prompt_ttl_ms
        self._table_log = SegmentLog(b"t", table.ROW)
        self._near_log = SegmentLog(b"n", near.ROW)
        self._changed: list[Any] = []  # tokens since the last checkpoint
        self._rewritten: tuple[int, Any] | None = None  # first new record, and the tokens that are still to be written
        self._told = (NO_TIME, RUNNING)  # watermark and status of the last record sent
        self._captured = -1

    @property
    def finished(self) -> bool:
        """All sources have ended and everything is acted on."""
        return self._ticks.ended and self._ticks.due() is None

    def _count(self, *key: str, n: int = 1) -> None:
        self.counters[key] = self.counters.get(key, 0) + n

    def on_batch(self, batch: Batch) -> list[Record]:
        """Take in packets of sightings; act on every tick that is complete."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                packet, items = decode_sightings(value or b"")
                if not 0 <= packet.source < len(self._ticks.sources):
                    raise ValueError(f"source partition {packet.source} is not configured")
            except ValueError:
                self._count("dead_letters", "broken_packet")
                self._ticks.next_offset = offset + 1
                continue
            self._ticks.add(offset, packet.source, packet.watermark, packet.last_time, packet.status, [items])
        self.counters["repeated_items",] = self._ticks.repeated
        self.counters["watermark_forced",] = self._ticks.forced
        return self._act()

    def on_idle(self) -> list[Record]:
        """Stages below the first never time out."""
        return []

    def on_end(self) -> list[Record]:
        """The end of input comes with the packets."""
        return []

    def _act(self) -> list[Record]:
        until = self._ticks.due()
        items = np.empty(0, LINK)
        if until is not None:
            taken = self._ticks.take(until)
            sightings = taken[0] if taken else np.empty(0, SIGHTING)
            # an account shows a token of a kind once with an exchange, so that nothing else can tell two apart
            place = sightings["count"].astype(np.uint64) << np.uint64(8) | sightings["kind"]
            order = in_order(sightings["time"], sightings["account"], place)
            items = self._link(sightings.take(order))
        done = self._ticks.done
        status = ENDED if self.finished else IDLE if self._ticks.quiet else RUNNING
        if (done, status) == self._told:
            return []
        (before, _), self._told = self._told, (done, status)
        self._count("links", n=items.size)
        # A source that was far behind lets many ticks go at once, and their links may be more than a record holds.
        # Only the last says how far this is, so that nothing is acted on before it is there.
        full = items.size // self._links_most * self._links_most
        parts = [items[at : at + self._links_most] for at in range(0, full, self._links_most)]
        out = [self._packet(before, RUNNING, part) for part in parts]
        return [*out, self._packet(done, status, items[full:])]

    def _packet(self, done: int, status: int, links: Any) -> Record:
        watermark = done + 1 if done != NO_TIME else NO_TIME
        return Record(EVIDENCE, 0, None, encode_packet(Links(self.partition, watermark, done, status, links.tobytes())))

    def _link(self, sightings: Any) -> Any:
        n = sightings.size
        self._count("events", "accepted", n=n)
        if not n:
            return np.empty(0, LINK)
        time, kind = sightings["time"], sightings["kind"]
        halves, near_ = (kind == NEAR_LOW, kind > NEAR_LOW), self._near
        low, high = (each.open(int(half.sum()), time) for each, half in zip(near_, halves, strict=True))
        out, changed, stored = np.empty(ITEMS_MAX * n, LINK), np.empty(n, np.uint64), np.zeros((n, 2), np.uint64)
        found, touched, gained = link(
            sightings, (low, high), near_[0].life_s, near_[0].distance, near_[0].cap, self._table.open(n, time),
            self._table.life_ms, self._table.caps, self._ticks.tick_ms, out, changed, stored,
        )  # fmt: skip
        tables: list[Any] = [*near_, self._table]
        for each, more in zip(tables, gained.tolist(), strict=True):
            each.close(more)
        if self._durable:
            self._changed.append(changed[:touched])
            for each, half in zip(near_, halves, strict=True):
                at = np.flatnonzero(half & (stored[:, 1] != 0))
                self._near_log.append(each.rows(time[at], stored[at, 0], stored[at, 1]))
        return out[:found]

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Rows that changed, as segments, and some of the others while the log is rewritten."""
        position = self._ticks.position()
        if position.offset == self._captured and not self._changed:
            return None
        self._captured = position.offset
        snapshots: list[tuple[bytes, bytes | None]] = []
        if self._changed:
            self._table_log.append(self._table.rows(np.concatenate(self._changed)))
            self._changed = []
        parts = [*self._rewrite(), *self._table_log.checkpoint(NO_TIME)]
        forgotten_ms = 1_000 * min(half.forgotten_s for half in self._near)
        parts += self._near_log.checkpoint(max(self._ticks.done - self._near_life_ms - 3_600_000, forgotten_ms))
        for key, rows in parts:
            snapshots.append((key, seal(rows) if rows is not None else None))
        return Checkpoint(snapshots, pack(Marker(position.offset, position, self._maker)), position.offset)

    def _rewrite(self) -> list[tuple[bytes, bytes | None]]:
        """Append the next rows of a log that has grown too long, as they are now; tombstones of old records at its end.

        What changes meanwhile is appended as well, and of several rows for a token the last counts.
        """
        log = self._table_log
        if self._rewritten is None:
            if log.rows <= 4 * len(self._table) + REWRITE_ROWS:
                return []
            self._rewritten = log.close(), self._table.tokens()
        first, left = self._rewritten
        log.append(self._table.rows(left[:REWRITE_STEP_ROWS]))
        left = left[REWRITE_STEP_ROWS:]
        self._rewritten = (first, left) if left.size else None
        return [] if left.size else log.drop(first)

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load the tables and the position."""
        with distrust(self.stage):
            return self._restore(records)

    def _restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        marker: Marker | None = None
        segments: dict[bytes, dict[bytes, bytes]] = {b"t": {}, b"n": {}}
        for key, value in records:
            if key == MARKER_KEY:
                marker = unpack(value, Marker)
            elif key[:1] in segments and key[1:].isdigit():
                segments[key[:1]][key] = unseal(value)
            else:
                raise StateError(f"the tokens state holds an unknown key {key[:40]!r}")
        if marker is None:
            if any(segments.values()):
                raise StateError(NO_MARKER.format(stage=self.stage))
            return None
        if marker.made_by not in ("", self._maker):
            self.counters["state_made_otherwise",] = 1
        self._table.load(self._table_log.restore(segments[b"t"]))
        rows = self._near_log.restore(segments[b"n"])
        for half in self._near:
            half.load(rows)
        self._ticks.restore(marker.position)
        return marker.offset

    def gauges(self) -> dict[tuple[str, ...], float]:
        """What is held."""
        early = self._table.evicted_early + sum(half.evicted_early for half in self._near)
        self.counters["tokens_evicted_early",] = early
        values: dict[tuple[str, ...], float] = {
            ("held", "tokens"): len(self._table),
            ("held", "shared_tokens"): self._table.shared,
            ("held", "near_prompts"): sum(map(len, self._near)),
            ("buffered_items",): len(self._ticks),
            ("state_bytes",): self._table.nbytes + sum(half.nbytes for half in self._near),
        }
        if self._ticks.done != NO_TIME:
            values["watermark_ms",] = self._ticks.done
        return values
