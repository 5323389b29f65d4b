"""Functions compiled by numba, cached on disk together with all that went into them."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that makes no arrays; keep the result until its file, or what it takes from others, changes.

    numba counts a reference to every array that a function is given, and takes it back at the end: two atomic
    operations, 10 ns, for each array of each call, which was most of what reading a record took. That is left out
    here. A function that makes an array does not compile without, and one that returns an array, even a part of what it
    was given, must not be without: see `compiled_with_arrays`.

    numba looks at the function's own file only. The functions that it calls and the constants that it names are part
    of what was compiled, though: after an upgrade that changed but those, a cache would go on with the former ones.

    Cannot see a change of what is reached through an attribute (``module.CONSTANT``), nor of an intrinsic: take
    constants by their names.
    """
    return _kept(function, njit(cache=True, _nrt=False)(function))


def compiled_with_arrays(function: Callable[..., Any]) -> Any:
    """Compile a function that makes arrays; what it calls for every row should be `compiled`."""
    return _kept(function, njit(cache=True)(function))


def _kept(function: Callable[..., Any], dispatcher: Any) -> Any:
    """Let the cache know of all that goes into a function, and of how it is compiled."""
    file = _cache_file(dispatcher)
    if file is not None:
        names = function.__code__.co_names
        used = [_stamp(function.__globals__[name]) for name in names if name in function.__globals__]
        options = sorted(dispatcher.targetoptions.items())
        file._source_stamp = sha256(repr((file._source_stamp, options, used)).encode()).digest()
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
