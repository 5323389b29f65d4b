"""Crashes between any two steps, of one stage or of all, leave no trace but repeated records."""

from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from law_traffic import SETTINGS, by_partition, golden, traffic
from list_broker import ListBroker


@cache
def undisturbed() -> ListBroker:
    """Return a run without crashes, in large batches."""
    broker = ListBroker(SETTINGS, by_partition(traffic()))
    broker.run(Random(1), most=10_000, checkpoint_share=0)
    return broker


STAGES = ("accounts", "tokens", "campaigns")


@pytest.mark.parametrize("crashing", [*((stage,) for stage in STAGES), STAGES], ids="+".join)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_crash_anywhere(crashing, seed):
    """A run with crashes gives the golden alerts; what comes twice is the same record again."""
    broker = ListBroker(SETTINGS, by_partition(traffic()))
    broker.run(Random(seed), most=60, crashing=crashing)
    assert sum(host.crashes for host in broker.hosts) > 0
    assert undisturbed().items() == broker.items()
    assert golden() == broker.once()
