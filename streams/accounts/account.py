"""State of one account in stage 1: plain counters, and River models from its 8th exchange on."""

import math
from array import array
from typing import Any

from river import drift, stats

from streams.errors import StateError
from streams.models import MODELS, Dump

FADING = 0.05  # weight of the newest exchange in an account's means: about its last 40 exchanges
SURPRISE_SD_FLOOR = 0.75  # doublings; people's gaps and sizes vary at least so much
SURPRISE_MAX = 7
VOTES_MAX = 200  # visits
SECOND_VISITS = 3
VISIT_PAUSE_MS = 240_000

# name -> key in MODELS; the order is the order of the dump. Listed in the README from here.
ACCOUNT_MODELS = {
    "gap_mean": "ewmean",
    "gap_var": "ewvar",
    "size_mean": "ewmean",
    "size_var": "ewvar",
    "input_median": "quantile",
    "rate_change": "page_hinkley",
}


class AccountModels:
    """River statistics and a change detector of one account (2 KB, 20 us to make)."""

    __slots__ = ("gap_mean", "gap_var", "input_median", "rate_change", "size_mean", "size_var")

    def __init__(self) -> None:
        self.gap_mean: Any = stats.EWMean(FADING)
        self.gap_var: Any = stats.EWVar(FADING)
        self.size_mean: Any = stats.EWMean(FADING)
        self.size_var: Any = stats.EWVar(FADING)
        self.input_median: Any = stats.Quantile(0.5)
        # in doublings of the gap: a lasting change by 2 doublings is told after about 10 exchanges
        self.rate_change: Any = drift.PageHinkley(min_instances=16, delta=0.5, threshold=15.0)

    def score_learn(self, gap_s: float, output_tokens: int, input_tokens: int) -> int:
        """Score an exchange against the account's own past, learn it, and return the surprise bits in place."""
        gap, size, input_ = math.log2(gap_s + 0.25), math.log2(output_tokens + 1.0), math.log2(input_tokens + 1.0)
        mean = self.gap_mean.get()
        deviation = max(SURPRISE_SD_FLOOR, math.sqrt(max(0.0, self.gap_var.get())))
        rate = min(SURPRISE_MAX, max(0, int((mean - gap) / deviation)))
        mean = self.size_mean.get()
        deviation = max(SURPRISE_SD_FLOOR, math.sqrt(max(0.0, self.size_var.get())))
        larger = min(SURPRISE_MAX, max(0, int((size - mean) / deviation)))
        median = self.input_median.get()
        longer = 0 if median is None else min(3, max(0, int((input_ - median) / 2.0)))
        self.gap_mean.update(gap)
        self.gap_var.update(gap)
        self.size_mean.update(size)
        self.size_var.update(size)
        self.input_median.update(input_)
        self.rate_change.update(gap)
        changed = 1 if self.rate_change.drift_detected else 0
        return rate << 28 | larger << 31 | longer << 34 | changed << 36

    def dump(self) -> list[Dump]:
        """Plain numbers of every model, in the order of `ACCOUNT_MODELS`."""
        return [MODELS[kind].dump(getattr(self, name)) for name, kind in ACCOUNT_MODELS.items()]

    @classmethod
    def load(cls, dumps: list[Any]) -> "AccountModels":
        """Rebuild from `dump`; raise `StateError` for anything else."""
        if len(dumps) != len(ACCOUNT_MODELS):
            raise StateError(f"an account has {len(ACCOUNT_MODELS)} models, its state record has {len(dumps)}")
        models = cls.__new__(cls)
        for (name, kind), dump in zip(ACCOUNT_MODELS.items(), dumps, strict=True):
            setattr(models, name, MODELS[kind].load(dump))
        return models


Usual = tuple[int, int, int, int]
NO_USUAL: Usual = (0, 0, 0, 0)


def _vote(usual: Usual, value: int) -> Usual:
    """Count a visit in the manner of Misra and Gries (1982) with two counters, capped so that a move is followed."""
    first, votes, second, others = usual
    if value == first:
        return first, min(VOTES_MAX, votes + 1), second, others
    if value == second:
        return first, votes, second, min(VOTES_MAX, others + 1)
    if not votes:
        return value, 1, second, others
    if not others:
        return first, votes, value, 1
    return first, votes - 1, second, others - 1


def _other(usual: Usual, value: int) -> bool:
    """Tell whether a value is neither of the usual two; the second is usual from its third visit on."""
    first, votes, second, others = usual
    return votes > 0 and value != first and (value != second or others < SECOND_VISITS)


class Account:
    """Counters of one account; ``applied`` is the offset of the last record that is part of this state."""

    __slots__ = (
        "applied", "clients", "count", "created_at", "hash", "last_time", "mail", "misrouted", "models", "networks",
        "org", "plan", "recent",
    )  # fmt: skip

    def __init__(self, hash_: int) -> None:
        self.hash = hash_
        self.applied = -1
        self.count = 0
        self.last_time = 0
        self.org = 0
        self.mail = 0
        self.plan = ""
        self.created_at = 0
        self.misrouted = False
        self.recent = array("I")  # 32-bit hashes of the last event ids
        # the two that most exchanges come from, with their votes: (first, votes, second, votes)
        self.networks = self.clients = NO_USUAL
        self.models: AccountModels | None = None

    def vote(self, network: int, client: int, gap_ms: int) -> int:
        """Take note of where an exchange came from; returns the bits for what is neither of the account's usual two.

        The first exchange of a visit (after a pause, or ever: ``gap_ms`` negative) has a vote: however long a burst
        from elsewhere goes on, it makes no habit.
        """
        visit = gap_ms < 0 or gap_ms >= VISIT_PAUSE_MS
        bits = 0
        if network:
            bits = _other(self.networks, network) << 42
            if visit:
                self.networks = _vote(self.networks, network)
        if client:
            bits |= _other(self.clients, client) << 43
            if visit:
                self.clients = _vote(self.clients, client)
        return bits

    def dump(self) -> tuple[Any, ...]:
        """Plain numbers."""
        return (
            self.applied, self.count, self.last_time, self.org, self.mail, self.plan, self.created_at,
            self.misrouted, self.networks, self.clients, self.recent.tobytes(),
            self.models.dump() if self.models else None,
        )  # fmt: skip

    @classmethod
    def load(cls, hash_: int, state: "AccountState") -> "Account":
        """Rebuild from `dump`."""
        account = cls(hash_)
        (
            account.applied, account.count, account.last_time, account.org, account.mail, account.plan,
            account.created_at, account.misrouted, account.networks, account.clients, recent, models,
        ) = state  # fmt: skip
        if len(recent) % 4:
            raise StateError("an account's event ids are cut off")
        account.recent.frombytes(recent)
        account.models = AccountModels.load(models) if models is not None else None
        return account


AccountState = tuple[int, int, int, int, int, str, int, bool, Usual, Usual, bytes, list[Any] | None]
