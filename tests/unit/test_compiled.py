"""Code compiled by numba is as old as the newest thing that went into it."""

import importlib
import sys

import pytest

UPPER = """
from lower import FACTOR, TABLE, add_one
from streams.compiled import compiled

@compiled
def grow(x):
    return add_one(FACTOR * x) + TABLE[0]
"""
LOWER = """
import numpy as np
from streams.compiled import compiled

FACTOR = 2
TABLE = np.array([0])

@compiled
def add_one(x):
    return x + 1
"""


@pytest.fixture
def grow(tmp_path, monkeypatch):
    """Give a function that writes the lower module, then loads and calls the upper one as a new process would."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "upper.py").write_text(UPPER)

    def load(lower):
        (tmp_path / "lower.py").write_text(lower)
        for name in ("upper", "lower"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        function = importlib.import_module("upper").grow
        return function(10), sum(function.stats.cache_hits.values())

    yield load
    for name in ("upper", "lower"):
        sys.modules.pop(name, None)


def test_unchanged_code_is_taken_from_the_cache(grow):
    """The second process compiles nothing."""
    assert (21, 0) == grow(LOWER)
    assert (21, 1) == grow(LOWER)


# longer each, or Python takes its own compiled file of the same second for current
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("x + 1", "x + 100", 120), ("FACTOR = 2", "FACTOR = 30", 301), ("[0]", "[1000]", 1021)],
    ids=["function", "constant", "array"],
)
def test_what_is_taken_from_another_file_counts(grow, old, new, expected):
    """A function or constant of another file that has changed is compiled in anew."""
    assert (21, 0) == grow(LOWER)
    assert (expected, 0) == grow(LOWER.replace(old, new))
