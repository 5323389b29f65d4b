"""Code compiled by numba is as old as the newest thing that went into it."""

import importlib
import sys

import numpy as np
import pytest
from numba import config
from numba.core.errors import NumbaError

from streams.accounts.parse import _string_end
from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.xxh3 import PADDING

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


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    """Compile anew whatever is compiled: what comes from a cache cannot be looked into."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))


@pytest.mark.usefixtures("no_cache")
def test_references_are_counted_only_by_what_makes_arrays():
    """Two atomic operations for each array of each call would be most of what reading a record takes."""

    data = np.frombuffer(b'name"' + PADDING, np.uint8)
    counted = []
    for how in (compiled, compiled_with_arrays):
        function = how(_string_end.py_func)
        assert 4 == function(data, 0)
        counted.append(any("NRT_incref" in text for text in function.inspect_llvm().values()))

    assert [False, True] == counted


def test_what_makes_arrays_must_say_so():
    """The mistake shows when the function is first called, which is when the program warms up."""

    def zeros(n):
        return np.zeros(n)

    assert [0.0, 0.0] == compiled_with_arrays(zeros)(2).tolist()
    with pytest.raises(NumbaError):
        compiled(zeros)(2)
