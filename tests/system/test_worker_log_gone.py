"""What a running worker does when its input is cut off, deleted or made anew under it: it never goes on in silence."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from support import until
from workers import WorkerProcess, committed, delete_topic, logs_of, make_events, produce, settled, topics_made

from streams.config import Settings
from streams.runtime.kafka_client import reach
from streams.runtime.topics import create_topics

pytestmark = pytest.mark.system

FIRST = 1_000


def at_work(settings: Settings, worker: WorkerProcess) -> dict[int, int]:
    """Let a worker work the first events through and commit them; return the ends of the partitions."""
    produce(settings, make_events(FIRST, even=True))
    ends = {partition: len(log) for partition, log in logs_of(make_events(FIRST, even=True)).items()}
    topic = settings.kafka.requests_topic
    assert until(lambda: settled(settings, worker)), worker.log()
    assert until(lambda: committed(settings, "accounts", topic, len(ends)) == ends), worker.log()
    return ends


def test_retention_that_overtakes_a_running_worker_ends_it(make_settings: Callable[..., Settings], tmp_path: Path):
    """Records that it has not read are gone: exit 4 and how many, although the fetch goes on at the log's new start."""
    settings = make_settings(session_timeout_s=120)
    create_topics(settings)
    with WorkerProcess(settings, tmp_path) as worker:
        ends = at_work(settings, worker)
        worker.signal(signal.SIGSTOP)
        produce(settings, make_events(20_000, seed=8, even=True))
        gone = [TopicPartition(settings.kafka.requests_topic, each, end + 1_500) for each, end in ends.items()]
        admin = reach(settings)
        for future in admin.delete_records(gone).values():
            future.result(30)
        worker.signal(signal.SIGCONT)

        assert 4 == worker.wait(), worker.log()
    assert "retention has passed them" in worker.log()


def test_a_topic_made_anew_under_a_running_worker_ends_it(make_settings: Callable[..., Settings], tmp_path: Path):
    """It does not notice the deletion, and the new log is shorter: exit 4, and no record is passed over as read."""
    settings = make_settings(session_timeout_s=120)
    create_topics(settings)
    with WorkerProcess(settings, tmp_path) as worker:
        at_work(settings, worker)
        worker.signal(signal.SIGSTOP)
        delete_topic(settings, settings.kafka.requests_topic)
        assert until(lambda: topics_made(settings))
        produce(settings, make_events(200, seed=9, even=True))
        worker.signal(signal.SIGCONT)

        assert 4 == worker.wait(), worker.log()
    assert "was made anew" in worker.log()


def test_a_topic_deleted_under_a_running_worker_ends_it(make_settings: Callable[..., Settings], tmp_path: Path):
    """The group shares out nothing then; who waits for a share waits for ever: exit 3, and which topic."""
    settings = make_settings()
    create_topics(settings)
    with WorkerProcess(settings, tmp_path) as worker:
        at_work(settings, worker)
        delete_topic(settings, settings.kafka.requests_topic)

        assert 3 == worker.wait(), worker.log()
    assert f"{settings.kafka.requests_topic} has 0 partitions, needed: 4" in worker.log()
