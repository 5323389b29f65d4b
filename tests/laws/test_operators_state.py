"""State bytes are untrusted: whatever a state topic holds, a restore succeeds or says why it does not."""

import os
from contextlib import suppress
from random import Random

import msgspec
import pytest
from damage import STAGES, nonsense, restore, stored
from hypothesis import given, settings
from hypothesis import strategies as st
from law_traffic import SETTINGS

from streams.errors import StateError
from streams.operator import MARKER_KEY
from streams.pipeline import make_operator
from streams.state import STATE_VERSION

EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "150"))  # more find more


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


@pytest.mark.parametrize("stage", STAGES)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_sealed_nonsense(stage, seed):
    """A record that is sealed well but holds something else is loaded or a `StateError`, and nothing worse."""
    records = nonsense(stage, Random(seed))
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
def test_other_settings(stage):
    """State that other settings made is used, and counted; those that decide no alert do not matter."""
    time = msgspec.structs.replace(SETTINGS.time, lateness_ms=SETTINGS.time.lateness_ms + 1)
    kafka = msgspec.structs.replace(SETTINGS.kafka, batch_max_events=7)
    for changed, expected in ((SETTINGS, 0), ({"time": time}, 1), ({"kafka": kafka}, 0)):
        chosen = SETTINGS if changed is SETTINGS else msgspec.structs.replace(SETTINGS, **changed)
        operator = make_operator(stage, chosen, 0)
        operator.restore(iter(stored()[stage].items()))
        assert expected == operator.counters.get(("state_made_otherwise",), 0)


@pytest.mark.parametrize("stage", STAGES)
def test_no_marker(stage):
    """State without its marker is a `StateError`, no state at all is a new partition."""
    records = {key: value for key, value in stored()[stage].items() if key != MARKER_KEY}
    assert restore(stage, {}) is None
    with pytest.raises(StateError):
        restore(stage, records)
