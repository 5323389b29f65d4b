"""Does it grow? A straight line through a series, how sure its slope is, and what that says."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

LEAST_POINTS = 8  # of a fit; below, its standard error says nothing
SURE = 2.0  # standard errors
VAGUE_TIMES = 10.0  # a slope that is known no better than to so many times what is allowed is not known
MOST_ALIKE = 0.95  # correlation of neighbours beyond which a series is taken for one that has hardly any information

Judgement = Literal["flat", "grows", "falls", "unclear"]


class Slope(msgspec.Struct):
    """Change of a series by minute, and its standard error."""

    per_min: float
    error: float


def slope(minutes: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a line by least squares.

    Neighbouring points are alike (memory goes up and down in steps), so that there are fewer of them than it seems:
    the error is that of independent points times sqrt((1 + r) / (1 - r)), r being the correlation of neighbouring
    residuals. Raises ValueError with less than `LEAST_POINTS`.

    >>> slope(range(9), [5.0 + 2.0 * n for n in range(9)])
    Slope(per_min=2.0, error=0.0)
    """
    x, y = np.asarray(minutes, float), np.asarray(values, float)
    if x.size < LEAST_POINTS:
        raise ValueError(f"{x.size} points are too few for a slope")
    off, deviation = x - x.mean(), y - y.mean()
    spread = float(off @ off)
    per_min = float(off @ deviation) / spread
    left = deviation - per_min * off
    squares = float(left @ left)
    if squares <= 1e-18 * max(1.0, float(y @ y)):  # a line up to rounding
        return Slope(round(per_min, 9), 0.0)
    alike = min(max(0.0, float(left[1:] @ left[:-1]) / squares), MOST_ALIKE)
    error = (squares / (x.size - 2) / spread * (1 + alike) / (1 - alike)) ** 0.5
    return Slope(per_min, float(error))


def judge(found: Slope, allowed: float) -> Judgement:
    """Tell whether a series is flat: less than ``allowed`` by minute, or a slope that may as well be none.

    It is unclear if the slope may be none, but many times what is allowed as well.
    """
    if abs(found.per_min) <= allowed and SURE * found.error <= VAGUE_TIMES * allowed:
        return "flat"
    if abs(found.per_min) > SURE * found.error:
        return "grows" if found.per_min > 0 else "falls"
    return "flat" if SURE * found.error <= VAGUE_TIMES * allowed else "unclear"
