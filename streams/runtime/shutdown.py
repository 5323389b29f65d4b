"""Ways to end: at once with a clear last message, or in order within a deadline."""

import os
import sys
import threading
import time
from typing import NoReturn

import structlog

FAILED_EXIT_CODE = 1
STUCK_EXIT_CODE = 6
STOP_DEADLINE_S = 10.0  # orchestrators send SIGKILL after 10 to 30 s
CHECKPOINT_DEADLINE_S = 9.0  # of which this much for the last checkpoints; who needs it all leaves no group

log = structlog.get_logger("stillwatch.worker")
_ending = threading.Lock()


def fail(message: str, exit_code: int = FAILED_EXIT_CODE) -> NoReturn:
    """End the process now, from any thread, committing nothing more: what is not committed is read again.

    Raises nothing and runs no exit handlers: on a doubt about state or offsets no further line may run.
    """
    if not _ending.acquire(blocking=False):
        time.sleep(STOP_DEADLINE_S)  # another thread is ending the process; its message is the one to show
    log.critical("the worker ends", reason=message, exit_code=exit_code)
    leave(exit_code)


def leave(exit_code: int) -> NoReturn:
    """End the process without waiting for threads or the event loop."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def end_after(seconds: float, message: str, exit_code: int = FAILED_EXIT_CODE) -> threading.Timer:
    """End the process after so many seconds unless the returned timer is cancelled; also if the event loop hangs."""
    timer = threading.Timer(seconds, lambda: fail(message, exit_code) if exit_code else leave(exit_code))
    timer.daemon = True
    timer.start()
    return timer
