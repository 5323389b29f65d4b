"""Helpers that several tests share."""

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from streams.contracts.alert import Accounts, AlertEvent, Exchanges

PATIENCE_S = float(os.environ.get("PATIENCE_S", "180"))  # only guards against waiting for ever


def until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> bool:
    """Poll until the condition holds; False if it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def an_alert(alert_id: str = "c-1", revision: int = 1, **fields: Any) -> AlertEvent:
    """Make a revision of a small case without evidence; ``fields`` replace what it has."""
    alert = AlertEvent(
        alert_id=alert_id,
        revision=revision,
        status="open" if revision == 1 else "updated",
        kind="cluster",
        subject_id="k-1",
        category="distillation",
        severity="high",
        score=0.75,
        detected_at=1_767_225_600_000,
        first_seen=1_767_225_000_000,
        last_seen=1_767_225_599_000,
        accounts=Accounts(1, ("a-1",)),
        exchanges=Exchanges(3, 4),
        evidence=(),
        techniques=(),
    )
    return msgspec.structs.replace(alert, **fields)
