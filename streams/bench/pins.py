"""Give the measured process a core of its own and everything else, the broker first of all, the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def cores() -> tuple[set[int] | None, set[int] | None]:
    """Return the core of what is measured and those of the rest; no choice with one core, or where there is none."""
    found = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return ({found[-1]}, set(found[:-1])) if len(found) > 1 else (None, None)


@contextmanager
def pinned(where: set[int] | None) -> Iterator[None]:
    """Start processes on these cores: a child inherits those of the thread that starts it."""
    if where is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, where)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
