"""The counting stages in a worker that stops at a named step: killed there, or held until the test lets it go on.

`BREAK_AT` is ``stage:step:time:path``: when the stage comes to the step for the time-th time, the process ends as by
`kill -9`, or, with a ``path``, that file is made and the thread waits until it is gone. `DELIVERY_TIMEOUT_MS` is how
long output may wait for the broker.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from counting import make_operator

from streams.runtime import checkpoint, host, producer, restore

# In their order.
OUTPUT = ("taken in", "queued")
CHECKPOINT = ("captured", "delivered", "begun", "half written", "offsets sent", "committing", "committed")
RESTORE = ("offsets read", "state read", "restored")
HELD_MS = 180_000  # a transaction that is held is not aborted meanwhile
COMMIT_S = 0.002  # about how long the broker takes to decide

__all__ = ["CHECKPOINT", "OUTPUT", "RESTORE", "make_operator"]


class Break:
    """Where to break, and how often the step has yet to be passed."""

    def __init__(self, text: str) -> None:
        self.stage, self.step, left, path = text.split(":", 3)
        self.left = int(left)
        self.path = Path(path) if path else None

    def at(self, stage_name: str, step: str) -> None:
        """Break here if it is the step and its time."""
        if (stage_name, step) != (self.stage, self.step):
            return
        self.left -= 1
        if self.left:
            return
        if self.path is None:
            os.kill(os.getpid(), signal.SIGKILL)
            return
        self.path.touch()
        while self.path.exists():
            time.sleep(0.02)


class BreakingProducer:
    """A transactional producer that passes the steps of a transaction one by one."""

    def __init__(self, wrapped: Any, stage_name: str, broken: Break) -> None:
        self._producer, self._stage, self._break = wrapped, stage_name, broken
        self._produced = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def begin_transaction(self) -> None:
        self._break.at(self._stage, "delivered")
        self._producer.begin_transaction()
        self._produced = 0
        self._break.at(self._stage, "begun")

    def produce(self, *arguments: Any, **named: Any) -> None:
        self._producer.produce(*arguments, **named)
        self._produced += 1
        if self._produced == 2:
            if (self._stage, "half written") == (self._break.stage, self._break.step):
                self._producer.flush(10)  # the broker has them, in an open transaction
            self._break.at(self._stage, "half written")

    def send_offsets_to_transaction(self, *arguments: Any) -> None:
        self._producer.send_offsets_to_transaction(*arguments)
        self._break.at(self._stage, "offsets sent")

    def commit_transaction(self, *arguments: Any) -> None:
        if self._break.step == "committing":
            self._producer.flush(10)
            threading.Timer(COMMIT_S, self._break.at, (self._stage, "committing")).start()
        self._producer.commit_transaction(*arguments)
        self._break.at(self._stage, "committed")


def before(owner: Any, name: str, call: Callable[..., None]) -> None:
    """Call something before a method or function."""
    found = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        call(*arguments)
        return found(*arguments, **named)

    setattr(owner, name, wrapped)


def after(owner: Any, name: str, call: Callable[..., None]) -> None:
    """Call something after a method or function, with its result first."""
    found = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = found(*arguments, **named)
        call(result, *arguments)
        return result

    setattr(owner, name, wrapped)


def install(broken: Break) -> None:
    """Put the steps into the runtime's own code."""

    if broken.path is not None:
        checkpoint.TRANSACTION_TIMEOUT_MS = HELD_MS

    def wrap_producer(_: None, writer: Any, settings: Any, stage_name: str, *__: Any) -> None:
        writer._producer = BreakingProducer(writer._producer, stage_name, broken)

    def stage_of(topic: str) -> str:
        return topic.rsplit(".", 2)[1]

    before(host.StageHost, "emit", lambda self, records: records and broken.at(self.stage, "taken in"))
    after(host.StageHost, "emit", lambda _, self, records: records and broken.at(self.stage, "queued"))
    after(host.StageHost, "capture", lambda capture, self, *_: capture and broken.at(self.stage, "captured"))
    after(checkpoint.StateWriter, "__init__", wrap_producer)
    before(restore, "read_state", lambda _, topic, *__: broken.at(stage_of(topic), "offsets read"))
    after(restore, "read_state", lambda _, __, topic, *___: broken.at(stage_of(topic), "state read"))
    after(host.StageHost, "install", lambda _, self, restored: broken.at(self.stage, "restored"))


if "BREAK_AT" in os.environ:
    install(Break(os.environ["BREAK_AT"]))
if "DELIVERY_TIMEOUT_MS" in os.environ:
    producer.DELIVERY_TIMEOUT_MS = int(os.environ["DELIVERY_TIMEOUT_MS"])
