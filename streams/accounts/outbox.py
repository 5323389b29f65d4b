"""What a batch of exchanges sends on, gathered as columns: sightings for tokens, signals for campaigns."""

from typing import Any

import numpy as np

from streams.accounts.clock import PartitionClock
from streams.accounts.columns import Events
from streams.accounts.lay_out import BLOCKS, SHOWN, WIDTH, lay_out
from streams.accounts.sightings import FirstSightings
from streams.config import Settings
from streams.contracts.packets import (
    NO_TIME,
    RUNNING,
    SIGHTING,
    SIGNAL,
    Introduction,
    Sightings,
    Signals,
    encode_packet,
)
from streams.operator import EVIDENCE, SIGHTINGS, Record
from streams.rows import joined


def _joined(parts: list[Any], dtype: Any) -> Any:
    return parts[0] if len(parts) == 1 else joined([np.empty(0, dtype), *parts])


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

    def add(self, events: Events, time: Any, kept: Any, taken: Any) -> None:
        """Lay out the accepted exchanges, those at the indices ``kept``; ``time`` is their effective time."""
        n = kept.size
        memories = list(zip(self._memories.values(), BLOCKS, strict=True))
        opened = [memory.open(n * (block.stop - block.start), time) for memory, block in memories]
        seen, pairs = np.empty((n, SHOWN), np.uint8), np.empty((n, SHOWN), np.uint64)
        signals, sightings = np.empty(n, SIGNAL), np.empty(n * WIDTH, SIGHTING)
        found, gained = lay_out(events.offset, time, events.rows, taken, kept, *opened, seen, pairs, signals, sightings)
        for (memory, block), more in zip(memories, gained.tolist(), strict=True):
            memory.close(more)
            if memory.durable:
                memory.log(seen[:, block], pairs[:, block], time[kept], signals["account"], signals["offset"])
        self._signals.append(signals)
        self._sightings.append(sightings[:found])

    @property
    def sightings(self) -> int:
        """How many wait to be sent."""
        return sum(part.size for part in self._sightings)

    @property
    def signals(self) -> int:
        """How many wait to be sent."""
        return sum(part.size for part in self._signals)

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
            part = sightings.compress(destination == i)
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
