"""Bytes that were good once: damaged records, and state records that are sealed well but hold something else."""

from functools import cache
from random import Random
from typing import Any

import msgspec
from law_traffic import SETTINGS, by_partition, traffic
from list_broker import ListBroker

from streams.pipeline import make_operator
from streams.state import seal, unseal

STAGES = ("accounts", "tokens", "campaigns")
PIECES = [
    *(b'"', b"\\", b"{", b"}", b",", b":", b" ", b"\n", b"\0", b"\x7f", b"\x80", b"\xff", b"[", b"]", b"-", b"0", b"."),
    *(b"null", b"true", b"false", b"nul", b'"ip":', b'"client":{', b'"faults":[]', b"\\u0041", b"1e3", b"9" * 19),
    *(b'"text":"\\ud800"', b'"plan":null,', b'"model":"x",', b"255.1.2.3", b"::1", b"{}", b",,", b"x" * 250),
]
NUMBERS = (None, True, -1, 0, 3, 2**64 - 1, -(2**63), 0.5, float("nan"), 1e300, "", "x", b"", b"x", [], {})

Records = dict[bytes, bytes]


@cache
def stored() -> dict[str, Records]:
    """Return the committed state of one partition of each stage, halfway through the traffic."""
    lines = traffic()
    broker = ListBroker(SETTINGS, by_partition(lines[: len(lines) // 2]))
    broker.run(Random(5), most=400)
    for host in broker.hosts:
        host.checkpoint(None)
    return {host.stage: host.state for host in broker.hosts}


def restore(stage: str, records: Records) -> int | None:
    """Load records into a new operator."""
    return make_operator(stage, SETTINGS, 0).restore(iter(records.items()))


def spoiled(raw: bytes, random: Random) -> bytes:
    """Return a record with a few spans of it changed, dropped, doubled, moved or replaced."""
    for _ in range(random.randint(1, 4)):
        at, span = random.randint(0, len(raw)), random.choice([0, 1, 1, 2, 8, 64, 1_000])
        match random.randrange(6):
            case 0:
                raw = raw[:at] + random.choice(PIECES) + raw[at + span :]
            case 1:
                raw = raw[:at] + random.randbytes(random.randint(0, 4)) + raw[at + span :]
            case 2:
                raw = raw[:at] + raw[at : at + span] * random.choice([2, 3, 50]) + raw[at + span :]
            case 3:
                other = random.randint(0, len(raw))
                raw = raw[:at] + raw[other : other + span] + raw[at:]
            case 4 if at < len(raw):
                raw = raw[:at] + bytes([raw[at] ^ 1 << random.randrange(8)]) + raw[at + 1 :]
            case _:
                raw = raw[:at]
    return raw


def mutated(value: Any, random: Random) -> Any:
    """Return a decoded msgpack document with one part of it changed, dropped or doubled."""
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        how = random.random()
        if how < 0.1:
            return value[:at] + value[at + 1 :]
        if how < 0.2:
            return [*value, value[at]]
        return [*value[:at], mutated(value[at], random), *value[at + 1 :]]
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value, key=repr))
        return {**value, key: mutated(value[key], random)}
    if isinstance(value, bytes) and value and random.random() < 0.5:
        return value[: random.randrange(len(value))]
    return random.choice(NUMBERS)


def nonsense(stage: str, random: Random) -> Records:
    """Return a stage's state with one record that is sealed well and holds something else."""
    records = dict(stored()[stage])
    kinds: dict[bytes, list[bytes]] = {}
    for key in records:
        kinds.setdefault(key[:2] if key[:1] == b"s" else key[:1], []).append(key)
    key = random.choice(kinds[random.choice(sorted(kinds))])
    payload = unseal(records[key])
    try:
        document = mutated(msgspec.msgpack.decode(payload), random)
        records[key] = seal(msgspec.msgpack.encode(document))
    except (msgspec.DecodeError, UnicodeDecodeError):  # packed rows
        cut = random.randrange(len(payload))
        noise = random.randbytes(random.choice([0, 1, 8, 64]))
        records[key] = seal(payload[:cut] + noise + payload[cut + len(noise) :])
    return records
