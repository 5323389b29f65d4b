"""River models as this project stores them: plain numbers, never pickle.

The contract of each entry of `MODELS`: ``dump(model)`` gives a flat tuple that msgpack can carry, and ``load(dump)``
gives a model whose next updates and dumps are the same to the last bit (a number keeps its type: 1 is not 1.0).
``load`` trusts nothing: whatever it is given, it either returns a working model or raises `StateError` (River's
Rust-backed classes panic on corrupt bytes, past ``except Exception``). Feed finite numbers below 1e150 in size, whose
squares are finite too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from river import anomaly, drift, proba, sketch, stats

from .adwin import ADWIN_MAX_NUMBERS, dump_adwin, load_adwin
from .beta import dump_beta, load_beta
from .checked import Dump
from .entropy import CODES_MAX, dump_entropy, load_entropy
from .exponential import dump_ewmean, dump_ewvar, load_ewmean, load_ewvar
from .half_space_trees import (
    dump_half_space_trees,
    half_space_trees_max_numbers,
    load_half_space_trees,
    make_half_space_trees,
)
from .heavy_hitters import dump_heavy_hitters, heavy_hitters_max_numbers, load_heavy_hitters
from .moments import dump_gaussian_scorer, dump_mean, dump_var, load_gaussian_scorer, load_mean, load_var
from .page_hinkley import dump_page_hinkley, load_page_hinkley
from .quantile import dump_quantile, load_quantile

__all__ = [
    "MODELS",
    "Dump",
    "Model",
    "dump_adwin",
    "dump_beta",
    "dump_entropy",
    "dump_ewmean",
    "dump_ewvar",
    "dump_gaussian_scorer",
    "dump_half_space_trees",
    "dump_heavy_hitters",
    "dump_mean",
    "dump_page_hinkley",
    "dump_quantile",
    "dump_var",
    "load_adwin",
    "load_beta",
    "load_entropy",
    "load_ewmean",
    "load_ewvar",
    "load_gaussian_scorer",
    "load_half_space_trees",
    "load_heavy_hitters",
    "load_mean",
    "load_page_hinkley",
    "load_quantile",
    "load_var",
    "make_half_space_trees",
]


class Model(NamedTuple):
    """How one River class is stored; ``max_numbers`` bounds the length of a dump, and with it the memory."""

    river: type[Any]
    dump: Callable[[Any], Dump]
    load: Callable[[object], Any]
    max_numbers: int


MODELS: dict[str, Model] = {
    "mean": Model(stats.Mean, dump_mean, load_mean, 2),
    "var": Model(stats.Var, dump_var, load_var, 4),
    "ewmean": Model(stats.EWMean, dump_ewmean, load_ewmean, 3),
    "ewvar": Model(stats.EWVar, dump_ewvar, load_ewvar, 4),
    "quantile": Model(stats.Quantile, dump_quantile, load_quantile, 18),
    "entropy": Model(stats.Entropy, dump_entropy, load_entropy, 3 + 2 * CODES_MAX),
    "page_hinkley": Model(drift.PageHinkley, dump_page_hinkley, load_page_hinkley, 12),
    "adwin": Model(drift.ADWIN, dump_adwin, load_adwin, ADWIN_MAX_NUMBERS),
    "beta": Model(proba.Beta, dump_beta, load_beta, 4),
    "gaussian_scorer": Model(anomaly.GaussianScorer, dump_gaussian_scorer, load_gaussian_scorer, 4),
    "heavy_hitters": Model(
        sketch.HeavyHitters, dump_heavy_hitters, load_heavy_hitters, heavy_hitters_max_numbers(0.005)
    ),
    "half_space_trees": Model(
        anomaly.HalfSpaceTrees, dump_half_space_trees, load_half_space_trees, half_space_trees_max_numbers(8)
    ),
}
