"""Show sightings to one table alone; the stage's own loop is `streams.tokens.link.link`, which shows them to all."""

from typing import Any

import numpy as np

from streams.compiled import compiled
from streams.tokens.link import _absorb_one, _nearest
from streams.tokens.near import NearPrompts
from streams.tokens.table import TokenTable


def match(held: NearPrompts, simhash: Any, account: Any, time: Any) -> tuple[Any, Any, Any]:
    """Take in near-prompt sightings in order of time (ms).

    Returns the account and SimHash of the nearest that is held (0: nobody near) for each, and the rows that a
    checkpoint needs: entries that are new, or renewed after a quarter of their life.
    """
    n = simhash.size
    founder, founder_simhash, stored = np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.zeros(n, np.uint8)
    gained = _match(
        held.open(n, time), held._shift, simhash, account, (time // 1000).astype(np.uint32), held.life_s,
        held.distance, held.cap, founder, founder_simhash, stored,
    )  # fmt: skip
    held.close(gained)
    where = np.flatnonzero(stored)
    new = stored[where] == 1
    simhashes = np.where(new, simhash[where], founder_simhash[where])
    return founder, founder_simhash, held.rows(time[where], simhashes, np.where(new, account[where], founder[where]))


def absorb(table: TokenTable, token: Any, account: Any, time: Any, first: Any, kind: Any) -> tuple[Any, Any, Any, Any]:
    """Take in sightings in order; return per item its code, the degree after it, and founder with first time.

    The founder is given with the item that makes the degree 2 only (else 0).
    """
    n = token.size
    code, degree = np.zeros(n, np.uint8), np.zeros(n, np.uint32)
    founder, founder_first = np.zeros(n, np.uint64), np.zeros(n, np.int64)
    gained = _absorb(
        table.open(n, time), token, account, time, first, kind, table.life_ms, table.caps, code, degree, founder,
        founder_first,
    )  # fmt: skip
    table.close(gained)
    return code, degree, founder, founder_first


@compiled
def _match(
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
def _absorb(
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
