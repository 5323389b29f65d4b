"""Store River's heavy hitters (lossy counting with a forgetting factor; Veloso et al., 2020)."""

from typing import Any

from river.sketch import HeavyHitters

from streams.errors import StateError

from .checked import Dump, count, real, sequence, text

_ENTRIES_PER_BUCKET_MAX = 16  # lossy counting holds at most ln(epsilon * n) / epsilon entries: enough for 1e9 items


def dump_heavy_hitters(model: HeavyHitters) -> Dump:
    """Return (support, epsilon, fading factor, n, delta, then key, frequency and error in order of entry).

    Keys are integers or strings. The order is kept, because equal frequencies are reported in it.
    """
    entries: list[Any] = [
        item for key, (frequency, error) in model._entries.items() for item in (key, frequency, error)
    ]
    settings = (float(model.support), float(model.epsilon), float(model.fading_factor))
    return (*settings, model._n, float(model._delta), *entries)


def load_heavy_hitters(values: object) -> HeavyHitters:
    """Rebuild from `dump_heavy_hitters`; raises `StateError`."""
    what = "HeavyHitters"
    stored = sequence(values, None, what)
    if len(stored) < 5 or len(stored) % 3 != 2:
        raise StateError("stored HeavyHitters has the wrong length")
    epsilon = real(stored[1], what, 1e-6, 1)
    model = HeavyHitters(real(stored[0], what, 0, epsilon), epsilon, real(stored[2], what, 1e-9, 1))
    model._n, model._delta = count(stored[3], what), real(stored[4], what, 0)
    if (len(stored) - 5) // 3 > _ENTRIES_PER_BUCKET_MAX * model._bucket_width:
        raise StateError("stored HeavyHitters has more entries than its epsilon allows")
    for at in range(5, len(stored), 3):
        key = text(stored[at], what) if type(stored[at]) is str else count(stored[at], what, -(2**63), 2**64 - 1)
        if key in model._entries:
            raise StateError("stored HeavyHitters has a key twice")
        model._entries[key] = (real(stored[at + 1], what, 0), real(stored[at + 2], what, 0))
    return model


def heavy_hitters_max_numbers(epsilon: float) -> int:
    """Return the largest length of a dump for this ``epsilon``."""
    return 5 + 3 * _ENTRIES_PER_BUCKET_MAX * HeavyHitters(0, epsilon)._bucket_width
