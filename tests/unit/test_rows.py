"""Structured arrays as whole rows: what the quick ways give is what numpy's own give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streams.contracts.packets import SIGNAL
from streams.rows import SAME_TIME_MAX, in_order, joined

FEW = st.integers(0, 3)
KEYS = st.lists(st.tuples(FEW, FEW, FEW), max_size=3 * SAME_TIME_MAX)


def columns(items):
    """Time and two more keys."""
    time, second, third = np.array(items, np.int64).reshape(-1, 3).T
    return time, second.astype(np.uint64), third.astype(np.uint64)


@given(KEYS)
def test_the_order_is_that_of_lexsort(items):
    """Ties of all three keys stay as they came, however many items have one time."""
    time, second, third = columns(items)

    assert np.lexsort((third, second, time)).tolist() == in_order(time, second, third).tolist()


@pytest.mark.parametrize("n", [SAME_TIME_MAX, SAME_TIME_MAX + 1, 10_000])
def test_a_flood_of_one_time_is_sorted_as_well(n):
    """Late events all get the watermark as their time; an order by insertion would take seconds."""
    second = np.arange(n, 0, -1).astype(np.uint64)
    time, third = np.zeros(n, np.int64), np.zeros(n, np.uint64)

    assert np.arange(n)[::-1].tolist() == in_order(time, second, third).tolist()


def test_keys_may_be_fields():
    """A field is no contiguous array, and one of a single row is."""
    for n in (1, 5):
        rows = np.zeros(n, SIGNAL)
        rows["time"] = range(n, 0, -1)

        assert np.arange(n)[::-1].tolist() == in_order(rows["time"], rows["account"], rows["content"]).tolist()


@given(st.lists(arrays(np.uint8, st.integers(0, 3).map(lambda n: n * SIGNAL.itemsize)), min_size=1, max_size=5))
def test_joined_is_concatenate(parts):
    """Every byte of every row is where numpy puts it."""
    parts = [part.view(SIGNAL) for part in parts]
    found = joined(parts)

    assert SIGNAL == found.dtype
    assert np.concatenate(parts).tobytes() == found.tobytes()


def test_objects_are_joined_as_objects():
    """Rows that hold objects are no bytes: references to them are counted."""
    rows = np.array([(1, "x"), (2, "y")], np.dtype([("time", "<i8"), ("name", "O")]))

    assert [(1, "x"), (2, "y"), (1, "x")] == joined([rows, rows[:1]]).tolist()


def test_parts_may_have_gaps():
    """Every second row of an array is as good as any other."""
    rows = np.zeros(6, SIGNAL)
    rows["time"] = range(6)

    assert [0, 2, 4, 1, 3, 5] == joined([rows[::2], rows[1::2]])["time"].tolist()
