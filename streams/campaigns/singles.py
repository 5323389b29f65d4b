"""Deciding about single accounts: stolen credentials as they happen, scrapers by the hour."""

from typing import Any

import numpy as np

from streams.campaigns import watches
from streams.campaigns.nats import total
from streams.campaigns.publish import account_case
from streams.campaigns.state import UNWATCHED, CampaignsState
from streams.campaigns.watches import MATTERS, TRIGGER, TRIGGER_WITH
from streams.compiled import compiled_with_arrays
from streams.operator import Record


@compiled_with_arrays
def _matter(signals: Any, rows: Any, levels: Any, limit: float) -> Any:
    """Give the indices of the exchanges that begin or change a watch, or whose account's watch is at the limit."""
    found = np.empty(rows.size, np.int64)
    n = 0
    for i in range(rows.size):
        bins, level = signals[i].bins, levels[rows[i]]
        begins = bins & TRIGGER != 0 and bins & TRIGGER_WITH != 0
        if begins or (level > UNWATCHED and bins & MATTERS != 0) or level >= limit:
            found[n] = i
            n += 1
    return found[:n]


def watch(state: CampaignsState, now: int, signals: Any, rows: Any) -> list[Record]:
    """Follow established accounts that show something new: stolen credentials.

    Of the exchanges of watched accounts only those are looked at that change their watch, and all while its evidence
    is at the threshold.
    """
    limit = state.limit
    at = _matter(signals, rows, state.watch_levels.upto(state.table.used.size), limit)
    if not at.size:
        return []
    out: list[Record] = []
    columns = (column[at].tolist() for column in (rows, signals["time"], signals["bins"]))
    for row, time, bits in zip(*columns, strict=True):
        account = state.table.rows[row]
        watched = state.watches.get(row)
        if watched is None:
            watched = state.watches[row] = watches.watch(row, account, now)
        watched.add(time, bits, account)
        state.dirty_watches[row] = None
        items = watched.weigh()
        level = total(items)
        state.watch_levels.set(row, level)
        if level >= limit:
            out += account_case(state, row, "stolen_credential", items, limit, now)
    return out


def forget_watch(state: CampaignsState, row: int) -> None:
    """End the watch of an account."""
    if state.watches.pop(row, None) is not None:
        state.watch_levels.set(row, UNWATCHED)
        state.dirty_watches[row] = None


def forget_watches(state: CampaignsState, now: int) -> None:
    """End watches that have run their time."""
    for row in [row for row, watched in state.watches.items() if now - watched.start > watches.WATCH_MS]:
        forget_watch(state, row)


def look_for_scrapers(state: CampaignsState, now: int) -> list[Record]:
    """Weigh accounts that may copy the model by themselves."""
    out: list[Record] = []
    limit = state.limit
    for row in watches.scrapers(state.table, now).tolist():
        items = watches.weigh_scraper(state.table.rows[row], state.reference, now)
        if total(items) >= limit:
            out += account_case(state, row, "distillation", items, limit, now)
    return out
