"""Compiled: which tokens are first sightings, and the columns that a batch sends on."""

from typing import Any

import numpy as np

from streams.accounts import features
from streams.accounts.scan import COUNTRY, INFRASTRUCTURE, MODEL, TOKENS
from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.packets import CLIENT, HEAD, NEAR_HIGH, NEAR_LOW, NETWORK, SYSTEM, TAIL, TEMPLATE
from streams.slots import home

KNOWN, FIRST, RENEWED = 0, 1, 2

# a slot of a memory of first sightings: 48 bits of a pair's hash (never 0), and the second of its last sighting
PAIR = np.dtype([("high", "<u4"), ("low", "<u2"), ("second", "<u4")])

CONTENT = (TEMPLATE, SYSTEM, HEAD, TAIL)
NEAR = (NEAR_LOW, NEAR_HIGH)
KINDS = np.array(INFRASTRUCTURE + CONTENT + NEAR, np.uint8)
WIDTH = len(KINDS)
# what an account shows with an exchange, by memory: near prompts by their whole SimHash, though each half is a token
BLOCKS = (slice(0, len(INFRASTRUCTURE)), slice(len(INFRASTRUCTURE), TOKENS), slice(TOKENS, TOKENS + 1))
SHOWN = TOKENS + 1

_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)
_HIGH_SALT = np.uint64(0xD6E8FEB86659FD93)
_LOW = np.uint64(0xFFFFFFFF)
_BIT = {name: np.uint64(shift) for name, (shift, _) in features.LAYOUT.items()}
_GAP_AT, _NEW_TEMPLATE_AT, _NEW_NEAR_AT = _BIT["gap"], _BIT["new_template"], _BIT["new_near_prompt"]
# by place in KINDS
_NEW_AT = np.array(
    [
        {NETWORK: _BIT["new_network"], CLIENT: _BIT["new_client"], MODEL: _BIT["new_model"],
         COUNTRY: _BIT["new_country"]}.get(kind, np.uint64(0))
        for kind in INFRASTRUCTURE
    ]
)  # fmt: skip
_TEMPLATE_AT, _SYSTEM_AT, _HEAD_AT, _TAIL_AT = range(len(INFRASTRUCTURE), TOKENS)
_NOVELTY_FROM = features.NOVELTY_FROM
_INFRASTRUCTURE, _TOKENS, _MODEL, _SHOWN = len(INFRASTRUCTURE), TOKENS, MODEL, SHOWN
_UNKNOWN_GAP, _GAP_MAX = 15, 14


@compiled
def _see_one(table: Any, pair: Any, now: Any, life_s: Any) -> Any:
    hash_ = pair * _MIX
    high = max(hash_ >> np.uint64(32), np.uint64(1))  # 0 is a free slot
    low = (hash_ >> np.uint64(16)) & np.uint64(0xFFFF)
    slot = home(high, table.size)
    while table[slot].high != 0 and (table[slot].high != high or table[slot].low != low):
        slot += 1
        if slot == table.size:
            slot = 0
    entry = table[slot]
    if entry.high == 0:
        entry.high, entry.low, entry.second = high, low, now
        return 1, 1
    age = np.int64(now) - np.int64(entry.second)
    if age > life_s:
        entry.second = now
        return 1, 0
    if age > 0 and age >= life_s // 4:
        entry.second = now
        return 2, 0
    return 0, 0


@compiled
def see(table: Any, pairs: Any, now: Any, life_s: int, out: Any) -> int:
    """Tell first sightings from known ones, in order; return how many pairs were added."""
    total = 0
    for i in range(pairs.size):
        out[i] = 0
        if pairs[i] != 0:
            out[i], added = _see_one(table, pairs[i], now[i], life_s)
            total += added
    return total


@compiled_with_arrays
def lay_out(
    offset: Any, time: Any, rows: Any, taken: Any, kept: Any, infra: Any, content: Any, near: Any,
    seen: Any, pairs: Any, signals: Any, sightings: Any,
) -> Any:  # fmt: skip
    """Fill in the signal and the sightings of each event at the indices ``kept``.

    ``infra``, ``content`` and ``near`` are the (table, life in seconds) of three memories. Returns how many
    sightings there are, and how many pairs each memory has gained.
    """
    tokens = np.zeros(KINDS.size, np.uint64)
    n = 0
    gained = np.zeros(3, np.int64)
    for k in range(kept.size):
        i = kept[k]
        row, came = rows[i], taken[i]
        account, simhash = row.account, row.simhash
        now = np.uint32(time[i] // 1000)
        for j in range(_TOKENS):
            tokens[j] = row.tokens[j]
        tokens[_TOKENS], tokens[_TOKENS + 1] = np.uint64(0), np.uint64(0)
        if simhash != 0:
            tokens[_TOKENS] = ((simhash & _LOW) + np.uint64(1)) * _MIX
            tokens[_TOKENS + 1] = ((simhash >> np.uint64(32)) + np.uint64(1)) * _HIGH_SALT
        bins = row.bins | came.bits
        gap = np.uint64(_UNKNOWN_GAP)
        if came.gap_ms >= 0:
            gap, seconds = np.uint64(0), came.gap_ms // 1000
            while seconds > 0 and gap < _GAP_MAX:
                seconds >>= 1
                gap += np.uint64(1)
        bins |= gap << _GAP_AT
        for j in range(_SHOWN):
            token = tokens[j] if j < _TOKENS else simhash
            seen[k, j], pairs[k, j] = 0, 0
            if token == 0:
                continue
            pair = (account ^ (token * _MIX)) * _MIX
            pair = max(pair ^ (pair >> np.uint64(31)), np.uint64(1))
            if j < _INFRASTRUCTURE:
                code, added = _see_one(infra[0], pair, now, infra[1])
                gained[0] += added
                if code == 1 and came.count >= _NOVELTY_FROM and _NEW_AT[j] != 0:
                    bins |= np.uint64(1) << _NEW_AT[j]
            elif j < _TOKENS:
                code, added = _see_one(content[0], pair, now, content[1])
                gained[1] += added
                if code == 1 and j == _TEMPLATE_AT:
                    bins |= np.uint64(1) << _NEW_TEMPLATE_AT
            else:
                code, added = _see_one(near[0], pair, now, near[1])
                gained[2] += added
                if code == 1:
                    bins |= np.uint64(1) << _NEW_NEAR_AT
            seen[k, j], pairs[k, j] = code, pair
            if code == 0 or KINDS[j] >= _MODEL:
                continue
            for each in range(j, j + 1 if j < _TOKENS else KINDS.size):
                out = sightings[n]
                out.offset, out.time, out.account, out.count = offset[i], time[i], account, came.count
                out.kind, out.first, out.token = KINDS[each], code == 1, tokens[each]
                out.simhash = simhash if each >= _TOKENS else np.uint64(0)
                n += 1
        signal = signals[k]
        signal.offset, signal.time, signal.account, signal.count = offset[i], time[i], account, came.count
        signal.output_tokens = min(row.output, np.int64(0xFFFFFFFF))
        signal.template, signal.system = tokens[_TEMPLATE_AT], tokens[_SYSTEM_AT]
        signal.head, signal.tail = tokens[_HEAD_AT], tokens[_TAIL_AT]
        signal.content = row.exact if row.exact != 0 else simhash
        signal.simhash, signal.bins = simhash, bins
    return n, gained
