"""Compiled: what one sighting amounts to, from the nearest prompt to the links that go out."""

from typing import Any

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.packets import NEAR_HIGH, NEAR_LOW, TICK_ITEMS_BITS
from streams.contracts.xxh3 import xxh3
from streams.slots import home

LINKED, RENEWED, COUNTED = 1, 2, 3  # what an item amounts to; 0: nothing
ITEMS_MAX = 3  # links of one sighting

# a slot of the table of near prompts by one half; free if its second is 0
NEAR = np.dtype([("simhash", "<u8"), ("account", "<u8"), ("second", "<u4")])

# a slot of the table of tokens; free if its token is 0
TOKEN = np.dtype(
    [
        ("token", "<u8"),
        ("founder", "<u8"),
        ("second", "<u4"),  # when it was last seen, modulo 2**32
        ("count", "<u4"),  # its degree; before it is shared, how many ms after the first time the last one was
        ("rest", "<u2"),  # ms of the last time, whether it is shared, kind
    ]
)
SHARED = 16  # in `rest`; the kind is in the bits below
KIND = SHARED - 1
_MS_AT = 5
_COUNT_MAX = 2**32 - 1

_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)


@compiled
def near_home(simhash: Any, shift: Any, slots: int) -> Any:
    """Give the slot where the search for a half of a SimHash begins."""
    half = (simhash >> shift) & np.uint64(0xFFFFFFFF)
    return home((half + np.uint64(1)) * _MIX >> np.uint64(32), slots)


@compiled
def _popcount(x: Any) -> int:
    n = 0
    while x != 0:
        x &= x - np.uint64(1)
        n += 1
    return n


@compiled
def _nearest(table: Any, shift: Any, simhash: Any, account: Any, now: Any, life_s: int, distance: int, cap: int) -> Any:
    """Give founder, its SimHash, and what was stored: 0 nothing, 1 a new entry, 2 a renewed one, 3 a new one more."""
    half = np.uint64(0xFFFFFFFF) << shift
    slot = near_home(simhash, shift, table.size)
    held, free, best, nearest = 0, -1, -1, distance + 1
    # the nearest counts, then the smaller SimHash: the order of slots changes when the table grows
    while table[slot].second != 0:
        differs = table[slot].simhash ^ simhash
        if differs & half == 0:
            if np.int64(now) - np.int64(table[slot].second) > life_s:
                if free < 0:
                    free = slot
            else:
                held += 1
                bits = _popcount(differs)
                if bits < nearest or (bits == nearest and best >= 0 and table[slot].simhash < table[best].simhash):
                    best, nearest = slot, bits
        slot += 1
        if slot == table.size:
            slot = 0
    if best >= 0:
        founder, founder_simhash = table[best].account, table[best].simhash
        if np.int64(now) - np.int64(table[best].second) >= life_s // 4:
            table[best].second = now
            return founder, founder_simhash, 2
        return founder, founder_simhash, 0
    if held >= cap:
        return np.uint64(0), np.uint64(0), 0
    stored = 1
    if free < 0:
        free = slot
        stored = 3
    entry = table[free]
    entry.simhash, entry.account, entry.second = simhash, account, now
    return np.uint64(0), np.uint64(0), stored


@compiled
def token_slot(table: Any, token: Any) -> Any:
    """Give the slot of a token, or the one that it would take."""
    slot: Any = home(token * _MIX >> np.uint64(32), table.size)
    while table[slot].token != 0 and table[slot].token != token:
        slot += 1
        if slot == table.size:
            slot = 0
    return slot


@compiled
def last_seen(entry: Any, now_ms: Any) -> Any:
    """Give the time (ms) when a token was last seen: of those that its second may stand for, the next to ``now_ms``."""
    now_s = now_ms // 1000
    since_s = np.int64(np.int32(np.uint32(now_s - np.int64(entry.second))))
    return (now_s - since_s) * 1000 + np.int64(entry.rest >> _MS_AT)


