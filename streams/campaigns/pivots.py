"""Campaigns that move to another model: accounts of one case that take up a model they never used, within a day.

In one disclosed campaign half of the traffic went to a new model within 24 hours of its release. Benign groups move
with a release too, so a move adds little to the evidence; it is a revision of its own because whoever answers the case
wants to know at once.
"""

from collections import Counter
from typing import Any

import numpy as np

from streams.accounts.features import LAYOUT
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.state import CampaignsState
from streams.operator import Record

DAY_MS = 86_400_000
SHARE_MIN = 0.05  # of a case's accounts ...
ACCOUNTS_MIN = 3  # ... and at least so many
_NEW_MODEL = np.uint64(1 << LAYOUT["new_model"][0])
_MODEL_AT, _MODEL_BITS = LAYOUT["model"]


def note(state: CampaignsState, signals: Any, rows: Any) -> None:
    """Remember which accounts of open cases take up a model."""
    cases = [case for case in state.cases.live() if case.kind == "cluster"]
    if not cases:
        return
    at = np.flatnonzero(signals["bins"] & _NEW_MODEL)
    columns = (column[at].tolist() for column in (rows, signals["time"], signals["bins"]))
    for row, time, bins in zip(*columns, strict=True):
        for case in cases:
            if row in case.members:
                case.moves[row] = (time, bins >> _MODEL_AT & (1 << _MODEL_BITS) - 1)
                state.cases.dirty[case.alert_id] = None


def tell(state: CampaignsState, now: int) -> list[Record]:
    """Revise cases of which enough accounts have taken up one model within a day; once for each model.

    Accounts use second models of their own: three of sixty do so by themselves, and must not hide a move to another
    model that follows.
    """
    out: list[Record] = []
    for case in state.cases.live():
        if len(case.moves) < ACCOUNTS_MIN:
            continue
        moved = Counter(
            model
            for row, (time, model) in case.moves.items()
            if row in case.members and time > now - DAY_MS and model not in case.moved_to
        )
        if not moved:
            continue
        model, most = min(moved.items(), key=lambda item: (-item[1], item[0]))
        share = most / len(case.members)
        if most < ACCOUNTS_MIN or share < SHARE_MIN:
            continue
        case.moved_to.append(model)
        value = 0.3 + 0.5 * ramp(share, SHARE_MIN, 0.5)
        detail = f"{most} of {len(case.members)} accounts took up one model within a day"
        case.pivot = evidence("I16", value, round(share, 4), SHARE_MIN, detail)
        items = [item for item in case.evidence if item.indicator != "I16"]
        out += state.cases.revise(case, "updated", list(case.members), items, state.limit, now)
    return out
