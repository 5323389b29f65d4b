"""River models of one candidate group: how its traffic flows over time."""

import math
from typing import Any

from river import anomaly, drift, stats

from streams.errors import StateError
from streams.models import MODELS

MINUTE_MS = 60_000
MINUTES_MIN = 10  # minutes with traffic before the models have a say
ARRIVALS_MIN = 5  # new accounts in one minute that can be a surge
GAP_MINUTES_MAX = 30  # quiet minutes fed at most: longer pauses say no more

CLUSTER_MODELS = {"volume_mean": "ewmean", "volume_var": "ewvar", "purpose": "adwin", "arrivals": "gaussian_scorer"}


class ClusterModels:
    """Minute by minute: exchanges (EWMean, EWVar), share with a purpose (ADWIN), new accounts (GaussianScorer)."""

    def __init__(self) -> None:
        self.volume_mean: Any = stats.EWMean(0.1)
        self.volume_var: Any = stats.EWVar(0.1)
        self.purpose: Any = drift.ADWIN(delta=0.002)
        self.arrivals: Any = anomaly.GaussianScorer(grace_period=MINUTES_MIN)
        self.minute = 0  # number of the open minute
        self.minutes = 0  # learned
        self.now = [0, 0, 0]  # exchanges, with purpose, new accounts in the open minute
        self.drifts = 0
        self.surge = 0.0  # highest score of arrivals so far

    def add(self, time: int, exchanges: int, purposeful: int, arrivals: int) -> None:
        """Count what happened at ``time`` (ms); closes minutes that are over."""
        minute = time // MINUTE_MS
        if self.minute == 0:
            self.minute = minute
        if minute > self.minute:
            self._close()
            for _ in range(min(GAP_MINUTES_MAX, minute - self.minute - 1)):
                self._close()
            self.minute = minute
        self.now[0] += exchanges
        self.now[1] += purposeful
        self.now[2] += arrivals

    def _close(self) -> None:
        exchanges, purposeful, arrivals = self.now
        self.volume_mean.update(exchanges)
        self.volume_var.update(exchanges)
        if exchanges:
            self.purpose.update(purposeful / exchanges)
            self.drifts += bool(self.purpose.drift_detected)
        if self.minutes >= MINUTES_MIN and arrivals >= ARRIVALS_MIN:
            self.surge = max(self.surge, float(self.arrivals.score_one(None, arrivals)))
        self.arrivals.learn_one(None, arrivals)
        self.minutes += 1
        self.now = [0, 0, 0]

    def volume(self) -> float:
        """Exchanges a minute, lately."""
        return float(self.volume_mean.get() or 0.0)

    def steadiness(self) -> float | None:
        """Index of dispersion of exchanges a minute: 1 for a Poisson flow, well above for people; None if unknown."""
        mean = self.volume_mean.get()
        if self.minutes < MINUTES_MIN or not mean:
            return None
        return float(self.volume_var.get() / mean)

    def dump(self) -> list[Any]:
        """Plain numbers."""
        models = [MODELS[kind].dump(getattr(self, name)) for name, kind in CLUSTER_MODELS.items()]
        return [models, self.minute, self.minutes, self.now, self.drifts, self.surge]

    @classmethod
    def load(cls, state: list[Any]) -> "ClusterModels":
        """Rebuild from `dump`; raise `StateError` for anything else."""
        made = cls()
        try:
            models, made.minute, made.minutes, made.now, made.drifts, made.surge = state
            for (name, kind), dump in zip(CLUSTER_MODELS.items(), models, strict=True):
                setattr(made, name, MODELS[kind].load(dump))
        except (TypeError, ValueError) as error:
            raise StateError(f"the models of a group in the state are malformed: {error}") from None
        if not math.isfinite(made.surge):
            raise StateError("the models of a group in the state are not finite")
        return made
