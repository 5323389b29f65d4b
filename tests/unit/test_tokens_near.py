"""Near prompts of different accounts."""

import numpy as np
import pytest
import token_tables

from streams.tokens.near import NearPrompts

LIFE_MS = 40_000
T = 1_789_030_800_000
BASE = 0x0123_4567_89AB_CDEF


def near(cap: int = 64, half: int = 1) -> NearPrompts:
    return NearPrompts(half, LIFE_MS, max_distance=3, bucket_cap=cap)


def match(found: NearPrompts, *items: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Show (SimHash, account, time) sightings; returns founder and its SimHash for each."""
    simhash, account, time = (np.array(column) for column in zip(*items, strict=True))
    founder, near_to, _ = token_tables.match(found, simhash.astype(np.uint64), account.astype(np.uint64), time + T)
    return list(zip(founder.tolist(), near_to.tolist(), strict=True))


def flipped(bits: int) -> int:
    return BASE ^ ((1 << bits) - 1)


@pytest.mark.parametrize(("bits", "expected"), [(0, (1, BASE)), (3, (1, BASE)), (4, (0, 0))])
def test_distance(bits, expected):
    """Up to three bits apart are near, four are not."""
    assert [(0, 0), expected] == match(near(), (BASE, 1, 0), (flipped(bits), 2, 1))


@pytest.mark.parametrize(("half", "expected"), [(0, (0, 0)), (1, (1, BASE))])
def test_half(half, expected):
    """Only those are compared whose half is the same."""
    assert [(0, 0), expected] == match(near(half=half), (BASE, 1, 0), (BASE ^ 1, 2, 1))


def test_the_nearest_is_found():
    """Of several the nearest counts, whoever came first."""
    found = near()
    match(found, (flipped(3), 1, 0), (flipped(3) ^ (0xF << 20), 2, 0), (BASE ^ (0xFF << 10), 3, 0))
    assert [(1, flipped(3))] == match(found, (flipped(2), 9, 5))


def test_life():
    """An entry that nobody matches ends after its life; one that is matched lives on."""
    found = near()
    match(found, (BASE, 1, 0))
    assert [(1, BASE)] == match(found, (BASE, 2, LIFE_MS))
    assert [(1, BASE)] == match(found, (BASE, 3, 2 * LIFE_MS))
    assert [(0, 0)] == match(found, (BASE, 4, 3 * LIFE_MS + 1_000))
    assert [(4, BASE)] == match(found, (BASE, 5, 3 * LIFE_MS + 1_001))


def test_cap():
    """A full bucket takes nothing more, but still finds what it holds."""
    found = near(cap=2)
    apart = [BASE, BASE ^ (0xFF << 8), BASE ^ (0xFF << 20)]
    match(found, *((simhash, i + 1, 0) for i, simhash in enumerate(apart)))
    assert [(1, BASE), (0, 0)] == match(found, (apart[0], 8, 1), (apart[2], 9, 1))
    assert 2 == len(found)


def test_growth_and_restore_change_nothing():
    """A table that grew, one that was restored from its rows, and a large one agree on every founder."""
    random = np.random.default_rng(2)
    n = 30_000
    base = random.integers(1, 2**32, 500, dtype=np.uint64) | np.uint64(1 << 40)
    simhash = base[random.integers(0, 500, n)] ^ (np.uint64(1) << random.integers(0, 32, n, dtype=np.uint64))
    account = random.integers(1, 300, n).astype(np.uint64)
    time = np.sort(random.integers(0, 6 * LIFE_MS, n)) + T
    expected = token_tables.match(near(cap=2_000), simhash, account, time)[:2]

    found, rows = near(cap=2_000), []
    founders = []
    for start in range(0, n, 700):
        part = slice(start, start + 700)
        *answer, stored = token_tables.match(found, simhash[part], account[part], time[part])
        founders.append(answer)
        rows.append(stored)
        if start % 2_100 == 0:
            found = near(cap=2_000)
            found.load(np.concatenate(rows))
    assert expected[0].tolist() == np.concatenate([founder for founder, _ in founders]).tolist()
    assert expected[1].tolist() == np.concatenate([near_to for _, near_to in founders]).tolist()
    assert np.count_nonzero(expected[0]) > n // 10


def test_a_flood_of_prompts_pushes_itself_out():
    """At the budget the oldest are forgotten, and counted."""
    found = NearPrompts(0, 10**9, max_distance=3, bucket_cap=64, max_bytes=200_000)
    for start in range(0, 50_000, 500):
        simhash = (np.arange(start, start + 500, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        token_tables.match(found, simhash, np.ones(500, np.uint64), np.full(500, T + 1_000 * start))
        assert found.nbytes <= 200_000
    assert 50_000 - len(found) == found.evicted_early
    assert 0 < len(found)
