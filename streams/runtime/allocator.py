"""Where freed memory goes: C's allocator, set so that a worker of weeks takes no more than it needs.

By default glibc gives each thread a heap of its own, up to eight for every core. What batches and checkpoints take for
a moment then leaves holes in all of them: after 87 minutes of `stillwatch bench --soak` 16 heaps had 1,210 MB, of which
647 were in use (malloc_stats). streams/bench/README.md says what one heap saves and costs.
"""

import ctypes
import sys

_ARENA_MAX = -8  # of glibc's malloc.h
HEAPS = 1  # threads that take memory at the same time wait for each other; under Python's lock they hardly do


def share_one_heap() -> bool:
    """Let the threads that are to come share one heap; returns False where C's allocator is not glibc's."""
    if not sys.platform.startswith("linux") or not hasattr(library := ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_ARENA_MAX, HEAPS))
