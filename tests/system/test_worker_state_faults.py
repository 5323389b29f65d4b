"""State that cannot be believed: the worker says so and ends, before it has taken in a record or written one."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from live import metric, real_worker
from support import until
from workers import WorkerProcess, committed, drain, expected_alerts, make_events, produce, read_alerts, read_topic

from streams.config import Settings
from streams.operator import MARKER_KEY
from streams.runtime.kafka_client import producer_config
from streams.runtime.topics import create_topics, state_topic
from streams.state import STATE_VERSION

pytestmark = pytest.mark.system


def put(settings: Settings, stage: str, partition: int, value: bytes) -> None:
    """Write a marker of one partition of a stage."""
    producer = Producer(producer_config(settings))
    producer.produce(state_topic(settings, stage), value, MARKER_KEY, partition)
    assert 0 == producer.flush(30)


@pytest.mark.parametrize(
    ("stage", "damage", "message"),
    [
        pytest.param(
            "accounts", lambda value: value[:-1] + bytes([value[-1] ^ 1]), "truncated or corrupt", id="corrupt"
        ),
        pytest.param("tokens", lambda value: value[:-3], "truncated or", id="truncated"),
        pytest.param(
            "campaigns",
            lambda value: value[:2] + bytes([STATE_VERSION + 1]) + value[3:],
            f"a newer Stillwatch (format {STATE_VERSION + 1}, this one reads up to {STATE_VERSION})",
            id="newer",
        ),
    ],
)
def test_state_that_cannot_be_believed_is_not_used(
    make_settings: Callable[..., Settings],
    tmp_path: Path,
    stage: str,
    damage: Callable[[bytes], bytes],
    message: str,
):
    """Exit 4 and why; nothing is taken in, and with the record put right the work goes on as if nothing had been."""
    settings = make_settings()
    create_topics(settings)
    events = make_events(2_000)
    produce(settings, events[:1_000])
    with WorkerProcess(settings, tmp_path) as worker:
        while not read_topic(settings, state_topic(settings, stage)):
            assert worker.process.poll() is None, worker.log()
        worker.end()
    places = committed(settings, "accounts", settings.kafka.requests_topic, 4)
    markers = [each.value() for each in read_topic(settings, state_topic(settings, stage)) if each.key() == MARKER_KEY]
    produce(settings, events[1_000:])

    put(settings, stage, 0, damage(markers[-1]))
    with WorkerProcess(settings, tmp_path, "--stages", stage) as worker:
        assert 4 == worker.wait(), worker.log()
    assert message in worker.log()
    assert "Traceback" not in worker.log()
    assert places == committed(settings, "accounts", settings.kafka.requests_topic, 4)

    put(settings, stage, 0, markers[-1])
    drain(settings, tmp_path)
    assert expected_alerts(settings, events) == set(read_alerts(settings))


def test_state_of_other_settings_is_told(make_settings: Callable[..., Settings], tmp_path: Path):
    """A worker whose settings decide otherwise goes on with the state, says so, and its metrics do."""
    settings = make_settings()
    create_topics(settings)
    produce(settings, make_events(1_000))
    told = "state was made by other code or other settings"
    with real_worker(settings, tmp_path) as worker:
        assert until(lambda: read_topic(settings, state_topic(settings, "accounts"), range(4))), worker.log()
        worker.end()
        assert told not in worker.log()
    campaigns = msgspec.structs.replace(settings.campaigns, false_cases_per_day=0.5)
    with real_worker(msgspec.structs.replace(settings, campaigns=campaigns), tmp_path) as worker:
        assert until(lambda: worker.assigned().get("accounts")), worker.log()
        assert told in worker.log()
        assert until(lambda: metric(worker, "stillwatch_state_made_otherwise_total", stage="accounts") > 0)
        worker.end()
