"""A state machine over all hosts of all stages: whatever is done to them, in whatever order, gives the golden alerts.

Events come in order here but for what the machine does to them: it moves them within the lateness and repeats some. So
there is one golden result for all runs, over any number of partitions. More runs: `LAW_EXAMPLES`.
"""

import os
from functools import cache
from random import Random

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from law_traffic import IN_ORDER, SETTINGS, Line, alerts_of, by_partition, traffic
from list_broker import Host, ListBroker

from streams.config import Settings
from streams.operator import Record

EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "8"))
STEPS = 30
MOST_PARTITIONS = 8
REPEATED = 0.03  # of the events come twice, the second time within the lateness
LATENESS_MS = SETTINGS.time.lateness_ms


def settings_of(requests: int, sightings: int) -> Settings:
    """Return settings for so many partitions."""
    # a partition of so little traffic has gaps that look like a clock far ahead
    time = msgspec.structs.replace(SETTINGS.time, far_ahead_ms=12 * 3_600_000)
    kafka = msgspec.structs.replace(SETTINGS.kafka, request_partitions=requests, sighting_partitions=sightings)
    return msgspec.structs.replace(SETTINGS, time=time, kafka=kafka)


@cache
def golden() -> list[Record]:
    """Return the alerts of the events as they happened, over one partition."""
    return alerts_of(traffic(IN_ORDER), settings_of(1, 1))


def stirred(random: Random) -> list[Line]:
    """Return the events as they may reach the gateway: less than the lateness apart, an account's own in order."""
    last: dict[bytes, float] = {}
    moved = []
    for line in traffic(IN_ORDER):
        for again in range(1 + (random.random() < REPEATED)):
            at = line.time_ms + random.random() * (LATENESS_MS - 1)
            if not again:
                at = last[line.key] = max(at, last.get(line.key, 0.0))
            elif at < last[line.key]:
                continue  # the second would be the first
            moved.append((at, line))
    return [line for _, line in sorted(moved, key=lambda each: each[0])]


class Machine(RuleBasedStateMachine):
    """Hosts that read, deliver, take checkpoints and crash, one step at a time."""

    partitions = st.integers(1, MOST_PARTITIONS)
    seeds = st.integers(0, 2**32)
    hosts = st.integers(0, 2 * MOST_PARTITIONS)

    @initialize(requests=partitions, sightings=partitions, seed=seeds)
    def begin(self, requests, sightings, seed):
        """Choose the partitions, and how the events come."""
        self.chosen = settings_of(requests, sightings)
        self.requests = by_partition(stirred(Random(seed)), requests)
        self.broker = ListBroker(self.chosen, self.requests)

    def _host(self, number: int) -> Host:
        return self.broker.hosts[number % len(self.broker.hosts)]

    @rule(host=hosts, most=st.sampled_from([1, 2, 30, 1_000]))
    def read(self, host, most):
        """One host takes in a batch."""
        self._host(host).read(most)

    @rule(host=hosts, most=st.sampled_from([1, 3, None]))
    def deliver(self, host, most):
        """Some of what it has to say reaches the topics."""
        self._host(host).deliver(most)

    @rule(host=hosts, keys=st.sampled_from([None, 1, 7, 40]))
    def checkpoint(self, host, keys):
        """It commits so many keys."""
        self._host(host).checkpoint(keys)

    @rule(host=hosts, seed=seeds)
    def crash(self, host, seed):
        """It loses what it has not committed, after any part of its output was delivered."""
        self._host(host).crash(Random(seed))

    @rule(seed=seeds, steps=st.integers(1, 300))
    def work(self, seed, steps):
        """All go on for a while."""
        self.broker.work(Random(seed), steps)

    def teardown(self):
        """Once all is worked through, alerts and what passed between the stages are as if nothing had been."""
        if not hasattr(self, "broker"):
            return
        self.broker.run(Random(0), most=10_000, checkpoint_share=0)
        assert golden() == self.broker.once()
        plain = ListBroker(self.chosen, self.requests)
        plain.run(Random(0), most=10_000, checkpoint_share=0)
        assert golden() == plain.alerts
        assert plain.items() == self.broker.items()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None
)


def test_the_machine_has_something_to_tell():
    """The golden run has alerts, and stirring moves and repeats events."""
    lines = stirred(Random(1))
    assert golden()
    assert len(lines) > len(traffic(IN_ORDER))
    assert sorted(lines, key=lambda line: line.time_ms) != lines
