"""Operators leave nothing that only a garbage collection would free: the worker hardly ever has one of all objects."""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from law_traffic import SETTINGS, traffic

from streams.accounts.account import AccountModels
from streams.replay import Replay


@pytest.fixture
def _by_hand() -> Iterator[None]:
    """Collect nothing, and keep what a collection finds."""
    enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    if enabled:
        gc.enable()


@pytest.mark.usefixtures("_by_hand")
def test_no_cycles_are_left_behind():
    """Groups go with their last use: a large cohort and its part, which held each other, kept 25 MB."""
    host = Replay(SETTINGS, lambda record: None)
    for line in traffic():
        host.feed(line.value)
    gc.collect()  # with the host still there: only what it has dropped can be garbage
    ours = ("streams.", "river.")
    own = Counter(type(each).__name__ for each in gc.garbage if type(each).__module__.startswith(ours))
    host.end()
    assert not own, f"held by cycles: {own.most_common(5)}"


@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize("stored", [False, True])
def test_models_of_an_account_go_with_it(stored: bool):
    """An evicted account takes its River models along, made here or restored: left behind, they fill the worker."""
    models = AccountModels()
    for gap_ms in (1_000, 1_000, 10_000_000):  # River's change detector begins anew after a change
        models.learn([gap_ms] * 8, [100] * 8, [200] * 8)
    if stored:
        models = AccountModels.load(models.dump())
    gc.collect()
    gc.garbage.clear()
    del models
    gc.collect()
    assert not gc.garbage
