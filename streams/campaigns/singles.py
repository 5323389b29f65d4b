"""Deciding about single accounts: stolen credentials as they happen, scrapers by the hour."""

from typing import Any

import numpy as np

from streams.campaigns import watches
from streams.campaigns.evidence import total
from streams.campaigns.publish import account_case
from streams.campaigns.state import CampaignsState
from streams.campaigns.watches import TRIGGER, TRIGGER_WITH
from streams.operator import Record


def watch(state: CampaignsState, now: int, signals: Any, rows: Any) -> list[Record]:
    """Follow established accounts that show something new: stolen credentials."""
    bins = signals["bins"]
    found = np.flatnonzero(((bins & TRIGGER) != 0) & ((bins & TRIGGER_WITH) != 0)).tolist()
    if state.watches:
        found = sorted({*found, *(i for i, row in enumerate(rows.tolist()) if row in state.watches)})
    out: list[Record] = []
    for i in found:
        row, bits = int(rows[i]), int(bins[i])
        watched = state.watches.get(row)
        if watched is None:
            watched = state.watches[row] = watches.watch(row, state.table.rows[row], now)
        watched.add(int(signals["time"][i]), bits, state.table.rows[row])
        state.dirty_watches[row] = None
        items = watched.weigh()
        limit = state.limit
        if total(items) >= limit:
            out += account_case(state, row, "stolen_credential", items, limit, now)
    return out


def forget_watches(state: CampaignsState, now: int) -> None:
    """End watches that have run their time."""
    for row in [row for row, watched in state.watches.items() if now - watched.start > watches.WATCH_MS]:
        del state.watches[row]
        state.dirty_watches[row] = None


def look_for_scrapers(state: CampaignsState, now: int) -> list[Record]:
    """Weigh accounts that may copy the model by themselves."""
    out: list[Record] = []
    limit = state.limit
    for row in watches.scrapers(state.table, now).tolist():
        items = watches.weigh_scraper(state.table.rows[row], state.reference, now)
        if total(items) >= limit:
            out += account_case(state, row, "distillation", items, limit, now)
    return out
