"""Helpers that several tests share."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> bool:
    """Poll until the condition holds; False if it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
