"""The worker on a listener with SASL over TLS: Faust's consumers and confluent's producers take the same settings."""

from pathlib import Path

import pytest
from test_security import changed, secured  # noqa: F401
from test_worker_skeleton import expected_alerts
from workers import WorkerProcess, make_events, produce, read_alerts

from streams.config import Settings
from streams.runtime.topics import create_topics

pytestmark = pytest.mark.system


def test_the_worker_reads_and_writes_through_sasl_and_tls(secured: Settings, tmp_path: Path):  # noqa: F811
    """A drain gives what one process gives."""
    names = {"requests_topic": "worker.requests", "alerts_topic": "worker.alerts"}
    settings = changed(secured, group_prefix="worker", internal_prefix="worker", **names)
    create_topics(settings)
    events = make_events(500)
    produce(settings, events)

    with WorkerProcess(settings, tmp_path, "--drain") as worker:
        assert 0 == worker.wait(), worker.log()

    assert expected_alerts(settings, events) == set(read_alerts(settings))
    assert "correct horse" not in worker.log()
