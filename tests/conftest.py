"""Shared fixtures: one real broker for all system tests, and names of their own for each of them."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from taking_turns import turn

from streams.config import Settings
from streams.runtime.broker import LocalBroker

RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")  # of all processes of a parallel run
IDLE_AFTER_S = 600  # runs are equal where no partition was declared idle

# Where the machine stands still for seconds, a broker is fenced and deadlines pass: a system test gets a second try,
# which the summary tells of.
AGAIN = pytest.mark.flaky(reruns=1)
LONG = ("slow", "system")  # marks of files with long tests, the longest first

_counter = itertools.count(1)

# A slow or busy machine is no failure: how long an example takes says nothing.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files: long ones first, so that no process is left with one at the end; those of ``alone`` tests last.

    By then what they need is compiled, and waiting for each other keeps nobody from other tests.
    """
    marks: dict[Path, set[str]] = {}
    for item in items:
        if item.get_closest_marker("system"):
            item.add_marker(AGAIN)
        marks.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    items.sort(key=lambda item: ["alone" in marks[item.path], *(name not in marks[item.path] for name in LONG)])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let tests that are marked ``alone`` have the machine to themselves."""
    if not RUN:
        return (yield)
    with turn(RUN, alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def kafka() -> Iterator[LocalBroker]:
    """A real Apache Kafka on a free port; without Java or Maven the tests fail and say what to install."""
    with LocalBroker() as broker:
        yield broker


def private_settings(bootstrap: str, base: Settings | None = None, **kafka: object) -> Settings:
    """Return settings whose topics and groups nobody else uses; ``kafka`` replaces fields of that section."""
    base = base or Settings()
    if base.time.idle_after_s == Settings().time.idle_after_s:  # what a slow machine delays must not count as idle:
        base = msgspec.structs.replace(base, time=msgspec.structs.replace(base.time, idle_after_s=IDLE_AFTER_S))
    name = f"t{os.getpid()}-{next(_counter)}"
    section = msgspec.structs.replace(
        base.kafka,
        bootstrap=bootstrap,
        group_prefix=name,
        internal_prefix=name,
        requests_topic=f"{name}.requests",
        alerts_topic=f"{name}.alerts",
        dead_letters_topic=f"{name}.requests.dlq",
        **kafka,
    )
    return msgspec.structs.replace(base, kafka=section)


@pytest.fixture
def make_settings(kafka: LocalBroker) -> Callable[..., Settings]:
    """Make settings for the shared broker, with topics and groups of their own at each call."""
    return lambda base=None, **fields: private_settings(kafka.bootstrap, base, **fields)
