"""Store River's exponentially weighted mean and variance, thin shells over Rust objects.

Inner layout in River 0.26 (little endian): a mean is (mean f64, fading f64, 1 - fading f64, seen u8); `EWMean` is a
mean and its fading factor again, `EWVar` is the mean of x, the mean of x squared, and two more numbers that follow
from the fading factor. Only means and ``seen`` change, so the rest is taken from a new object.
"""

import struct

from river.stats import EWMean, EWVar

from .checked import Dump, check_bytes, count, real, sequence

_MEAN_BYTES, _VAR_BYTES = 33, 66
_SEEN_AT, _SQUARES_AT, _SQUARES_SEEN_AT = 24, 25, 49
_F64 = struct.Struct("<d")


def dump_ewmean(model: EWMean) -> Dump:
    """Return (fading factor, mean, seen 0 or 1)."""
    state = model._ewmean.__getstate__()
    return (float(model.fading_factor), _F64.unpack_from(state)[0], state[_SEEN_AT])


def load_ewmean(values: object) -> EWMean:
    """Rebuild from `dump_ewmean`; raises `StateError`."""
    fading, mean, seen = sequence(values, 3, "EWMean")
    model = EWMean(real(fading, "EWMean", 0, 1))
    state = bytearray(check_bytes(model._ewmean.__getstate__(), _MEAN_BYTES, "EWMean"))
    _F64.pack_into(state, 0, real(mean, "EWMean"))
    state[_SEEN_AT] = count(seen, "EWMean", 0, 1)
    model._ewmean.__setstate__(bytes(state))
    return model


def dump_ewvar(model: EWVar) -> Dump:
    """Return (fading factor, mean, mean of squares, seen 0 or 1)."""
    state = model._ewvar.__getstate__()
    mean, squares = _F64.unpack_from(state)[0], _F64.unpack_from(state, _SQUARES_AT)[0]
    return (float(model.fading_factor), mean, squares, state[_SEEN_AT])


def load_ewvar(values: object) -> EWVar:
    """Rebuild from `dump_ewvar`; raises `StateError`."""
    fading, mean, squares, seen = sequence(values, 4, "EWVar")
    model = EWVar(real(fading, "EWVar", 0, 1))
    state = bytearray(check_bytes(model._ewvar.__getstate__(), _VAR_BYTES, "EWVar"))
    _F64.pack_into(state, 0, real(mean, "EWVar"))
    _F64.pack_into(state, _SQUARES_AT, real(squares, "EWVar", 0))
    state[_SEEN_AT] = state[_SQUARES_SEEN_AT] = count(seen, "EWVar", 0, 1)
    model._ewvar.__setstate__(bytes(state))
    return model
