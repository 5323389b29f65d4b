"""River models of one account, from its 8th exchange on; its plain counters are in `streams.accounts.table`."""

import math
from typing import Any

from river import drift, stats

from streams.errors import StateError
from streams.models import MODELS, Dump

FADING = 0.05  # weight of the newest exchange in an account's means: about its last 40 exchanges
SURPRISE_SD_FLOOR = 0.75  # doublings; people's gaps and sizes vary at least so much
SURPRISE_MAX = 7

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
