"""Stage 2, keyed by token: who shares this token, and how many. Out: links."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from streams.config import Settings
from streams.contracts.hashing import hash64
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
    TICK_ITEMS_BITS,
    Links,
    decode_sightings,
    encode_packet,
)  # fmt: skip
from streams.errors import StateError
from streams.operator import EVIDENCE, MARKER_KEY, Batch, Checkpoint, Record
from streams.segments import SegmentLog
from streams.state import NO_MARKER, distrust, pack, seal, unpack, unseal
from streams.ticks import Position, TickBuffer
from streams.tokens import near, table

REWRITE_ROWS = 100_000  # the log is rewritten when it holds four times the live rows and so many more


class Marker(msgspec.Struct, array_like=True):
    """Where a restored partition goes on."""

    offset: int
    position: Position


class TokensOperator:
    """The tokens of one sightings partition. Acts in ticks; see `Operator` for the methods."""

    stage = "tokens"

    def __init__(self, settings: Settings, partition: int, durable: bool = True) -> None:
        """Make an operator; one that is not ``durable`` keeps nothing for checkpoints and takes none."""
        self.partition = partition
        self._durable = durable
        self.counters: dict[tuple[str, ...], int] = {}
        limits, accounts = settings.tokens, settings.accounts
        self._ticks = TickBuffer(settings.kafka.request_partitions, settings.time.tick_ms)
        life = [accounts.infrastructure_ttl_ms] * TEMPLATE + [accounts.content_ttl_ms] * (TAIL + 1 - TEMPLATE)
        caps = [limits.degree_cap] * TEMPLATE + [limits.content_degree_cap] * (NEAR_LOW + 1 - TEMPLATE)
        self._table = table.TokenTable([*life, accounts.near_prompt_ttl_ms], caps)
        self._near = [
            near.NearPrompts(half, accounts.near_prompt_ttl_ms, limits.near_max_distance, limits.bucket_cap)
            for half in (0, 1)
        ]
        self._near_life_ms = accounts.near_prompt_ttl_ms
        self._table_log = SegmentLog(b"t", table.ROW)
        self._near_log = SegmentLog(b"n", near.ROW)
        self._changed: list[Any] = []  # tokens since the last checkpoint
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
            order = np.lexsort(
                (sightings["token"], sightings["kind"], sightings["count"], sightings["account"], sightings["time"])
            )
            items = self._link(sightings[order])
        done = self._ticks.done
        status = ENDED if self.finished else IDLE if self._ticks.quiet else RUNNING
        if (done, status) == self._told:
            return []
        self._told = (done, status)
        self._count("links", n=items.size)
        packet = Links(self.partition, done + 1 if done != NO_TIME else NO_TIME, done, status, items.tobytes())
        return [Record(EVIDENCE, 0, None, encode_packet(packet))]

    def _link(self, sightings: Any) -> Any:
        self._count("events", "accepted", n=sightings.size)
        kind = sightings["kind"]
        token, account = sightings["token"].copy(), sightings["account"].copy()
        time, first = sightings["time"], sightings["first"]
        keep = np.ones(token.size, bool)
        if (at := np.flatnonzero(kind >= NEAR_LOW)).size:
            founder, founder_simhash = self._nearest(kind[at], sightings["simhash"][at], account[at], time[at])
            hit = (founder != 0) & (founder != account[at])
            keep[at] = hit
            if (found := at[hit]).size:
                # a token per half, so that which partition has which half cannot matter
                token[found] = [
                    hash64(near_to.to_bytes(8, "little"), seed=half + 1)
                    for near_to, half in zip(founder_simhash[hit].tolist(), kind[found].tolist(), strict=True)
                ]
                # the founder showed it before anybody else: put it in front, as an item of its own
                token, account, time, first, kind, keep = self._with_founders(
                    token, account, time, first, kind, keep, found, founder[hit]
                )
        token, account, time = token[keep], account[keep], time[keep]
        first, kind = first[keep], np.minimum(kind[keep], NEAR_LOW)
        code, degree, founder, founder_first = self._table.absorb(token, account, time, first, kind)
        if token.size and self._durable:
            self._changed.append(token)
        return self._items(token, account, time, kind, code, degree, founder, founder_first)

    def _nearest(self, kind: Any, simhash: Any, account: Any, time: Any) -> tuple[Any, Any]:
        founder, founder_simhash = np.zeros(kind.size, np.uint64), np.zeros(kind.size, np.uint64)
        for half, table_ in enumerate(self._near):
            at = np.flatnonzero(kind == NEAR_LOW + half)
            founder[at], founder_simhash[at], rows = table_.match(simhash[at], account[at], time[at])
            if self._durable:
                self._near_log.append(rows)
        return founder, founder_simhash

    @staticmethod
    def _with_founders(
        token: Any, account: Any, time: Any, first: Any, kind: Any, keep: Any, hits: Any, founders: Any
    ) -> tuple[Any, ...]:
        return (
            np.insert(token, hits, token[hits]),
            np.insert(account, hits, founders),
            np.insert(time, hits, time[hits]),
            np.insert(first, hits, 0),
            np.insert(kind, hits, kind[hits]),
            np.insert(keep, hits, True),
        )

    def _items(
        self, token: Any, account: Any, time: Any, kind: Any, code: Any, degree: Any, founder: Any, founder_first: Any
    ) -> Any:
        tick_ms = self._ticks.tick_ms
        at = np.flatnonzero(code)
        second = at[(code[at] == table.LINKED) & (degree[at] == 2)]
        out = np.empty(at.size + second.size, LINK)
        # the founder's item goes right before that of the second account
        place = np.arange(at.size) + np.searchsorted(second, at, side="right")
        ticks = -(-time[at] // tick_ms)
        for name, values in (
            ("token", token[at]), ("account", account[at]), ("first", time[at]), ("last", time[at]),
            ("degree", degree[at]), ("kind", kind[at]), ("time", ticks * tick_ms),
            ("member", code[at] != table.COUNTED),
        ):  # fmt: skip
            out[name][place] = values
        before = place[np.isin(at, second, assume_unique=True)] - 1
        out[before] = out[before + 1]
        out["account"][before] = founder[second]
        out["first"][before] = out["last"][before] = founder_first[second]
        tick = out["time"] // tick_ms
        starts = np.searchsorted(tick, tick, side="left")
        out["offset"] = (tick << TICK_ITEMS_BITS) | (np.arange(tick.size) - starts)
        return out

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Rows that changed since the last checkpoint, as segments."""
        position = self._ticks.position()
        if position.offset == self._captured and not self._changed:
            return None
        self._captured = position.offset
        snapshots: list[tuple[bytes, bytes | None]] = []
        if self._changed:
            self._table_log.append(self._table.rows(np.concatenate(self._changed)))
            self._changed = []
        if self._table_log.rows > 4 * len(self._table) + REWRITE_ROWS:
            parts = self._table_log.rewrite(self._table.all_rows())
        else:
            parts = self._table_log.checkpoint(NO_TIME)
        parts += self._near_log.checkpoint(self._ticks.done - self._near_life_ms - 3_600_000)
        for key, rows in parts:
            snapshots.append((key, seal(rows) if rows is not None else None))
        return Checkpoint(snapshots, pack(Marker(position.offset, position)), position.offset)

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
        self._table.load(self._table_log.restore(segments[b"t"]))
        rows = self._near_log.restore(segments[b"n"])
        for half in self._near:
            half.load(rows)
        self._ticks.restore(marker.position)
        return marker.offset

    def gauges(self) -> dict[tuple[str, ...], float]:
        """What is held."""
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
