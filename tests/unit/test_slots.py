"""Where entries of packed hash tables go, and how large the tables are."""

import numpy as np
import pytest
import token_tables
from hypothesis import given
from hypothesis import strategies as st

from streams.accounts.sightings import FirstSightings
from streams.slots import LOAD, START_SLOTS, free_slots, home, room
from streams.tokens.near import NearPrompts
from streams.tokens.table import TokenTable

upper = st.integers(0, 2**32 - 1)


@given(upper, upper, st.integers(START_SLOTS, 2**31))
def test_home(one, other, slots):
    """A hash's place is in the table, and a greater hash's is no lower: entries keep their order as tables grow."""
    low, high = (home(np.uint64(each), slots) for each in sorted((one, other)))
    assert 0 <= low <= high < slots


@given(st.integers(0, 10**9))
def test_room(entries):
    """A table that was just made has room for a third more, and is half full unless it is the smallest."""
    slots = room(entries)
    assert entries * 1.3 <= slots * LOAD
    assert slots == START_SLOTS or slots * LOAD <= entries * 1.4 + 2


def test_free_slots():
    """All are zero, and can be written to."""
    table = free_slots(1_000, np.dtype([("a", "<u8"), ("b", "u1")]))
    assert (9_000, 1_000) == (table.nbytes, table.size)
    assert not table["a"].any()
    table["b"][-1] = 7
    assert 7 == table[-1]["b"]


def pairs(hashes, times):
    table = FirstSightings(b"sx", 10**9, 1 << 30, durable=False)
    for part in np.array_split(np.arange(hashes.size), 50):
        table.see(hashes[part], times[part], hashes[part], part)
    return table


def prompts(hashes, times):
    table = NearPrompts(1, 10**9, max_distance=3, bucket_cap=64)
    for part in np.array_split(np.arange(hashes.size), 50):
        token_tables.match(table, hashes[part], hashes[part], times[part])
    return table


def tokens(hashes, times):
    table = TokenTable([10**9], [500])
    for part in np.array_split(np.arange(hashes.size), 50):
        ones = np.ones(part.size, np.uint8)
        token_tables.absorb(table, hashes[part], hashes[part], times[part], ones, ones - np.uint8(1))
    return table


@pytest.mark.parametrize(("make", "most"), [(pairs, 17), (prompts, 34), (tokens, 44)])
@pytest.mark.parametrize("entries", [10_000, 100_000, 150_000])
def test_bytes_of_an_entry(make, most, entries):
    """However many there are, an entry takes no more than 1.7 times its own size."""
    random = np.random.default_rng(5)
    table = make(random.integers(1, 2**64, entries, dtype=np.uint64), np.full(entries, 1_789_030_800_000))
    assert entries == len(table)
    assert table.nbytes / entries <= most
