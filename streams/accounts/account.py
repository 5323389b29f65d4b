"""River models of one account, from its 8th exchange on; its plain counters are in `streams.accounts.row`."""

from math import log2, nan, sqrt
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
        # in doublings of the mean gap of eight exchanges: a lasting change by 3 doublings is told after 8 to 16
        self.rate_change: Any = drift.PageHinkley(min_instances=2, delta=0.5, threshold=1.875)

    def __del__(self) -> None:
        # River's detector holds a method of its own, and so itself, until a collection of all objects: a worker has
        # none (`streams.runtime.worker.GC_THRESHOLDS`)
        if (change := getattr(self, "rate_change", None)) is not None:
            change._test_drift = None

    def learn(self, gaps_ms: list[int], output_tokens: list[int], input_tokens: list[int]) -> bool:
        """Learn some exchanges in order; tell whether they have changed the account's rate."""
        gaps = [log2(gap_ms / 1000.0 + 0.25) for gap_ms in gaps_ms]
        mean, variance = self.gap_mean.update, self.gap_var.update
        for gap in gaps:
            mean(gap)
            variance(gap)
        mean, variance = self.size_mean.update, self.size_var.update
        for tokens in output_tokens:
            size = log2(tokens + 1.0)
            mean(size)
            variance(size)
        median = self.input_median.update
        for tokens in input_tokens:
            median(log2(tokens + 1.0))
        change = self.rate_change
        change.update(sum(gaps) / len(gaps))
        told: bool = change.drift_detected
        return told

    def stated(self) -> tuple[float, float, float, float, float]:
        """Mean and deviation of gap and size, and median input, in doublings; NaN for what is not known yet."""
        median = self.input_median.get()
        if median is None:
            return nan, nan, nan, nan, nan
        return (
            self.gap_mean.get(), sqrt(max(SURPRISE_SD_FLOOR**2, self.gap_var.get())),
            self.size_mean.get(), sqrt(max(SURPRISE_SD_FLOOR**2, self.size_var.get())), median,
        )  # fmt: skip

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
