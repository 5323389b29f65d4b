"""Helpers that several tests share."""

import time
from collections.abc import Callable

PATIENCE_S = 180.0  # only guards against waiting for ever: a loaded machine is ten times as slow as a free one


def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
    """Poll until the condition holds; False if it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
