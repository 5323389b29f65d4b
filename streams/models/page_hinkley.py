"""Store River's Page-Hinkley change detector (Page, Continuous Inspection Schemes, Biometrika 1954)."""

import math

from river.drift import PageHinkley

from .checked import Dump, count, real, sequence
from .moments import dump_mean, load_mean

_MODES = ("up", "down", "both")


def dump_page_hinkley(model: PageHinkley) -> Dump:
    """Return 5 settings, drift 0 or 1, count, mean, two sums, smallest and largest sum."""
    settings = (float(model.delta), float(model.threshold), float(model.alpha), _MODES.index(model.mode))
    sums = map(float, (model._sum_increase, model._sum_decrease, model._min_increase, model._max_decrease))
    return (model.min_instances, *settings, int(model._drift_detected), *dump_mean(model._x_mean), *sums)


def load_page_hinkley(values: object) -> PageHinkley:
    """Rebuild from `dump_page_hinkley`; raises `StateError`. The smallest sum is infinite before the first update."""
    what = "PageHinkley"
    min_instances, delta, threshold, alpha, mode, drift, n, mean, up, down, low, high = sequence(values, 12, what)
    model = PageHinkley(
        count(min_instances, what),
        real(delta, what),
        real(threshold, what),
        real(alpha, what, 0, 1),
        _MODES[count(mode, what, 0, 2)],
    )
    model._drift_detected = bool(count(drift, what, 0, 1))
    model._x_mean = load_mean((n, mean))
    model._sum_increase, model._sum_decrease = real(up, what), real(down, what)
    model._min_increase = math.inf if low == math.inf else real(low, what)
    model._max_decrease = real(high, what)  # type: ignore[assignment]  # a float, but River begins it at -1
    return model
