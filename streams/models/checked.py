"""Read numbers from state that nobody vouches for; every failure is a `StateError`."""

import math
from collections.abc import Sequence
from typing import Any

from streams.errors import ContractError, StateError

Number = int | float
Dump = tuple[Number | str, ...]  # what a model is stored as: flat, msgpack-encodable, no bool, no NaN

COUNT_MAX = 2**53  # the last integer up to which a float counts exactly


def sequence(values: object, size: int | None, what: str) -> Sequence[Any]:
    """Return ``values`` if it is a list or tuple of ``size`` items (any number if None)."""
    if not isinstance(values, (list, tuple)) or (size is not None and len(values) != size):
        raise StateError(f"stored {what} is not a sequence of {'any' if size is None else size} numbers")
    return values


def real(value: object, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return ``value`` as a finite float within [low, high]."""
    if type(value) is int and -COUNT_MAX <= value <= COUNT_MAX:
        value = float(value)
    if type(value) is not float or not math.isfinite(value) or not low <= value <= high:
        raise StateError(f"stored {what} has a number that cannot be: {value!r:.40}")
    return value


def count(value: object, what: str, low: int = 0, high: int = COUNT_MAX) -> int:
    """Return ``value`` as an integer within [low, high]; an integral float is not one."""
    if type(value) is not int or not low <= value <= high:
        raise StateError(f"stored {what} has a count that cannot be: {value!r:.40}")
    return value


def text(value: object, what: str, max_chars: int = 256) -> str:
    """Return ``value`` as a string of at most ``max_chars`` characters."""
    if type(value) is not str or len(value) > max_chars:
        raise StateError(f"stored {what} has a name that cannot be")
    return value


def check_bytes(state: bytes, size: int, what: str) -> bytes:
    """Return ``state``, the inner bytes of a Rust-backed River object, if it has the pinned size."""
    if len(state) != size:
        raise ContractError(f"River's {what} has {len(state)} bytes of inner state, {size} expected: pin river 0.26")
    return state
