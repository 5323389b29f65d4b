"""Store River's running mean and variance, and the Gaussian scorer that is built on them."""

from typing import Any

from river.anomaly import GaussianScorer
from river.stats import Mean, Var

from streams.errors import StateError

from .checked import Dump, count, real, sequence


def dump_mean(model: Mean) -> Dump:
    """Return (observations, mean); update it with unit weights only."""
    return (float(model.n), float(model._mean))


def load_mean(values: object) -> Mean:
    """Rebuild from `dump_mean`; raises `StateError`."""
    n, mean = sequence(values, 2, "Mean")
    model = Mean()
    model.n, model._mean = real(n, "Mean", 0), real(mean, "Mean")
    if model.n < 1 and (model.n or model._mean):
        raise StateError("stored Mean has a value but no observation")  # the next update would round below zero
    return model


def dump_var(model: Var) -> Dump:
    """Return (ddof, observations, mean, sum of squared deviations)."""
    return (model.ddof, *dump_mean(model.mean), float(model._S))


def load_var(values: object) -> Var:
    """Rebuild from `dump_var`; raises `StateError`."""
    ddof, n, mean, squares = sequence(values, 4, "Var")
    model = Var(count(ddof, "Var", 0, 2))
    model.mean, model._S = load_mean((n, mean)), real(squares, "Var", 0)
    if model._S and not model.n:
        raise StateError("stored Var has a value but no observation")
    return model


def dump_gaussian_scorer(model: Any) -> Dump:
    """Return (grace period, observations, mean, sum of squared deviations); refuses one with a window."""
    if model.window_size:
        raise ValueError("a GaussianScorer over a window cannot be stored")
    return (model.grace_period, *dump_var(model.gaussian._var)[1:])


def load_gaussian_scorer(values: object) -> Any:
    """Rebuild from `dump_gaussian_scorer`; raises `StateError`."""
    grace_period, n, mean, squares = sequence(values, 4, "GaussianScorer")
    model: Any = GaussianScorer(grace_period=count(grace_period, "GaussianScorer"))
    model.gaussian._var = load_var((1, n, mean, squares))
    return model
