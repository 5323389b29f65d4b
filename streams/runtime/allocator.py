"""Where freed memory goes: C's allocator, set so that a worker of weeks takes no more than it needs.

By default glibc gives each thread a heap of its own, up to eight for every core, and keeps blocks up to 32 MB on heaps
once one of that size was freed. What batches and checkpoints take for a moment then leaves holes in all of them: after
87 minutes of `stillwatch bench --soak` heaps had 1,210 MB, of which 647 were in use (malloc_stats), and grew.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
HEAPS = 1  # threads that take memory at the same time wait for each other; under Python's lock they hardly do
KEPT_BYTES = 64 << 20  # free at the end of the heap
APART_BYTES = 4 << 20  # blocks from this size on go back to the system as soon as they are freed


def set_up() -> bool:
    """Set the allocator up, before there are threads; returns False where C's is not glibc's, and does nothing."""
    if not sys.platform.startswith("linux") or not hasattr(library := ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    settings = ((_ARENA_MAX, HEAPS), (_MMAP_THRESHOLD, APART_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES))
    return all(library.mallopt(name, value) for name, value in settings)
