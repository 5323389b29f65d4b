"""What a batch of exchanges sends on, gathered as columns: sightings for tokens, signals for campaigns."""

from typing import Any

import numpy as np

from streams.accounts import features
from streams.accounts.clock import PartitionClock
from streams.accounts.columns import COUNTRY, INFRASTRUCTURE, MODEL, Columns
from streams.accounts.sightings import FIRST, KNOWN, FirstSightings
from streams.accounts.table import Outcome
from streams.config import Settings
from streams.contracts.packets import (
    CLIENT,
    HEAD,
    NEAR_HIGH,
    NEAR_LOW,
    NETWORK,
    NO_TIME,
    RUNNING,
    SIGHTING,
    SIGNAL,
    SYSTEM,
    TAIL,
    TEMPLATE,
    Introduction,
    Sightings,
    Signals,
    encode_packet,
)
from streams.operator import EVIDENCE, SIGHTINGS, Record

CONTENT = (TEMPLATE, SYSTEM, HEAD, TAIL)
NEAR = (NEAR_LOW, NEAR_HIGH)
_KINDS = np.array(INFRASTRUCTURE + CONTENT + NEAR, np.uint8)
_SENT = _KINDS < MODEL
_BLOCKS = ((b"i", len(INFRASTRUCTURE)), (b"c", len(CONTENT)), (b"n", len(NEAR)))  # memory and its number of kinds
_NEW = [
    (INFRASTRUCTURE.index(kind), name)
    for name, kind in (("new_network", NETWORK), ("new_client", CLIENT), ("new_model", MODEL), ("new_country", COUNTRY))
]
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH_SALT = np.uint64(0xD6E8FEB86659FD93)


def pairs_of(accounts: Any, tokens: Any) -> Any:
    """Hash of (account, token) for each cell of (kinds, n) tokens; 0 where there is no token."""
    mixed = (accounts ^ (tokens * _MIX)) * _MIX
    mixed ^= mixed >> np.uint64(31)
    return np.where(tokens == 0, np.uint64(0), np.maximum(mixed, np.uint64(1)))


def near_buckets(simhashes: Any) -> Any:
    """Two buckets of a SimHash: its low and its high 32 bits (0 if it is not known)."""
    low = ((simhashes & _LOW) + np.uint64(1)) * _MIX
    high = ((simhashes >> np.uint64(32)) + np.uint64(1)) * _HIGH_SALT
    return np.where(simhashes == 0, np.uint64(0), np.stack([low, high]))


def _joined(parts: list[Any], dtype: Any) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])


class Outbox:
    """Columns of the batch at hand. `flush` turns them into one record per destination partition."""

    def __init__(self, settings: Settings, partition: int, memories: dict[bytes, FirstSightings]) -> None:
        self.introductions: list[Introduction] = []
        self._partition = partition
        self._destinations = settings.kafka.sighting_partitions
        self._tick_ms = settings.time.tick_ms
        self._memories = memories
        self._sightings: list[Any] = []
        self._signals: list[Any] = []
        self._sent_ticks = [NO_TIME] * (self._destinations + 1)
        self._status = RUNNING

    def add(self, found: Columns, offset: Any, time: Any, kept: Any, account: Any, taken: Outcome, learnt: Any) -> None:
        """Lay out the accepted exchanges, those at the indices ``kept``.

        ``account`` (hashes) and ``learnt`` (the bits that need its past) are of these alone.
        """
        output, count, gap = np.array(found.output, np.int64), taken.count, taken.gap_ms
        tokens, simhash, exact, bins = found.tokens, found.simhash, found.exact, found.bins
        if kept.size < offset.size:
            offset, time, output, tokens = offset[kept], time[kept], output[kept], tokens[:, kept]
            simhash, exact, bins, count, gap = simhash[kept], exact[kept], bins[kept], count[kept], gap[kept]
        tokens = np.concatenate([tokens, near_buckets(simhash)])
        seen = self._see(pairs_of(account, tokens), account, time, offset)

        signals = np.empty(offset.size, SIGNAL)
        signals["offset"], signals["time"], signals["account"], signals["count"] = offset, time, account, count
        signals["output_tokens"] = np.minimum(output, 2**32 - 1)
        signals["content"] = np.where(exact != 0, exact, simhash)
        for i, name in enumerate(("template", "system", "head", "tail"), len(INFRASTRUCTURE)):
            signals[name] = tokens[i]
        bins = bins | learnt
        bins |= features.put("gap", np.where(gap < 0, 15, np.minimum(features.log2_bin(gap // 1000), 14)))
        first = seen == FIRST
        known = count >= features.NOVELTY_FROM
        for row, name in _NEW:
            bins |= features.put(name, first[row] & known)
        bins |= features.put("new_template", first[len(INFRASTRUCTURE)])
        signals["bins"] = bins | features.put("new_near_prompt", first[-2])
        self._signals.append(signals)

        sent = (seen != KNOWN) & _SENT[:, None]
        event, kind = np.nonzero(sent.T)
        sightings = np.empty(event.size, SIGHTING)
        sightings["offset"], sightings["time"] = offset[event], time[event]
        sightings["account"], sightings["count"] = account[event], count[event]
        sightings["kind"], sightings["token"] = _KINDS[kind], tokens[kind, event]
        sightings["first"] = first[kind, event]
        sightings["simhash"] = np.where(_KINDS[kind] >= NEAR_LOW, simhash[event], np.uint64(0))
        self._sightings.append(sightings)

    @property
    def sightings(self) -> int:
        """How many wait to be sent."""
        return sum(part.size for part in self._sightings)

    @property
    def signals(self) -> int:
        """How many wait to be sent."""
        return sum(part.size for part in self._signals)

    def _see(self, pairs: Any, account: Any, time: Any, offset: Any) -> Any:
        seen = np.empty(pairs.shape, np.uint8)
        start = 0
        for letter, width in _BLOCKS:
            block = slice(start, start + width)
            columns = (np.tile(column, width) for column in (time, account, offset))
            seen[block] = self._memories[letter].see(pairs[block].ravel(), *columns).reshape(width, -1)
            start += width
        return seen

    def flush(self, clock: PartitionClock, status: int) -> list[Record]:
        """Return the records for tokens (one per partition) and campaigns, and start anew."""
        changed, self._status = status != self._status, status
        sightings = _joined(self._sightings, SIGHTING)
        signals = _joined(self._signals, SIGNAL)
        self._sightings, self._signals = [], []
        return self._packets(clock, status, sightings, signals, changed)

    def _packets(self, clock: PartitionClock, status: int, sightings: Any, signals: Any, changed: bool) -> list[Record]:
        """An empty record goes out only if a tick is over since the last one, or the status changed."""
        out = []
        watermark, last_time = clock.watermark, clock.last_time
        tick = (watermark - 1) // self._tick_ms  # the last one that is over, as those below see it
        destination = (sightings["token"] % np.uint64(self._destinations)).astype(np.int64)
        for i in range(self._destinations):
            part = sightings[destination == i]
            if part.size or changed or status != RUNNING or tick > self._sent_ticks[i]:
                self._sent_ticks[i] = tick
                packet = Sightings(self._partition, watermark, last_time, status, part.tobytes())
                out.append(Record(SIGHTINGS, i, None, encode_packet(packet)))
        if signals.size or changed or status != RUNNING or tick > self._sent_ticks[-1]:
            self._sent_ticks[-1] = tick
            introductions, self.introductions = self.introductions, []
            packet_ = Signals(self._partition, watermark, last_time, status, signals.tobytes(), introductions)
            out.append(Record(EVIDENCE, 0, None, encode_packet(packet_)))
        return out
