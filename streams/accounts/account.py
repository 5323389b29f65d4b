"""River models of one account, from its 8th exchange on; its plain counters are in `streams.accounts.table`."""

from math import log2, sqrt
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


def _deviations(distance: float, variance: float) -> int:
    deviation = sqrt(variance) if variance > SURPRISE_SD_FLOOR**2 else SURPRISE_SD_FLOOR
    return min(SURPRISE_MAX, int(distance / deviation))


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
        gap, size, input_ = log2(gap_s + 0.25), log2(output_tokens + 1.0), log2(input_tokens + 1.0)
        bits = 0
        if (below := self.gap_mean.get() - gap) > 0.0:
            bits = _deviations(below, self.gap_var.get()) << 28
        if (above := size - self.size_mean.get()) > 0.0:
            bits |= _deviations(above, self.size_var.get()) << 31
        median = self.input_median.get()
        if median is not None and input_ - median >= 2.0:
            bits |= min(3, int((input_ - median) / 2.0)) << 34
        self.gap_mean.update(gap)
        self.gap_var.update(gap)
        self.size_mean.update(size)
        self.size_var.update(size)
        self.input_median.update(input_)
        change = self.rate_change
        change.update(gap)
        return bits | 1 << 36 if change.drift_detected else bits

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
