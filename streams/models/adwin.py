"""Store River's ADWIN change detector (Bifet and Gavalda, SDM 2007), a shell over a Rust object.

Inner layout in River 0.26 (little endian): a head, one row of buckets per power of two (capacity u64, filled u64, then
totals and variances, each a u64 length and f64 numbers), and the settings again. The Rust code panics on a row that is
too full or too short, and on ``max_buckets=1``, so each number is checked before it is handed over.
"""

import struct
from collections.abc import Sequence
from typing import Any

from river.drift import ADWIN

from streams.errors import ContractError, StateError

from .checked import Dump, count, real, sequence

_HEAD = struct.Struct("<dIQddddddIIIIQ")  # 5 settings, total, variance, width, total width, 4 counts, rows
_TAIL = struct.Struct("<dIQII")  # the 5 settings
_U64 = struct.Struct("<Q")
_ROWS_MAX = 48  # 2**48 observations
_BUCKETS_MAX = 64
_I32_MAX, _U32_MAX = 2**31 - 1, 2**32 - 1
ADWIN_MAX_NUMBERS = 15 + _ROWS_MAX * (1 + 2 * 5)  # at River's default of 5 buckets a row


def dump_adwin(model: ADWIN) -> Dump:
    """Return 5 settings, drift 0 or 1, total, variance, width, total width, 4 counts, rows, then the rows.

    A row is its number of buckets, their totals and their variances.
    """
    state = model._helper.__getstate__()
    head = _HEAD.unpack_from(state)
    settings = (model.delta, model.clock, model.max_buckets, model.min_window_length, model.grace_period)
    if model.max_buckets < 2 or head[:5] != settings or state[-_TAIL.size :] != _TAIL.pack(*settings):
        raise ContractError("River's ADWIN does not store its settings as pinned, or has fewer than 2 buckets a row")
    rows: list[float] = []
    at = _HEAD.size
    for _ in range(head[-1]):
        filled = _U64.unpack_from(state, at + 8)[0]
        arrays_at, array_bytes = at + 16, 8 * (model.max_buckets + 2)
        rows.append(filled)
        for start in (arrays_at, arrays_at + array_bytes):
            rows.extend(struct.unpack_from(f"<{filled}d", state, start + 8))
        at = arrays_at + 2 * array_bytes
    settings = (float(model.delta), *settings[1:])
    return (*settings, int(model._drift_detected), head[5], head[6], int(head[7]), *head[8:], *rows)


def load_adwin(values: object) -> ADWIN:
    """Rebuild from `dump_adwin`; raises `StateError` unless the rows add up to the width."""
    what = "ADWIN"
    stored = sequence(values, None, what)
    if len(stored) < 15:
        raise StateError("stored ADWIN is too short")
    model: Any = ADWIN(
        real(stored[0], what, 1e-300, 1),
        count(stored[1], what, 1, _I32_MAX),
        count(stored[2], what, 2, _BUCKETS_MAX),
        count(stored[3], what, 0, _I32_MAX),
        count(stored[4], what, 0, _I32_MAX),
    )
    settings = (model.delta, model.clock, model.max_buckets, model.min_window_length, model.grace_period)
    model._drift_detected = bool(count(stored[5], what, 0, 1))
    sums = (real(stored[6], what), real(stored[7], what), count(stored[8], what), real(stored[9], what, 0))
    counts = [count(value, what, 0, _U32_MAX) for value in stored[10:14]]
    rows = count(stored[14], what, 1, _ROWS_MAX)
    state = bytearray(_HEAD.pack(*settings, *sums, *counts, rows))
    if _append_rows(state, stored, rows, model.max_buckets) != sums[2]:
        raise StateError("stored ADWIN has rows that do not add up to its width")
    model._helper.__setstate__(bytes(state + _TAIL.pack(*settings)))
    return model


def _append_rows(state: bytearray, values: Sequence[Any], rows: int, max_buckets: int) -> int:
    """Append the checked rows to ``state`` in the inner layout and return the observations they hold."""
    at, width = 15, 0
    for row in range(rows):
        if at >= len(values):
            raise StateError("stored ADWIN lacks rows")
        filled = count(values[at], "ADWIN", 0, max_buckets)
        numbers = [real(value, "ADWIN") for value in values[at + 1 : at + 1 + 2 * filled]]
        if len(numbers) != 2 * filled:
            raise StateError("stored ADWIN lacks buckets")
        padding = [0.0] * (max_buckets + 1 - filled)
        state += struct.pack("<QQ", max_buckets, filled)
        for array in (numbers[:filled], numbers[filled:]):
            state += struct.pack(f"<Q{max_buckets + 1}d", max_buckets + 1, *array, *padding)
        at += 1 + 2 * filled
        width += filled << row
    if at != len(values):
        raise StateError("stored ADWIN has more numbers than rows")
    return width
