"""Laws that every stored River model keeps; a new model is one entry of `MODELS` and one of `CASES`."""

import copy
import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import anomaly, drift, proba, sketch, stats

from streams.errors import StateError
from streams.models import MODELS, make_half_space_trees

FEATURES = ("gap_s", "hour", "size")


class Case(NamedTuple):
    """How to make a model, draw one input, show it to the model, and see what the model says."""

    make: Callable[[], Any]
    draw: Callable[[random.Random], Any]
    learn: Callable[[Any, Any], None]
    observe: Callable[[Any, Any], list[float | None]]


def update(model: Any, x: Any) -> None:
    model.update(x)


def get(model: Any, x: Any) -> list[float | None]:
    return [model.get()]


def number(rng: random.Random) -> float:
    """Draw from a mixture of scales, ties and a level shift, as gaps and sizes have."""
    kind = rng.randrange(4)
    return [rng.gauss(0, 1), rng.expovariate(0.001), float(rng.randrange(4)), 50 + rng.random()][kind]


def row(rng: random.Random) -> dict[str, float]:
    return {name: rng.random() for name in FEATURES}


STATISTICS = {
    "mean": stats.Mean,
    "var": stats.Var,
    "ewmean": lambda: stats.EWMean(0.3),
    "ewvar": lambda: stats.EWVar(0.05),
    "quantile": lambda: stats.Quantile(0.9),
}
CASES = {name: Case(make, number, update, get) for name, make in STATISTICS.items()} | {
    "entropy": Case(lambda: stats.Entropy(0.99), lambda rng: rng.randrange(24), update, get),
    "page_hinkley": Case(
        lambda: drift.PageHinkley(min_instances=10, threshold=200),
        number,
        update,
        lambda model, x: [model.drift_detected, model._sum_increase, model._x_mean.get()],
    ),
    "adwin": Case(
        lambda: drift.ADWIN(delta=0.01, clock=8),
        lambda rng: number(rng) if rng.randrange(300) else 1e6 * rng.random(),
        update,
        lambda model, x: [model.drift_detected, model.width, model.total, model.variance, model.n_detections],
    ),
    "beta": Case(
        lambda: proba.Beta(2, 5),
        lambda rng: rng.random() < 0.2,
        update,
        lambda model, x: [model.mode, model.cdf(0.3), model.n_samples],
    ),
    "gaussian_scorer": Case(
        lambda: anomaly.GaussianScorer(grace_period=20),
        number,
        lambda model, x: model.learn_one(None, x),
        lambda model, x: [model.score_one(None, x)],
    ),
    "heavy_hitters": Case(
        lambda: sketch.HeavyHitters(support=0.001, epsilon=0.005),
        lambda rng: [rng.randrange(10), f"token{int(rng.paretovariate(0.7)) % 100_000}"][rng.randrange(2)],
        update,
        lambda model, x: [model[x], float(len(model._entries)), *(item[1] for item in model.most_common(5))],
    ),
    "half_space_trees": Case(
        lambda: make_half_space_trees(dict.fromkeys(FEATURES, (0.0, 1.0)), seed=7),
        row,
        lambda model, x: model.learn_one(x),
        lambda model, x: [model.score_one(x)],
    ),
}
everywhere = pytest.mark.parametrize("name", MODELS)


def taught(name: str, updates: int, seed: int = 1) -> tuple[Any, random.Random]:
    case, rng = CASES[name], random.Random(seed)
    model = case.make()
    for _ in range(updates):
        case.learn(model, case.draw(rng))
    return model, rng


def said(name: str, model: Any, rng: random.Random, updates: int = 1_000) -> list[list[float | None]]:
    """Return what the model says before and after each of the next updates."""
    case, heard = CASES[name], []
    for _ in range(updates):
        x = case.draw(rng)
        heard.append(case.observe(model, x))
        case.learn(model, x)
        heard.append(case.observe(model, x))
    return heard


def stored(name: str, model: Any) -> bytes:
    return msgspec.msgpack.encode(MODELS[name].dump(model))


def test_every_model_has_a_case():
    """The laws below run over everything that is registered."""
    assert set(MODELS) == set(CASES)
    assert {name: model.river for name, model in MODELS.items()} == {
        name: type(case.make()) for name, case in CASES.items()
    }


@everywhere
def test_same_inputs_give_the_same_outputs(name):
    """Two models that are made alike and shown the same inputs say the same."""
    assert said(name, *taught(name, 500)) == said(name, *taught(name, 500))


@everywhere
@pytest.mark.parametrize("updates", [0, 1, 3, 5, 7, 99, 100, 777, 5_000])
def test_stored_model_goes_on_bit_by_bit(name, updates):
    """A model that went through msgpack says the same as the original over the next 1,000 updates."""
    model, rng = taught(name, updates)
    restored = MODELS[name].load(msgspec.msgpack.decode(stored(name, model)))

    assert stored(name, model) == stored(name, restored)
    expected = said(name, model, copy.deepcopy(rng))
    assert expected == said(name, restored, rng)
    assert stored(name, model) == stored(name, restored)


@everywhere
def test_storing_does_not_change_the_model(name):
    """A model that is dumped after each update says the same as one that never is."""
    expected = said(name, *taught(name, 0), updates=300)
    model, rng = taught(name, 0)
    heard = []
    for _ in range(300):
        MODELS[name].dump(model)
        heard += said(name, model, rng, updates=1)

    assert expected == heard


