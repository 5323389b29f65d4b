"""A course of hundreds who all paste one homework that asks for the working is no campaign."""

import pytest

from streams.config import Settings
from streams.contracts.alert import decode_alert
from streams.operator import ALERTS, Record
from streams.replay import Replay
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan


@pytest.mark.parametrize("seed", [4, 18])
def test_a_course_is_no_case(seed: int) -> None:
    """Of 500 students, half on education plans, on campus and at home; both seeds were cases once."""
    cases = []

    def on_record(record: Record) -> None:
        if record.role == ALERTS:
            cases.append(decode_alert(record.value or b""))

    host = Replay(Settings(), on_record)
    for event in Simulation(Plan(seed=seed, accounts=300, hours=3.0, kinds={"course": 500})):
        host.feed(event.value)
    host.end()

    assert [] == cases
