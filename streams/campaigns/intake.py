"""Taking in: packets become columns, and a tick's columns become counts of accounts, shared tokens and groups."""

from typing import Any, NamedTuple

import numpy as np

from streams.campaigns.families import PHRASES
from streams.campaigns.state import CampaignsState
from streams.contracts.packets import LINK, NEAR_LOW, SIGNAL, TEMPLATE, Links, Signals
from streams.rows import in_order

INTRODUCTION = np.dtype([("offset", "<i8"), ("time", "<i8"), ("introduction", "O")])


class Tick(NamedTuple):
    """What one tick holds, each in the order in which it is acted on."""

    end: int  # event time, ms
    signals: Any  # SIGNAL
    links: Any  # LINK
    who: Any  # INTRODUCTION


def columns_of(packet: Signals | Links, items: Any) -> list[Any]:
    """The columns of a packet: signals, links, introductions (two of the three may be empty)."""
    if not isinstance(packet, Signals):
        return [np.empty(0, SIGNAL), items, np.empty(0, INTRODUCTION)]
    who = np.empty(len(packet.introductions), INTRODUCTION)
    for i, introduction in enumerate(packet.introductions):
        who[i] = (introduction.offset, introduction.time, introduction)
    return [items, np.empty(0, LINK), who]


def ticks_of(taken: list[Any], tick_ms: int) -> list[Tick]:
    """Sort what was buffered (columns as of `columns_of`) and cut it into ticks; ticks without items are left out."""
    signals, links, who = taken
    signals = signals.take(in_order(signals["time"], signals["account"], signals["count"].astype(np.uint64)))
    links = links.take(np.lexsort((links["offset"], links["account"], links["token"], links["time"])))
    accounts = np.array([w.account for w in who["introduction"]], np.uint64)
    who = who[np.lexsort((who["offset"], accounts, who["time"]))]
    columns = (signals, links, who)
    ends = [-(-column["time"] // tick_ms) * tick_ms for column in columns]
    each = np.unique(np.concatenate(ends))
    cuts = [
        (column, np.searchsorted(e, each, "left").tolist(), np.searchsorted(e, each, "right").tolist())
        for column, e in zip(columns, ends, strict=True)
    ]
    return [
        Tick(end, *(column[starts[i] : stops[i]] for column, starts, stops in cuts))
        for i, end in enumerate(each.tolist())
    ]


def take_in(state: CampaignsState, tick: Tick) -> tuple[dict[int, None], Any]:
    """Add a tick to the tables; returns the content tokens it touched and the row of each signal's account."""
    if tick.who.size:
        state.table.introduce(tick.who["introduction"].tolist())
    touched: dict[int, None] = {}
    if tick.links.size:
        _take_in_links(state, tick, touched)
    rows = np.empty(0, np.int32)
    if tick.signals.size:
        rows = state.table.insert(np.ascontiguousarray(tick.signals["account"]))
        _take_in_signals(state, tick, rows, touched)
    return touched, rows


def _take_in_links(state: CampaignsState, tick: Tick, touched: dict[int, None]) -> None:
    rows = state.table.find(np.ascontiguousarray(tick.links["account"]))
    arrivals: dict[int, int] = {}
    # column by column: tolist() of a structured array takes four times as long
    columns = (tick.links[name].tolist() for name in LINK.names or ())
    for link, row in zip(zip(*columns, strict=True), state.shared.numbers(rows.tolist()), strict=True):
        # an account that was forgotten early may be told of as a founder: no nameless row for it (an item that is no
        # membership has no account, only the token's degree)
        if row < 0 and link[-1]:
            continue
        shared = state.shared.link(link, row)
        if shared.kind >= TEMPLATE and shared.kind < NEAR_LOW:
            touched[shared.token] = None
            if shared.family and link[-1]:
                state.families.note(shared, 0)
                state.families.look(shared, row)
                arrivals[shared.family] = arrivals.get(shared.family, 0) + 1
    for family, n in arrivals.items():
        if family in state.models:
            state.models[family].add(tick.end, 0, 0, n)
    state.count("links", n=tick.links.size)


def _take_in_signals(state: CampaignsState, tick: Tick, rows: Any, touched: dict[int, None]) -> None:
    state.table.absorb(rows, tick.signals)
    used = state.shared.absorb(rows, tick.signals)
    touched.update(dict.fromkeys(used))
    for token, (exchanges, _, users) in used.items():
        shared = state.shared.tokens[token]
        if shared.family:
            state.families.note(shared, exchanges)
            if shared.kind in PHRASES:
                for user in users:
                    state.families.look(shared, user)
    _flow(state, tick.end, used)
    state.count("signals", n=tick.signals.size)
    state.count("events", "accepted", n=tick.signals.size)


def _flow(state: CampaignsState, now: int, used: dict[int, list[Any]]) -> None:
    """Feed the models of groups: exchanges of the kind of token that shows most."""
    flows: dict[tuple[int, int], list[int]] = {}
    for token, (exchanges, purposeful, _) in used.items():
        shared = state.shared.tokens[token]
        if shared.family in state.models:
            flow = flows.setdefault((shared.family, shared.kind), [0, 0])
            flow[0] += exchanges
            flow[1] += purposeful
    most: dict[int, list[int]] = {}
    for (family, _), flow in flows.items():
        most[family] = max(most.get(family, [0, 0]), flow)
    for family, (exchanges, purposeful) in most.items():
        state.models[family].add(now, exchanges, purposeful, 0)
