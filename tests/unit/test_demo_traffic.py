"""The demo's traffic: everything is sent, in order and in time, and it can be ended."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from support import until

import streams.demo.traffic as module
from streams.demo.traffic import Traffic
from streams.errors import BrokerError
from streams.simulator.campaigns import SHAPES
from streams.simulator.generate import Event, generate
from streams.simulator.plan import Plan

PLAN = Plan(seed=5, accounts=60, hours=1.0, campaigns=(SHAPES["fixed_prompt"].default,))


class Sink:
    """Stands in for the producer: keeps events and the traffic's clock when each was sent."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.events: list[Event] = []
        self.clocks: list[int] = []

    def produce(
        self, events: Iterable[Event], topic: str, config: Any, report: Any, stop: Callable[[], bool] = lambda: False
    ) -> int:
        """As `streams.simulator.sinks.produce`."""
        for event in events:
            if stop():
                break
            self.events.append(event)
            self.clocks.append(self.traffic.clock_ms)
        return len(self.events)


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Sink:
    """Traffic that is being made, and where it goes."""
    found = Sink(Traffic(PLAN))
    monkeypatch.setattr(module, "produce", found.produce)
    found.traffic.prepare()
    return found


def test_all_events_are_sent_in_order_and_none_before_its_time(sink):
    """What the worker gets is the plan, byte for byte, at the pace of the clock."""
    sink.traffic.flow("topic", {}, seconds=1.0)

    assert until(lambda: sink.traffic.done)
    sink.traffic.stop()

    assert list(generate(PLAN)) == sink.events
    assert all(event.time_ms <= clock for event, clock in zip(sink.events, sink.clocks, strict=True))
    assert (len(sink.events), sink.events[-1].time_ms) == (sink.traffic.arrived, sink.traffic.last_ms)


def test_ease_holds_the_traffic_back(sink):
    """With the ease near 0 the clock hardly moves: a worker that lags is not buried."""
    sink.traffic.ease = 1e-6
    sink.traffic.flow("topic", {}, seconds=1.0)

    assert until(lambda: sink.traffic.speed > 0)
    assert sink.traffic.speed <= 1.5e-6 * sink.traffic.nominal
    assert not sink.traffic.done
    sink.traffic.stop()


def test_stop_ends_traffic_that_flows(sink):
    """Ctrl-C does not wait for the end of the plan, and what was cut off is not called done."""
    sink.traffic.flow("topic", {}, seconds=60.0)
    assert until(lambda: sink.traffic.sent > 0)

    sink.traffic.stop()

    assert not sink.traffic.done


def test_failure_of_the_producer_reaches_the_demo(sink, monkeypatch):
    """A broker that refuses ends the demo; it must not wait for ever."""

    def refuse(*_: Any, **__: Any) -> int:
        raise BrokerError("no")

    monkeypatch.setattr(module, "produce", refuse)
    sink.traffic.flow("topic", {}, seconds=1.0)

    with pytest.raises(BrokerError, match="no"):
        until(lambda: sink.traffic.done)
    sink.traffic.stop()
