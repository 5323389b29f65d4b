"""State bytes are untrusted: whatever a state topic holds, a restore succeeds or says why it does not."""

import os
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from law_traffic import SETTINGS, by_partition, traffic
from list_broker import ListBroker

from streams.errors import StateError
from streams.operator import MARKER_KEY
from streams.pipeline import make_operator
from streams.state import STATE_VERSION, seal, unseal

EXAMPLES = int(os.environ.get("STILLWATCH_LAW_EXAMPLES", "150"))  # more find more
STAGES = ("accounts", "tokens", "campaigns")
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
    return make_operator(stage, SETTINGS, 0).restore(iter(records.items()))


@pytest.mark.parametrize("stage", STAGES)
def test_stored_state_is_worth_it(stage):
    """A state has a marker, records of several kinds, and a place to go on from."""
    records = stored()[stage]
    assert MARKER_KEY in records
    assert len({key[:1] for key in records}) >= 3
    assert restore(stage, records) > 0


@pytest.mark.parametrize("stage", STAGES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_bytes(stage, data):
    """A flipped bit, a cut end or a newer version in any record is a `StateError`."""
    records = dict(stored()[stage])
    key = data.draw(st.sampled_from(sorted(records)))
    value = records[key]
    how = data.draw(st.sampled_from(["bit", "cut", "longer", "newer", "foreign", "empty"]))
    if how == "bit":
        at = data.draw(st.integers(0, len(value) * 8 - 1))
        if at // 8 == 3:  # the header's reserved byte
            at += 8
        damaged = bytearray(value)
        damaged[at // 8] ^= 1 << at % 8
        records[key] = bytes(damaged)
    else:
        records[key] = {
            "cut": value[: data.draw(st.integers(0, len(value) - 1))],
            "longer": value + b"\0",
            "newer": value[:2] + bytes([STATE_VERSION + 1]) + value[3:],
            "foreign": b'{"what": "is this"}',
            "empty": b"",
        }[how]
    with pytest.raises(StateError):
        restore(stage, records)


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
    return random.choice(
        [None, True, -1, 0, 3, 2**64 - 1, -(2**63), 0.5, float("nan"), 1e300, "", "x", b"", b"x", [], {}]
    )


@pytest.mark.parametrize("stage", STAGES)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_sealed_nonsense(stage, seed):
    """A record that is sealed well but holds something else is loaded or a `StateError`, and nothing worse."""
    random = Random(seed)
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
    with suppress(StateError):
        restore(stage, records)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("key", [b"", b"a\xff", b"zz", b"r", b"k\0", b"sx0", b"t-1", b"\0marker2"])
def test_unknown_keys(stage, key):
    """A key that no checkpoint writes is a `StateError`."""
    records = dict(stored()[stage])
    with pytest.raises(StateError):
        restore(stage, {**records, key: records[MARKER_KEY]})


@pytest.mark.parametrize("stage", STAGES)
def test_no_marker(stage):
    """State without its marker is a `StateError`, no state at all is a new partition."""
    records = {key: value for key, value in stored()[stage].items() if key != MARKER_KEY}
    assert restore(stage, {}) is None
    with pytest.raises(StateError):
        restore(stage, records)
