"""Medians, worst cases and intervals over seeds; a run that never caught its campaign counts as infinite."""

import math
from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 2_000  # percentile bootstrap (Efron 1979)
SEED = 4
LEVEL = 0.95


def median(values: Sequence[float]) -> float:
    """Middle value; of an even number the higher of the two in the middle, so that infinity cannot be averaged away.

    >>> median([1.0, 2.0, math.inf]), median([1.0, math.inf])
    (2.0, inf)
    """
    return sorted(values)[len(values) // 2] if values else math.nan


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; NaN of nothing."""
    return sum(values) / len(values) if values else math.nan


def interval(
    values: Sequence[float], of: Callable[[Sequence[float]], float] = median, level: float = LEVEL
) -> tuple[float, float]:
    """Bootstrap interval of a figure over seeds, each seed drawn with all its values; NaN of nothing.

    Says little for fewer than five seeds: the interval cannot be wider than the values are.
    """
    if not values:
        return math.nan, math.nan
    rng = np.random.default_rng(SEED)
    draws = rng.integers(len(values), size=(RESAMPLES, len(values))).tolist()
    found = sorted(of([values[i] for i in draw]) for draw in draws)
    tail = (1 - level) / 2
    return found[int(tail * RESAMPLES)], found[min(int((1 - tail) * RESAMPLES), RESAMPLES - 1)]


def share_interval(events: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934).

    >>> low, high = share_interval(0, 10)
    >>> low, round(high, 3)
    (0.0, 0.308)
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, events, n - events + 1)) if events else 0.0
    return low, float(beta.ppf(1 - tail, events + 1, n - events)) if events < n else 1.0


def rate_interval(events: int, exposure: float, level: float = LEVEL) -> tuple[float, float]:
    """Exact interval of a rate of rare events per unit of exposure (Garwood 1936).

    >>> low, high = rate_interval(0, 1.0)
    >>> low, round(high, 2)
    (0.0, 3.69)
    """
    from scipy.stats import chi2

    tail = (1 - level) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    return low / exposure, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2 / exposure
