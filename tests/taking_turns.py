"""Let a test that needs the whole machine run alone, though tests run in several processes.

A turnstile before the room, so that those who want it alone are not passed for ever.
"""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _lock(name: str, run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"stillwatch-tests-{run}-{name}"


@contextmanager
def turn(run: str, alone: bool) -> Iterator[None]:
    """Hold a place in the room of a test run; ``alone``: nobody else is in it."""
    with _lock("turnstile", run).open("w") as turnstile, _lock("room", run).open("w") as room:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield
