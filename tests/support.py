"""Helpers that several tests share."""

import os
import time
from collections.abc import Callable

PATIENCE_S = float(os.environ.get("PATIENCE_S", "180"))  # only guards against waiting for ever


def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
    """Poll until the condition holds; False if it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
