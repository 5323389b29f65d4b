"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import streams

MODULES = [
    module.name
    for module in pkgutil.walk_packages(streams.__path__, "streams.")
    if not module.name.startswith("streams.bench.hosts.") and "__main__" not in module.name
]  # hosts need the group bench-hosts, which nothing else does


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Every example of a module gives what it says."""
    assert 0 == doctest.testmod(importlib.import_module(name)).failed
