"""Where freed memory goes: C's allocator, set so that a worker of weeks takes no more than it needs.

By default glibc gives each thread a heap of its own, up to eight for every core. What batches and checkpoints take for
a moment then leaves holes in all of them: after 87 minutes of `stillwatch bench --soak` 16 heaps had 1,210 MB, of which
647 were in use (malloc_stats). streams/bench/README.md says what one heap saves and costs. Of itself glibc gives back
no more than what is free at a heap's end, so that the holes of one heap stay as well, unless it is asked.
"""

import ctypes
import sys

_ARENA_MAX = -8  # of glibc's malloc.h
HEAPS = 1  # threads that take memory at the same time wait for each other; under Python's lock they hardly do
GIVE_BACK_S = 60.0  # how often a worker asks; threads that want memory wait meanwhile, see streams/bench/README.md


def share_one_heap() -> bool:
    """Let the threads that are to come share one heap; returns False where C's allocator is not glibc's."""
    return (library := _glibc()) is not None and bool(library.mallopt(_ARENA_MAX, HEAPS))


def give_back() -> bool:
    """Give free pages within the heap back to the system; returns whether there were any, False if not glibc's."""
    return (library := _glibc()) is not None and bool(library.malloc_trim(ctypes.c_size_t(0)))


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux") or not hasattr(library := ctypes.CDLL(None), "gnu_get_libc_version"):
        return None
    return library
