"""Functions compiled by numba, cached on disk together with all that went into them."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function, and keep the result until its file, or what it takes from other files, changes.

    numba looks at the function's own file only. The functions that it calls and the constants that it names are part
    of what was compiled, though: after an upgrade that changed but those, a cache would go on with the former ones.

    Cannot see a change of what is reached through an attribute (``module.CONSTANT``), nor of an intrinsic: take
    constants by their names.
    """
    dispatcher = njit(cache=True)(function)
    file = _cache_file(dispatcher)
    if file is not None:
        names = function.__code__.co_names
        used = [_stamp(function.__globals__[name]) for name in names if name in function.__globals__]
        file._source_stamp = sha256(repr((file._source_stamp, used)).encode()).digest()
    return dispatcher


def _cache_file(value: Any) -> Any:
    """Index of a function's cache, None for what has none: no function, or NUMBA_DISABLE_JIT is set."""
    return getattr(getattr(value, "_cache", None), "_cache_file", None)


def _stamp(value: Any) -> Any:
    file = _cache_file(value)
    if file is not None:
        return file._source_stamp
    if isinstance(value, np.ndarray):
        return value.dtype.descr, value.shape, value.tobytes()
    return value if isinstance(value, int | float | str | bytes | tuple | np.generic) else None
