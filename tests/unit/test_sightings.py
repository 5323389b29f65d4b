"""Which account has shown which token."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.accounts.lay_out import FIRST, KNOWN, RENEWED
from streams.accounts.sightings import ROW, FirstSightings

LIFE_MS = 400_000
T = 1_789_030_800_000


def memory(max_bytes: int = 1 << 30) -> FirstSightings:
    return FirstSightings(b"sx", LIFE_MS, max_bytes)


def see(seen: FirstSightings, pairs: list[int], times: list[int], start: int = 0) -> list[int]:
    n = len(pairs)
    time = np.array(times, np.int64) + T
    offsets = np.arange(start, start + n)
    return seen.see(np.array(pairs, np.uint64), time, np.array(pairs, np.uint64) % np.uint64(5), offsets).tolist()


def test_life_of_a_pair():
    """First, known, renewed after a quarter of its life, and first again when it was not seen for a life."""
    seen = memory()
    times = [0, 50_000, 100_000, 199_000, 200_000, 601_000]
    assert [FIRST, KNOWN, RENEWED, KNOWN, RENEWED, FIRST] == see(seen, [7] * 6, times)


def test_no_token():
    """0 is no pair and is never remembered."""
    seen = memory()
    assert [KNOWN, KNOWN] == see(seen, [0, 0], [0, 10 * LIFE_MS])
    assert 0 == len(seen)


def test_times_may_go_back():
    """An earlier sighting after a later one changes nothing."""
    assert [FIRST, KNOWN, KNOWN] == see(memory(), [7, 7, 7], [200_000, 0, 250_000])


def plain(pairs: list[int], times: list[int]) -> list[int]:
    """Say the rules with a dict."""
    last: dict[int, int] = {}
    out = []
    for pair, time in zip(pairs, times, strict=True):
        second, life = (time + T) // 1000, LIFE_MS // 1000
        age = second - last.get(pair, -(10**12))
        code = FIRST if age > life else RENEWED if age >= life // 4 else KNOWN
        if code != KNOWN:
            last[pair] = second
        out.append(code)
    return out


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5 * LIFE_MS)), max_size=300), st.integers(1, 50))
def test_like_a_dict(items, step):
    """Growing, forgetting and batches of any size give what a dict gives."""
    items.sort(key=lambda item: item[1])
    pairs, times = [pair for pair, _ in items], [time for _, time in items]
    seen = memory()
    found = []
    for i in range(0, len(items), step):
        found += see(seen, pairs[i : i + step], times[i : i + step], i)
    assert plain(pairs, times) == found


@pytest.mark.parametrize("step", [100, 7_000])
def test_a_table_that_grows_is_like_a_dict(step):
    """So it is when it has grown many times, in small steps and large."""
    random = np.random.default_rng(3)
    pairs = random.integers(1, 30_000, 100_000).tolist()
    times = np.sort(random.integers(0, LIFE_MS // 2, 100_000)).tolist()
    seen = memory()
    found = []
    for i in range(0, len(pairs), step):
        found += see(seen, pairs[i : i + step], times[i : i + step], i)
    assert plain(pairs, times) == found
    assert len(set(pairs)) == len(seen)


def test_pairs_that_are_crowded_at_the_end():
    """A search that comes to the last slot goes on at the first."""
    hashes = (np.arange(2**64 - 2_000 * 2**32, 2**64 - 1, 2**32, dtype=object)).tolist()
    odd = pow(0x9E3779B97F4A7C15, -1, 2**64)  # undoes what the table does to a pair
    pairs = [each * odd % 2**64 for each in hashes]
    seen = memory()
    assert {FIRST} == set(see(seen, pairs, [0] * 2_000))
    assert {KNOWN} == set(see(seen, pairs, [1_000] * 2_000))
    assert 2_000 == len(seen)


def test_table_grows_and_forgets():
    """Old pairs make room for new ones: the table holds about a life's worth, not all that ever was."""
    seen = memory()
    for i in range(60):
        first = 1 + i * 2_000
        assert {FIRST} == set(see(seen, list(range(first, first + 2_000)), [i * LIFE_MS] * 2_000, i * 2_000))
    assert len(seen) < 40_000
    assert 0 == seen.evicted_early


def test_budget():
    """A full budget forgets the older half early and says how many."""
    seen = memory(max_bytes=12 * 4_096)
    for i in range(10):
        see(seen, list(range(1 + i * 1_000, 1_001 + i * 1_000)), [i * 1_000] * 1_000, i * 1_000)
    assert seen.nbytes <= 12 * 4_096
    assert seen.evicted_early > 0
    assert [KNOWN] == see(seen, [9_500], [10_000])


def test_the_log_of_a_full_budget_is_bounded():
    """What was forgotten early leaves the state too, and a restore takes no more memory than the budget."""
    budget = 12 * 65_536
    seen, records = memory(budget), {}
    for i in range(60):
        see(seen, list(range(1 + i * 10_000, 10_001 + i * 10_000)), [i * 1_000] * 10_000, i * 10_000)
        for key, value in seen.checkpoint():
            records.pop(key, None)
            if value is not None:
                records[key] = value
    held = sum(map(len, records.values())) // ROW.itemsize
    assert len(seen) <= held < 200_000

    again = memory(budget)
    again.restore(records, lambda rows: rows["offset"] >= 0)
    assert again.nbytes <= budget
    assert [KNOWN, KNOWN] == see(again, [599_999, 595_001], [60_000, 60_000])


@pytest.mark.parametrize("upto", [0, 3, 500, 999])
def test_restore_covers_what_the_state_has_seen(upto):
    """Rows beyond what the restored state has seen are as if they had never been."""
    random = np.random.default_rng(1)
    pairs = (random.integers(1, 60, 1_000)).tolist()
    times = np.sort(random.integers(0, 3 * LIFE_MS, 1_000)).tolist()
    seen = memory()
    see(seen, pairs, times)
    segments = {key: value for key, value in seen.checkpoint() if value is not None}

    again = memory()
    again.restore(segments, lambda rows: rows["offset"] < upto)
    assert plain(pairs, times)[upto:] == see(again, pairs[upto:], times[upto:], upto)
