"""Store River's Beta distribution over a share; it is used for its counts and `cdf`, never to draw samples."""

from typing import Any

from river.proba import Beta

from streams.errors import StateError

from .checked import Dump, real, sequence


def dump_beta(model: Beta) -> Dump:
    """Return (alpha and beta of the prior, alpha, beta)."""
    return (float(model._alpha), float(model._beta), float(model.alpha), float(model.beta))


def load_beta(values: object) -> Beta:
    """Rebuild from `dump_beta`; raises `StateError`."""
    prior_alpha, prior_beta, alpha, beta = (real(value, "Beta", 1e-9) for value in sequence(values, 4, "Beta"))
    if alpha < prior_alpha or beta < prior_beta:
        raise StateError("stored Beta has seen less than nothing")
    model: Any = Beta(prior_alpha, prior_beta)  # type: ignore[arg-type]  # River takes floats, but says int
    model.alpha, model.beta = alpha, beta
    return model
