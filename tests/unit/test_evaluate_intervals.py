"""Medians and intervals over seeds."""

import math

import pytest

from streams.evaluate.intervals import interval, mean, median, rate_interval


def test_median_of_runs_that_mostly_missed_is_infinite():
    """A missed campaign is worse than any number, and of two values in the middle the worse counts."""
    assert math.inf == median([1.0, math.inf, math.inf])
    assert 3.0 == median([1.0, 2.0, 3.0, math.inf])


def test_interval_covers_the_truth_as_often_as_it_says():
    """Of 200 samples of 20 from a known distribution some 95 % of the intervals hold its mean."""
    import numpy as np

    rng = np.random.default_rng(1)
    intervals = [interval(rng.exponential(1.0, 20).tolist(), mean) for _ in range(200)]

    assert 0.86 <= mean([float(low <= 1.0 <= high) for low, high in intervals]) <= 0.99


def test_interval_is_the_same_each_time():
    """The bootstrap is seeded."""
    assert interval([3.0, 1.0, 4.0, 1.0, 5.0]) == interval([3.0, 1.0, 4.0, 1.0, 5.0])


def test_interval_of_a_rate_is_the_exact_one():
    """Garwood's table: 3 events give 0.619 to 8.767."""
    low, high = rate_interval(3, 1.0)

    assert (low, high) == (pytest.approx(0.619, abs=0.001), pytest.approx(8.767, abs=0.001))
    assert (pytest.approx(low / 4), pytest.approx(high / 4)) == rate_interval(3, 4.0)