@everywhere
def test_dump_is_flat_plain_numbers(name):
    """A dump holds integers, floats and names only, none of them a bool or NaN, at every age."""
    for updates in (0, 1, 5, 2_000):
        dump = MODELS[name].dump(taught(name, updates)[0])
        assert {type(value) for value in dump} <= {int, float, str}
        assert not any(isinstance(value, float) and math.isnan(value) for value in dump)


@pytest.mark.parametrize("name", sorted({*STATISTICS, "entropy", "page_hinkley", "adwin", "gaussian_scorer"}))
def test_numpy_numbers_leave_no_trace(name):
    """A model that is fed numpy's numbers is stored as the same bytes as one that is fed Python's."""
    case, rng = CASES[name], random.Random(5)
    ours, theirs = case.make(), case.make()
    for _ in range(300):
        x = rng.randrange(24)
        case.learn(ours, x)
        case.learn(theirs, np.int64(x))

    assert stored(name, ours) == stored(name, theirs)
    assert {type(value) for value in MODELS[name].dump(theirs)} <= {int, float}


@everywhere
def test_what_it_says_is_finite(name):
    """No score or statistic is NaN or infinite, from the first update on."""
    heard = [value for values in said(name, *taught(name, 1), updates=2_000) for value in values]
    assert all(value is None or math.isfinite(value) for value in heard)


@everywhere
def test_memory_is_bounded(name):
    """A dump never has more numbers than the registry says, after many and varied inputs."""
    model, rng = taught(name, 0)
    case, longest = CASES[name], 0
    for turn in range(30_000):
        case.learn(model, case.draw(rng))
        if turn % 199 == 0:
            longest = max(longest, len(MODELS[name].dump(model)))

    assert 0 < longest <= MODELS[name].max_numbers


def test_order_of_features_is_irrelevant():
    """A forest that is shown its features in another order, and made with them so, says the same."""
    name = "half_space_trees"
    backwards = make_half_space_trees(dict.fromkeys(reversed(FEATURES), (0.0, 1.0)), seed=7)
    forwards, rng, same = CASES[name].make(), random.Random(2), random.Random(2)
    expected = said(name, forwards, rng)
    heard = []
    for _ in range(1_000):
        x = dict(reversed(row(same).items()))
        heard.append([backwards.score_one(x)])
        backwards.learn_one(x)
        heard.append([backwards.score_one(x)])

    assert expected == heard
    assert MODELS[name].dump(forwards) == MODELS[name].dump(backwards)


def test_forest_scores_the_odd_higher_than_the_usual():
    """A forest taught on one corner scores the opposite corner higher, also after it was stored."""
    rng = random.Random(4)
    model = CASES["half_space_trees"].make()
    for _ in range(400):
        model.learn_one({name: 0.2 * rng.random() for name in FEATURES})
    restored = MODELS["half_space_trees"].load(MODELS["half_space_trees"].dump(model))

    usual, odd = dict.fromkeys(FEATURES, 0.1), dict.fromkeys(FEATURES, 0.9)
    assert restored.score_one(odd) > restored.score_one(usual)


NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(0, 8),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, math.nan, 2**32 - 1, 2**31, True, None, "x", b"", []]),
)
DUMPS = {name: [MODELS[name].dump(taught(name, updates)[0]) for updates in (0, 4, 60, 700)] for name in MODELS}


@st.composite
def corrupt(draw: Any, name: str) -> list[Any]:
    """A real dump with some numbers replaced, removed, repeated or swapped."""
    values = list(draw(st.sampled_from(DUMPS[name])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(values) - 1)))
        match draw(st.integers(0, 4)):
            case 0 | 1:
                values[at : at + 1] = [draw(NUMBERS)]
            case 2:
                del values[at : at + draw(st.integers(1, 5))]
            case 3:
                values[at:at] = values[at : at + draw(st.integers(1, 5))]
            case 4:
                values[at:] = reversed(values[at:])
    return values


@everywhere
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_corrupt_state_is_refused_or_harmless(name, data):
    """Whatever a dump was turned into, load raises StateError or returns a model that works: it never panics."""
    values = data.draw(corrupt(name))
    try:
        model = MODELS[name].load(values)
    except StateError:
        return
    said(name, model, random.Random(3), updates=150)
    MODELS[name].load(MODELS[name].dump(MODELS[name].load(values)))


@everywhere
@settings(max_examples=50, deadline=None)
@given(values=st.one_of(st.lists(NUMBERS, max_size=40), st.binary(), st.none(), st.dictionaries(st.text(), NUMBERS)))
def test_what_was_never_a_dump_is_refused(name, values):
    """Arbitrary values are refused with StateError, or are by chance a dump of a working model."""
    try:
        model = MODELS[name].load(values)
    except StateError:
        return
    said(name, model, random.Random(3), updates=20)


@everywhere
def test_truncated_state_is_refused(name):
    """A dump that lost its last number, or has one too many, is a StateError."""
    for dump in DUMPS[name]:
        for values in (dump[:-1], (*dump, 1), ()):
            with pytest.raises(StateError):
                MODELS[name].load(values)


def test_unbounded_use_is_refused():
    """Models that would grow or cannot be rebuilt are refused when they are stored, not when they are needed."""
    entropy = stats.Entropy()
    for code in range(257):
        entropy.update(code)
    windowed = anomaly.GaussianScorer(window_size=10)

    with pytest.raises(ValueError, match="not bounded"):
        MODELS["entropy"].dump(entropy)
    with pytest.raises(ValueError, match="window"):
        MODELS["gaussian_scorer"].dump(windowed)
