"""Exchanges of one population as columns: sessions of turns, and everything about an exchange but its text."""

from typing import Any

import numpy as np

from streams.simulator.accounts import API, CODE, Accounts
from streams.simulator.rhythm import arrivals

EXCHANGE = np.dtype(
    [
        ("time", "i8"),  # ms
        ("account", "i4"),  # index in its population
        ("session", "i8"),
        ("turn", "i4"),
        ("model", "i2"),
        ("status", "i2"),
        ("refused", "?"),
        ("input", "i4"),
        ("output", "i4"),
        ("cache", "i4"),
        ("latency", "i4"),  # ms, -1 unknown
        ("temperature", "i2"),  # hundredths, -1 unknown
        ("purpose", "i1"),  # number of the campaign that it serves among its population's; 0 for benign and cover
        ("client", "O"),  # JSON bytes
        ("system", "O"),  # hash of the system prompt or None
        ("text", "O"),
    ]
)
MAX_TURNS = 400
_QUANTILES = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])


def begin(
    rng: np.random.Generator, accounts: Accounts, factor: np.ndarray, start_ms: int, end_ms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Start sessions in [start, end): their accounts, in order, and first moments; ``factor`` scales each rate."""
    mean = accounts.rate * factor * ((end_ms - start_ms) / 86_400_000) / accounts.turns
    count = rng.poisson(mean)
    some = np.flatnonzero(count)
    owner = np.repeat(some.astype(np.int32), count[some])
    begins = rng.integers(start_ms, end_ms, len(owner))
    active = (begins >= accounts.from_ms[owner]) & (begins < accounts.to_ms[owner])
    return owner[active], begins[active]


def lay_out(
    rng: np.random.Generator, accounts: Accounts, owner: np.ndarray, begins: np.ndarray, first: int
) -> np.ndarray:
    """Lay out the turns of sessions, which may run on for hours; ``first`` is the number of sessions so far.

    Only time, account, session and turn are set.
    """
    turns = np.minimum(rng.geometric(1 / accounts.turns[owner]), MAX_TURNS)
    rows = int(turns.sum())
    session = np.repeat(np.arange(len(owner)), turns)
    opening = np.cumsum(turns) - turns
    turn = np.arange(rows) - opening[session]
    account = owner[session]
    gaps = np.exp(rng.normal(accounts.gap_mu[account], accounts.gap_sigma[account])) * 1_000
    gaps[turn == 0] = 0
    elapsed = np.cumsum(gaps)
    result = np.zeros(rows, EXCHANGE)
    result["time"] = begins[session] + (elapsed - elapsed[opening][session]).astype(np.int64)
    result["account"] = account
    result["session"] = first + session
    result["turn"] = turn + 1
    return result


def complete(rng: np.random.Generator, accounts: Accounts, rows: np.ndarray) -> None:
    """Draw model, sizes, outcome and client of exchanges whose texts are known, in place."""
    n = len(rows)
    who = rows["account"]
    u: Any = rng.random((5, n))
    rows["model"] = np.where(u[0] < accounts.other_share[who], accounts.other_model[who], accounts.model[who])
    chars = np.fromiter((len(text) for text in rows["text"]), np.int32, n)
    context = accounts.context[who]
    history = (rows["turn"] - 1) * (chars * 0.25 + 260 * accounts.verbosity[who])
    rows["input"] = np.minimum(context + history + chars * 0.26 + 8, 190_000)
    rows["output"] = np.maximum(_outputs(rng, accounts, who) * accounts.verbosity[who], 1)
    reads = accounts.caches[who] & ((rows["turn"] > 1) | (context > 1_024)) & (u[1] < 0.86)
    rows["cache"] = np.where(reads, (context + np.maximum(history - 300, 0)) // 128 * 128, 0)
    status = np.searchsorted((0.012, 0.016, 0.022, 0.025, 0.027, 0.028), u[2], side="right")
    rows["status"] = np.array((429, 400, 503, 500, 403, 401, 200), np.int16)[status]
    failed = rows["status"] != 200
    rows["refused"] = ~failed & (u[3] < 0.008)
    rows["output"] = np.where(failed, 0, np.where(rows["refused"], rows["output"] % 90 + 20, rows["output"]))
    rows["cache"] = np.where(failed, 0, rows["cache"])
    latency = np.where(failed, 60, 350 + rows["output"] * 13 + rows["input"] * 0.03) * rng.lognormal(0, 0.3, n)
    rows["latency"] = np.where(u[4] < 0.03, -1, latency)
    wanders = rng.random(n) < 0.02
    rows["temperature"] = np.where(wanders & (accounts.style[who] == API), 100, accounts.temperature[who])
    _clients(rng, accounts, rows)


def _outputs(rng: np.random.Generator, accounts: Accounts, who: np.ndarray) -> np.ndarray:
    """Draw output tokens from the real services: Azure's for people, ServeGen's clients for programs."""
    tokens = arrivals()["tokens"]
    conv = np.array([pair[1] for pair in tokens["conv"]])
    code = np.array([pair[1] for pair in tokens["code"]])
    u = rng.random(len(who))
    people = np.where(
        accounts.style[who] == CODE,
        code[(u * len(code)).astype(np.int64)]
        * 3,  # harnesses write whole edits where the 2023 service completed lines
        conv[(u * len(conv)).astype(np.int64)],
    )
    served = np.array([[c["output"][0] * 0.7, *c["output"]] for c in arrivals()["clients"]])
    table = served[accounts.shape[who]]
    place = np.minimum(np.searchsorted(_QUANTILES, u, side="right"), len(_QUANTILES) - 1)
    low, high = _QUANTILES[place - 1], _QUANTILES[place]
    part = np.minimum((u - low) / (high - low), 1.2)
    line = np.arange(len(who))
    programs = table[line, place - 1] + part * (table[line, place] - table[line, place - 1])
    return np.where(accounts.style[who] == API, programs, people)


def _clients(rng: np.random.Generator, accounts: Accounts, rows: np.ndarray) -> None:
    """Choose one of the account's clients for each session; the first is the usual one."""
    n = len(rows)
    if not n:
        return
    owned = accounts.clients
    # one draw per session: sessions are consecutive numbers, laid out in order
    session = rows["session"] - rows["session"][0]
    u = rng.random(int(session[-1]) + 1)[session] ** 2
    column = rows["client"]
    for i, (who, part) in enumerate(zip(rows["account"].tolist(), u.tolist(), strict=True)):
        choice = owned[who]
        column[i] = choice[int(part * len(choice))]
