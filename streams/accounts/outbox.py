"""What a batch of exchanges sends on, gathered as columns: sightings for tokens, signals for campaigns."""

from typing import Any

import numpy as np

from streams.accounts import features
from streams.accounts.account import Account
from streams.accounts.clock import PartitionClock
from streams.accounts.sightings import FIRST, KNOWN, FirstSightings
from streams.accounts.tokens_of import COUNTRY, MODEL
from streams.config import Settings
from streams.contracts.packets import (
    CLIENT,
    DEVICE,
    HEAD,
    MAIL,
    NEAR_HIGH,
    NEAR_LOW,
    NETWORK,
    NO_TIME,
    PAYMENT,
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
)  # fmt: skip
from streams.contracts.request import RequestEvent
from streams.operator import EVIDENCE, SIGHTINGS, Record

INFRASTRUCTURE = (NETWORK, CLIENT, PAYMENT, DEVICE, MAIL, MODEL, COUNTRY)
CONTENT = (TEMPLATE, SYSTEM, HEAD, TAIL)
NEAR = (NEAR_LOW, NEAR_HIGH)
_SENT = np.array([kind < MODEL for kind in INFRASTRUCTURE])
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)
_LOW = np.uint64(0xFFFFFFFF)
_HIGH_SALT = np.uint64(0xD6E8FEB86659FD93)


def pairs_of(accounts: Any, tokens: Any) -> Any:
    """Hash of (account, token) for each cell; 0 where there is no token."""
    mixed = (accounts[:, None] ^ (tokens * _MIX)) * _MIX
    mixed ^= mixed >> np.uint64(31)
    return np.where(tokens == 0, np.uint64(0), np.maximum(mixed, np.uint64(1)))


def near_buckets(simhashes: Any) -> Any:
    """Two buckets of a SimHash: its low and its high 32 bits (0 if it is not known)."""
    low = ((simhashes & _LOW) + np.uint64(1)) * _MIX
    high = ((simhashes >> np.uint64(32)) + np.uint64(1)) * _HIGH_SALT
    return np.where(simhashes[:, None] == 0, np.uint64(0), np.stack([low, high], axis=1))


