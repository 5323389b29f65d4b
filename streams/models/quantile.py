"""Store River's running quantile (the P² algorithm of Jain and Chlamtac, 1985), a thin shell over a Rust object.

Inner layout in River 0.26: 21 f64 (q, 5 increments, 5 desired positions, 5 positions, 5 heights), then u8 how many
heights are filled and u8 whether the markers have started. q and the increments come from a new object.
"""

import struct

from river.stats import Quantile

from .checked import COUNT_MAX, Dump, check_bytes, count, real, sequence

_STATE_BYTES = 170
_MARKERS = struct.Struct("<15d")  # desired positions, positions, heights
_MARKERS_AT, _FILLED_AT, _STARTED_AT = 48, 168, 169


def dump_quantile(model: Quantile) -> Dump:
    """Return (q, filled, started, 5 desired positions, 5 positions, 5 heights); positions are integers."""
    state = model._quantile.__getstate__()
    markers = _MARKERS.unpack_from(state, _MARKERS_AT)
    positions = tuple(int(position) for position in markers[5:10])
    return (float(model.q), state[_FILLED_AT], state[_STARTED_AT], *markers[:5], *positions, *markers[10:])


def load_quantile(values: object) -> Quantile:
    """Rebuild from `dump_quantile`; raises `StateError`."""
    q, filled, started, *markers = sequence(values, 18, "Quantile")
    model = Quantile(real(q, "Quantile", 1e-9, 1 - 1e-9))
    state = bytearray(check_bytes(model._quantile.__getstate__(), _STATE_BYTES, "Quantile"))
    desired = [real(value, "Quantile", 1) for value in markers[:5]]
    positions = [count(value, "Quantile", 1, COUNT_MAX) for value in markers[5:10]]
    heights = [real(value, "Quantile") for value in markers[10:]]
    _MARKERS.pack_into(state, _MARKERS_AT, *desired, *positions, *heights)
    state[_FILLED_AT] = count(filled, "Quantile", 0, 5)
    state[_STARTED_AT] = count(started, "Quantile", 0, 1 if filled == 5 else 0)
    model._quantile.__setstate__(bytes(state))
    model._is_updated = filled != 0  # without it `get` returns None until the next update
    return model
