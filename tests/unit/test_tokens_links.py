"""What stage tokens sends on of many ticks at once."""

import msgspec
import numpy as np

from streams.config import Settings
from streams.contracts.packets import NETWORK, RUNNING, SIGHTING, Links, Sightings, decode_evidence, encode_packet
from streams.operator import Batch, Record
from streams.ticks import TickBuffer
from streams.tokens.operator import TokensOperator

ACCOUNTS, TOKENS = 50, 4
TICK_MS = 1000
START_MS = 1_700_000_000_000
LARGEST_BYTES = 2_000


def _sightings() -> bytes:
    """Return a second in which some accounts show the same few networks."""
    found = np.zeros(ACCOUNTS * TOKENS, SIGHTING)
    found["offset"] = np.arange(found.size)
    found["account"] = np.repeat(np.arange(1, ACCOUNTS + 1), TOKENS)
    found["count"] = 1
    found["token"] = np.tile(np.arange(1, TOKENS + 1), ACCOUNTS)
    found["kind"], found["first"], found["time"] = NETWORK, 1, START_MS + found["account"]
    return found.tobytes()


def _sent(largest_bytes: int) -> list[Record]:
    kafka = msgspec.structs.replace(Settings().kafka, request_partitions=1, max_record_bytes=largest_bytes)
    operator = TokensOperator(msgspec.structs.replace(Settings(), kafka=kafka), 0)
    packets = [
        Sightings(0, START_MS, START_MS, RUNNING, b""),
        Sightings(0, START_MS + 2 * TICK_MS, START_MS + TICK_MS, RUNNING, _sightings()),
    ]
    values: list[bytes | None] = [encode_packet(packet) for packet in packets]
    return operator.on_batch(Batch(0, [0], [None], values[:1])) + operator.on_batch(Batch(0, [1], [None], values[1:]))


def test_links_that_do_not_fit_into_one_record():
    """No record is too large, the same links come in the same order, and a reader acts once it has all of them."""
    whole, parts = _sent(4_000_000), _sent(LARGEST_BYTES)
    links = np.concatenate([decode_evidence(record.value)[1] for record in whole])
    buffer = TickBuffer(1, TICK_MS)
    due = []
    for offset, record in enumerate(parts):
        packet, items = decode_evidence(record.value)
        assert isinstance(packet, Links)
        buffer.add(offset, 0, packet.watermark, packet.last_time, packet.status, [items])
        due.append(buffer.due())

    assert len(whole) == 2
    assert ACCOUNTS * TOKENS == links.size
    assert len(parts) > 10
    assert all(len(record.value) <= LARGEST_BYTES for record in parts)
    assert {due[0]} == set(due[:-1])
    assert due[-1] is not None
    assert due[-1] > (due[0] or 0)
    assert links.tobytes() == buffer.take(due[-1])[0].tobytes()
    assert decode_evidence(parts[-1].value)[0].watermark == decode_evidence(whole[-1].value)[0].watermark