class Outbox:
    """Columns of the batch at hand. `flush` turns them into one record per destination partition."""

    def __init__(self, settings: Settings, partition: int, memories: dict[bytes, FirstSightings]) -> None:
        self.introductions: list[Introduction] = []
        self._partition = partition
        self._destinations = settings.kafka.sighting_partitions
        self._tick_ms = settings.time.tick_ms
        self._memories = memories
        self._rows: list[tuple[Any, ...]] = []
        self._infrastructure: list[tuple[int, ...]] = []
        self._content: list[tuple[int, int, int, int]] = []
        self._sent_ticks = [NO_TIME] * (self._destinations + 1)
        self._status = RUNNING

    def add(
        self,
        offset: int,
        time: int,
        account: Account,
        event: RequestEvent,
        infrastructure: tuple[int, ...],
        content: tuple[int, int, int],
        head: int,
        tail: int,
        exact: int,
        gap_ms: int,
        bits: int,
    ) -> None:
        """Add one accepted exchange; ``bits`` are those that need the account's models."""
        prompt = event.prompt
        elicitation = grading = -1.0
        topic = 0
        if prompt is not None:
            if prompt.reasoning_elicitation is not None:
                elicitation = prompt.reasoning_elicitation
            if prompt.grading is not None:
                grading = prompt.grading
            if prompt.topic is not None:
                topic = features.TOPIC_CODES.get(prompt.topic, features.OTHER_TOPIC)
        bits |= features.outcome(event.status, event.refused) | topic << 8
        if event.turn == 1:
            bits |= 1 << 24
        if event.tools:
            bits |= 1 << 25
        if event.cache_read_tokens:
            bits |= 1 << 26
        self._rows.append(
            (offset, time, account.hash, account.count, event.output_tokens, event.input_tokens, content[2], bits,
             elicitation, grading, gap_ms, exact)
        )  # fmt: skip
        self._infrastructure.append(infrastructure)
        self._content.append((content[0], content[1], head, tail))

    def flush(self, clock: PartitionClock, status: int) -> list[Record]:
        """Return the records for tokens (one per partition) and campaigns, and start anew."""
        changed, self._status = status != self._status, status
        if not self._rows:
            return self._packets(clock, status, np.empty(0, SIGHTING), np.empty(0, SIGNAL), changed)
        offset, time, account, count, output, input_, simhash, bits, elicitation, grading, gap, exact = zip(
            *self._rows, strict=True
        )
        offsets, times = np.array(offset, np.int64), np.array(time, np.int64)
        accounts, counts = np.array(account, np.uint64), np.array(count, np.uint32)
        contents = np.array(simhash, np.uint64)
        tokens = np.hstack(
            [
                np.array(self._infrastructure, np.uint64),
                np.array(self._content, np.uint64),
                near_buckets(contents),
            ]
        )
        kinds = np.array(INFRASTRUCTURE + CONTENT + NEAR, np.uint8)
        pairs = pairs_of(accounts, tokens)
        seen = np.empty(tokens.shape, np.uint8)
        start = 0
        for letter, width in ((b"i", len(INFRASTRUCTURE)), (b"c", len(CONTENT)), (b"n", len(NEAR))):
            block = np.ascontiguousarray(pairs[:, start : start + width]).ravel()
            seen[:, start : start + width] = (
                self._memories[letter]
                .see(block, np.repeat(times, width), np.repeat(accounts, width), np.repeat(offsets, width))
                .reshape(-1, width)
            )
            start += width

        signals = np.empty(offsets.size, SIGNAL)
        signals["offset"], signals["time"], signals["account"], signals["count"] = offsets, times, accounts, counts
        signals["output_tokens"] = np.minimum(np.array(output, np.float64), 2**32 - 1).astype(np.uint32)
        whole = np.array(exact, np.uint64)
        signals["content"] = np.where(whole != 0, whole, contents)
        for i, name in enumerate(("template", "system", "head", "tail")):
            signals[name] = tokens[:, len(INFRASTRUCTURE) + i]
        signals["bins"] = self._bins(bits, output, input_, elicitation, grading, gap, seen)

        sent = seen != KNOWN
        sent[:, : len(INFRASTRUCTURE)] &= _SENT
        row, column = np.nonzero(sent)
        sightings = np.empty(row.size, SIGHTING)
        sightings["offset"], sightings["time"] = offsets[row], times[row]
        sightings["account"], sightings["count"] = accounts[row], counts[row]
        sightings["kind"], sightings["token"] = kinds[column], tokens[row, column]
        sightings["first"] = seen[row, column] == FIRST
        near = kinds[column] >= NEAR_LOW
        sightings["simhash"] = np.where(near, contents[row], np.uint64(0))
        self._rows, self._infrastructure, self._content = [], [], []
        return self._packets(clock, status, sightings, signals, changed)

    def _bins(self, bits: Any, output: Any, input_: Any, elicitation: Any, grading: Any, gap: Any, seen: Any) -> Any:
        bins = np.array(bits, np.uint64)
        gaps = np.array(gap, np.int64)
        bins |= features.put("output", features.log2_bin(np.array(output, np.float64)))
        bins |= features.put("input", features.log2_bin(np.array(input_, np.float64)))
        bins |= features.put("gap", np.where(gaps < 0, 15, np.minimum(features.log2_bin(gaps // 1000), 14)))
        bins |= features.put("elicitation", features.share_bin(np.array(elicitation)))
        bins |= features.put("grading", features.share_bin(np.array(grading)))
        models = np.array(self._infrastructure, np.uint64)[:, INFRASTRUCTURE.index(MODEL)]
        bins |= features.put("model", models & np.uint64(255))
        established = (bins >> np.uint64(features.LAYOUT["established"][0])) & np.uint64(1)
        for name, kind in (
            ("new_network", NETWORK), ("new_client", CLIENT), ("new_model", MODEL), ("new_country", COUNTRY),
        ):  # fmt: skip
            first = seen[:, INFRASTRUCTURE.index(kind)] == FIRST
            bins |= features.put(name, first & (established == 1))
        bins |= features.put("new_template", seen[:, len(INFRASTRUCTURE)] == FIRST)
        return bins | features.put("new_near_prompt", seen[:, -2] == FIRST)

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