@compiled
def put(entry: Any, kind: Any, first: Any, last: Any, degree: Any) -> None:
    """Set all of a token but itself and its founder. A first time 49 days or more before the last is moved there."""
    shared = degree > 1
    entry.second = np.uint32(last // 1000)
    entry.count = degree if shared else min(last - first, np.int64(_COUNT_MAX))
    entry.rest = np.uint16((last % 1000) << _MS_AT | (SHARED if shared else 0) | np.int64(kind))


@compiled
def get(entry: Any, now_ms: Any) -> Any:
    """Give kind, first time (the last one, if it is shared), last time and degree of a token."""
    last = last_seen(entry, now_ms)
    kind = np.int64(entry.rest & KIND)
    if entry.rest & SHARED:
        return kind, last, last, np.int64(entry.count)
    return kind, last - np.int64(entry.count), last, np.int64(1)


@compiled
def _absorb_one(table: Any, token: Any, account: Any, time: Any, first: Any, kind: Any, life_ms: Any, caps: Any) -> Any:
    """Give code, degree, founder and its first time (of the item that makes the degree 2 only), and tokens gained."""
    entry = table[token_slot(table, token)]
    _, since, last, degree = get(entry, time)
    if entry.token == 0 or time - last > life_ms[kind]:
        gained = 1 if entry.token == 0 else 0
        entry.token, entry.founder = token, account
        put(entry, kind, time, time, 1)
        return 0, np.uint32(1), np.uint64(0), np.int64(0), gained
    cap = caps[kind]
    other = first != 0 and account != entry.founder
    degree += other
    put(entry, kind, since, max(last, time), degree)
    told = np.uint32(degree)
    if not other:
        return RENEWED if 2 <= degree <= cap else 0, told, np.uint64(0), np.int64(0), 0
    if degree == 2 and degree <= cap:
        return LINKED, told, entry.founder, since, 0
    if degree <= cap:
        return LINKED, told, np.uint64(0), np.int64(0), 0
    return COUNTED if degree & (degree - 1) == 0 else 0, told, np.uint64(0), np.int64(0), 0


@compiled_with_arrays
def link(
    sightings: Any, near: Any, near_life_s: int, distance: int, cap: int, table: Any, life_ms: Any, caps: Any,
    tick_ms: int, out: Any, changed: Any, stored: Any,
) -> Any:  # fmt: skip
    """Turn sightings in order of time into links.

    ``changed`` gets the tokens that were touched; ``stored`` for each sighting of a near prompt what its half of the
    SimHash has to remember of it: (SimHash, account), 0 for nothing. Returns how many links and touched tokens there
    are, and what the three tables have gained.
    """
    gained = np.zeros(3, np.int64)
    bytes_ = np.zeros(24, np.uint8)
    n, n_changed = 0, 0
    last_tick = np.int64(-1)
    index = np.int64(0)
    for i in range(sightings.size):
        item = sightings[i]
        token, kind, time = item.token, np.int64(item.kind), item.time
        founder = np.uint64(0)
        if kind >= NEAR_LOW:
            half = 1 if kind == NEAR_HIGH else 0
            founder, simhash, what = _nearest(
                near[half], np.uint64(32 * half), item.simhash, item.account, np.uint32(time // 1000), near_life_s,
                distance, cap,
            )  # fmt: skip
            gained[half] += what == 3
            if what:
                stored[i, 0] = simhash if what == 2 else item.simhash
                stored[i, 1] = founder if what == 2 else item.account
            if founder == 0 or founder == item.account:
                continue
            # a token per half, so that which partition has which half cannot matter
            for k in range(8):
                bytes_[k] = (simhash >> np.uint64(8 * k)) & np.uint64(255)
            token = xxh3(bytes_, 0, 8, np.uint64(kind + 1))
            kind = np.int64(NEAR_LOW)
        tick: Any = -(-time // tick_ms)
        if tick != last_tick:
            last_tick, index = tick, np.int64(0)
        changed[n_changed] = token
        n_changed += 1
        # the founder of a near prompt showed it before anybody else: it comes in front, as an item of its own
        for turn in range(0 if founder else 1, 2):
            account, first = (item.account, item.first) if turn else (founder, np.uint8(0))
            code, degree, before, before_first, more = _absorb_one(
                table, token, account, time, first, kind, life_ms, caps
            )
            gained[2] += more
            if code == 0:
                continue
            for second in range(0 if before else 1, 2):
                row = out[n]
                row.offset, row.time = (tick << TICK_ITEMS_BITS) | index, tick * tick_ms
                row.token, row.degree, row.kind, row.member = token, degree, kind, code != COUNTED
                row.account = account if second else before
                row.first = row.last = time if second else before_first
                n += 1
                index += 1
    return n, n_changed, gained
