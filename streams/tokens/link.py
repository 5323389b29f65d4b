"""Compiled: what one sighting amounts to, from the nearest prompt to the links that go out."""

from typing import Any

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.packets import NEAR_HIGH, NEAR_LOW, TICK_ITEMS_BITS
from streams.contracts.xxh3 import xxh3

LINKED, RENEWED, COUNTED = 1, 2, 3  # what an item amounts to; 0: nothing
ITEMS_MAX = 3  # links of one sighting

_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)


@compiled
def near_slot(simhash: Any, shift: Any, slots: int) -> Any:
    """Give the slot of a half of a SimHash."""
    half = (simhash >> shift) & np.uint64(0xFFFFFFFF)
    return np.int64(((half + np.uint64(1)) * _MIX >> np.uint64(32)) & np.uint64(slots - 1))


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
    simhashes, accounts, times = table
    mask = simhashes.size - 1
    half = np.uint64(0xFFFFFFFF) << shift
    slot = near_slot(simhash, shift, simhashes.size)
    held, free, best, nearest = 0, -1, -1, distance + 1
    # the nearest counts, then the smaller SimHash: the order of slots changes when the table grows
    while times[slot] != 0:
        differs = simhashes[slot] ^ simhash
        if differs & half == 0:
            if np.int64(now) - np.int64(times[slot]) > life_s:
                if free < 0:
                    free = slot
            else:
                held += 1
                bits = _popcount(differs)
                if bits < nearest or (bits == nearest and best >= 0 and simhashes[slot] < simhashes[best]):
                    best, nearest = slot, bits
        slot = (slot + 1) & mask
    if best >= 0:
        founder, founder_simhash = accounts[best], simhashes[best]
        if np.int64(now) - np.int64(times[best]) >= life_s // 4:
            times[best] = now
            return founder, founder_simhash, 2
        return founder, founder_simhash, 0
    if held >= cap:
        return np.uint64(0), np.uint64(0), 0
    stored = 1
    if free < 0:
        free = slot
        stored = 3
    simhashes[free], accounts[free], times[free] = simhash, account, now
    return np.uint64(0), np.uint64(0), stored


@compiled
def match(
    table: Any, shift: Any, simhash: Any, account: Any, now: Any, life_s: int, distance: int, cap: int, founder: Any,
    founder_simhash: Any, stored: Any,
) -> int:  # fmt: skip
    """Take in near prompts in order of time; return how many entries the table has gained."""
    gained = 0
    for i in range(simhash.size):
        founder[i], founder_simhash[i], what = _nearest(
            table, shift, simhash[i], account[i], now[i], life_s, distance, cap
        )
        gained += what == 3
        stored[i] = 1 if what == 3 else what
    return gained


@compiled
def token_slot(tokens: Any, token: Any) -> Any:
    """Give the slot of a token, or the one that it would take."""
    mask = tokens.size - 1
    slot: Any = np.int64((token ^ (token >> np.uint64(31))) & np.uint64(mask))
    while tokens[slot] != 0 and tokens[slot] != token:
        slot = (slot + 1) & mask
    return slot


@compiled
def _absorb_one(table: Any, token: Any, account: Any, time: Any, first: Any, kind: Any, life_ms: Any, caps: Any) -> Any:
    """Give code, degree, founder and its first time (of the item that makes the degree 2 only), and tokens gained."""
    tokens, founders, firsts, lasts, degrees, kinds = table
    slot = token_slot(tokens, token)
    if tokens[slot] == 0 or time - lasts[slot] > life_ms[kind]:
        gained = 1 if tokens[slot] == 0 else 0
        tokens[slot], founders[slot], kinds[slot] = token, account, kind
        firsts[slot], lasts[slot], degrees[slot] = time, time, 1
        return 0, np.uint32(1), np.uint64(0), np.int64(0), gained
    lasts[slot] = max(lasts[slot], time)
    cap = caps[kind]
    if first == 0 or account == founders[slot]:
        return RENEWED if 2 <= degrees[slot] <= cap else 0, degrees[slot], np.uint64(0), np.int64(0), 0
    degrees[slot] += 1
    degree = degrees[slot]
    if degree == 2 and degree <= cap:
        return LINKED, degree, founders[slot], firsts[slot], 0
    if degree <= cap:
        return LINKED, degree, np.uint64(0), np.int64(0), 0
    return COUNTED if degree & (degree - 1) == 0 else 0, degree, np.uint64(0), np.int64(0), 0


@compiled
def absorb(
    table: Any, token: Any, account: Any, time: Any, first: Any, kind: Any, life_ms: Any, caps: Any, code: Any,
    degree: Any, founder: Any, founder_first: Any,
) -> int:  # fmt: skip
    """Take in items in order; return how many tokens the table has gained."""
    total = 0
    for i in range(token.size):
        code[i], degree[i], founder[i], founder_first[i], gained = _absorb_one(
            table, token[i], account[i], time[i], first[i], kind[i], life_ms, caps
        )
        total += gained
    return total


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
