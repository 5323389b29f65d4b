"""What an account takes in memory: before it has models, with them, and in stage campaigns."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from streams.bench.crowd import START_MS
from streams.bench.memory import resident_bytes
from streams.config import Settings
from streams.contracts.packets import Links, decode_evidence, encode_packet
from streams.operator import EVIDENCE, Batch, Operator

if TYPE_CHECKING:
    from streams.accounts.operator import AccountsOperator

BATCH_EVENTS = 2_000
STEP_MS = 1  # between two events
FEW, MANY = 4, 16  # events of each account; models come with the 8th

LINE = (
    b'{"event_id":"%d","event_time":%d,"account_id":"acct_%016x","plan":"pro","model":"m","status":200,'
    b'"input_tokens":300,"output_tokens":%d,"latency_ms":1494,"turn":1,"prompt":{"chars":304,'
    b'"reasoning_elicitation":0,"grading":0,"topic":"qa","language":"en"}}'
)


class Footprint(msgspec.Struct):
    """Bytes an account: what the process grew by, without what accounts have shown (first sightings, tokens)."""

    accounts: int
    few_events: float  # in stage accounts, before its 8th event
    with_models: float  # in stage accounts, once it has its River models
    campaigns: float


def footprint(accounts: int, settings: Settings) -> Footprint:
    """Feed so many accounts, all alike and with nothing to share, to stage accounts and stage campaigns."""
    from streams.accounts.operator import AccountsOperator
    from streams.campaigns.operator import CampaignsOperator
    from streams.pipeline import warm_up

    warm_up()
    kafka = msgspec.structs.replace(settings.kafka, request_partitions=1, sighting_partitions=1)
    limits = msgspec.structs.replace(settings.accounts, max_accounts=max(accounts, settings.accounts.max_accounts))
    settings = msgspec.structs.replace(settings, kafka=kafka, accounts=limits)
    evidence = _evidence(accounts, AccountsOperator(settings, 0, durable=False))
    before = _settled()
    last = CampaignsOperator(settings, 0)
    for start, value in enumerate(evidence):
        last.on_batch(Batch(0, range(2 * start, 2 * start + 2), [None, None], [value, _no_links(value)]))
    campaigns = _settled() - before
    del last, evidence
    before = _settled()
    first = AccountsOperator(settings, 0, durable=False)
    few = 0
    for n, batch in enumerate(_batches(accounts, MANY), 1):
        first.on_batch(batch)
        if n == accounts * FEW // BATCH_EVENTS:
            few = _settled() - before - _shown(first)
    many = _settled() - before - _shown(first)
    return Footprint(accounts, *(round(size / accounts, 1) for size in (few, many, campaigns)))


def _evidence(accounts: int, operator: Operator) -> list[bytes]:
    out = (record for batch in _batches(accounts, FEW) for record in operator.on_batch(batch))
    return [record.value for record in out if record.role == EVIDENCE]


def _batches(accounts: int, events: int) -> Iterator[Batch]:
    """Everybody's first event, then everybody's second, and so on."""
    for start in range(0, accounts * events, BATCH_EVENTS):
        numbers = range(start, start + BATCH_EVENTS)
        lines: list[bytes | None] = [
            LINE % (n, START_MS + n * STEP_MS, n % accounts * 0x9E3779B97F4A7C15 % 2**64, n % 997 + 1) for n in numbers
        ]
        yield Batch(0, numbers, [b"k"] * len(lines), lines)


def _no_links(signals: bytes) -> bytes:
    packet, _ = decode_evidence(signals)
    return encode_packet(Links(0, packet.watermark, packet.last_time, packet.status, b""))


def _shown(operator: "AccountsOperator") -> int:
    return sum(memory.nbytes for memory in operator._memories.values())


def _settled() -> int:
    """Return the memory of the process once what is free has been given back."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()


def text(found: Footprint) -> str:
    """Say it in a line."""
    return (
        f"{found.accounts:,} accounts, bytes of each: {found.few_events:,.0f} in stage accounts before its 8th event, "
        f"{found.with_models:,.0f} with its models; {found.campaigns:,.0f} in stage campaigns"
    )
