"""Stage 3: the graph of accounts and what they share, candidate groups, evidence, cases. One partition, in ticks.

Packets come in (`intake`), every tick is acted on (`singles`, `groups`), marks of event time bring what is done by the
clock (`pools`, `upkeep`), and what is decided leaves as revisions of cases (`publish`). All of it works on one state.
"""

from collections.abc import Callable, Iterable

from streams.campaigns import pivots
from streams.campaigns.groups import look
from streams.campaigns.intake import Tick, columns_of, take_in, ticks_of
from streams.campaigns.pools import (
    look_at_system_prompts,
    look_behind_proxies,
    look_for_relays,
    look_for_searches,
)
from streams.campaigns.reference import Reference
from streams.campaigns.singles import watch
from streams.campaigns.snapshot import Snapshot
from streams.campaigns.splits import divide
from streams.campaigns.state import HOUR_MS, CampaignsState
from streams.campaigns.upkeep import close_quiet, hourly, make_room
from streams.config import Settings
from streams.contracts.packets import NO_TIME, Signals, decode_evidence
from streams.operator import Batch, Checkpoint, Record
from streams.ticks import TickBuffer

MARK_MS = 120_000  # reselling pools are looked for every two minutes, which costs one pass over the table
POOLS_MS = 600_000  # pools behind proxies are looked for, and quiet cases closed, every ten minutes
ROOM_MS = 10_000  # how often is looked whether there are too many accounts: the look may take as long as a tick
IDLE_MARKS_MS = 45 * 86_400_000  # beyond the life of anything held


class CampaignsOperator:
    """All campaigns. Sources are the request partitions (signals), then the sightings partitions (links)."""

    stage = "campaigns"

    def __init__(self, settings: Settings, partition: int = 0) -> None:
        self.partition = partition
        self.settings = settings
        self._requests = settings.kafka.request_partitions
        self.ticks = TickBuffer(self._requests + settings.kafka.sighting_partitions, settings.time.tick_ms)
        self.state = CampaignsState(settings)
        self.counters = self.state.counters
        self.table, self.families, self.cases = self.state.table, self.state.families, self.state.cases
        self.active = NO_TIME  # end of the last tick that held anything
        self.marked = NO_TIME  # last mark that was acted on
        self._snapshot = Snapshot(self)
        self._on_restore: Callable[[bool], None] = lambda any_state: None

    def begin_with(self, reference: Reference, told: Callable[[bool], None] = lambda ignored: None) -> None:
        """Begin with this reference, before any input; `restore` replaces it if there is state.

        ``told(ignored)`` is called by `restore`, and says whether there was.
        """
        self.state.reference = reference
        self._on_restore = told

    @property
    def finished(self) -> bool:
        """All sources have ended and everything is acted on."""
        return self.ticks.ended and self.ticks.due() is None

    def on_batch(self, batch: Batch) -> list[Record]:
        """Take in packets of signals and links; act on every tick that is complete."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                packet, items = decode_evidence(value or b"")
                signals = isinstance(packet, Signals)
                source = packet.source if signals else self._requests + packet.source
                first, last = (0, self._requests) if signals else (self._requests, len(self.ticks.sources))
                if not first <= source < last:
                    raise ValueError(f"source partition {packet.source} is not configured")
            except ValueError:
                self.state.count("dead_letters", "broken_packet")
                self.ticks.next_offset = offset + 1
                continue
            columns = columns_of(packet, items)
            self.ticks.add(offset, source, packet.watermark, packet.last_time, packet.status, columns)
        self.counters["repeated_items",] = self.ticks.repeated
        self.counters["watermark_forced",] = self.ticks.forced
        until = self.ticks.due()
        if until is None:
            return []
        out: list[Record] = []
        if taken := self.ticks.take(until):
            for tick in ticks_of(taken, self.settings.time.tick_ms):
                out += self._marks(tick.end - 1)
                out += self._act(tick)
                if tick.end // ROOM_MS > self.active // ROOM_MS:
                    out += make_room(self.state, tick.end)
                self.active = tick.end
        return out + self._marks(until)

    def on_idle(self) -> list[Record]:
        """Stages below the first never time out."""
        return []

    def on_end(self) -> list[Record]:
        """The end of input comes with the packets."""
        return []

    def _act(self, tick: Tick) -> list[Record]:
        self.state.count("ticks")
        touched, rows = take_in(self.state, tick)
        out = watch(self.state, tick.end, tick.signals, rows) if tick.signals.size else []
        pivots.note(self.state, tick.signals, rows)
        return out + look(self.state, touched, tick.end)

    def _marks(self, until: int) -> list[Record]:
        """Act on every mark of event time up to ``until`` that is still to come.

        A mark comes after all ticks up to it and before those beyond, however batches are cut.
        """
        if self.marked == NO_TIME:
            self.marked = until // MARK_MS * MARK_MS
        out: list[Record] = []
        for mark in range(self.marked + MARK_MS, until + 1, MARK_MS):
            # long after the last exchange everything has expired: a clock that jumps by years must not stall
            if mark > self.active + IDLE_MARKS_MS:
                break
            out += look_for_relays(self.state, mark)
            out += look_for_searches(self.state, mark)
            out += pivots.tell(self.state, mark)
            if mark % POOLS_MS == 0:
                out += divide(self.state, mark)
                out += look_at_system_prompts(self.state, mark)
                out += look_behind_proxies(self.state, mark)
                out += close_quiet(self.state, mark)
            if mark % HOUR_MS == 0:
                out += hourly(self.state, mark)
        self.marked = max(self.marked, until // MARK_MS * MARK_MS)
        return out

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Everything that changed since the last checkpoint, as one cut."""
        return self._snapshot.take()

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load the state and the position."""
        offset = self._snapshot.restore(records)
        self._on_restore(offset is not None)
        return offset

    def gauges(self) -> dict[tuple[str, ...], float]:
        """What is held, and the health of the reference."""
        state = self.state
        for (category, severity, status), n in state.cases.counts.items():
            self.counters["alerts", category, severity, status] = n
        values: dict[tuple[str, ...], float] = {
            ("held", "accounts"): len(state.table),
            ("held", "shared_tokens"): len(state.shared.tokens),
            ("held", "clusters"): len(state.families.families),
            ("held", "cases_open"): len(state.cases.live()),
            ("buffered_items",): len(self.ticks),
            ("state_bytes",): state.table.nbytes,
            ("threshold_nats",): state.limit,
        }
        for segment, size in state.reference.sizes().items():
            values["reference_size", segment] = size
        for segment, age_ms in state.reference.ages_ms(self.ticks.done).items():
            values["reference_age_ms", segment] = age_ms
        if state.quarantined is not None:
            values["quarantine_share",] = state.quarantined
        if self.ticks.done != NO_TIME:
            values["watermark_ms",] = self.ticks.done
        return values
