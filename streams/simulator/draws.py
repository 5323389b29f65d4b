"""Draws from weighted tables, one at a time: what a population needs while it is built."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Choice(Generic[T]):
    """A weighted table: call it with a generator to draw a value.

    >>> Choice([("a", 1), ("b", 0)])(np.random.default_rng(1))
    'a'
    """

    __slots__ = ("_bounds", "_values")

    def __init__(self, rows: Iterable[tuple[T, float]]) -> None:
        rows = list(rows)
        total = sum(weight for _, weight in rows)
        self._values = [value for value, _ in rows]
        self._bounds = list(accumulate(weight / total for _, weight in rows))[:-1]

    def __call__(self, rng: np.random.Generator) -> T:
        """Draw one value."""
        return self._values[bisect_right(self._bounds, rng.random())]


def one_of(rng: np.random.Generator, values: "list[T] | tuple[T, ...]") -> T:
    """Draw one of equally likely values."""
    return values[int(rng.random() * len(values))]
