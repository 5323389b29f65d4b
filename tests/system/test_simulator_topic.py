"""`stillwatch simulate --topic` on a real broker."""

import json
import time

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.commands.simulate import simulate
from streams.contracts.hashing import partition_of
from streams.simulator.generate import generate
from streams.simulator.plan import Plan

pytestmark = pytest.mark.system

PARTITIONS = 3
DEADLINE_S = 180


def read_all(bootstrap, topic, count):
    """Read the first ``count`` records of a topic."""
    settings = {"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    found, until = [], time.monotonic() + DEADLINE_S
    while len(found) < count and time.monotonic() < until:
        found += consumer.consume(count - len(found), 0.5)
    consumer.close()
    return found


def test_a_topic_gets_every_event_where_kafkas_partitioner_puts_it(kafka):
    """Records are the library's events, keyed by account, on the partition of Java's default partitioner, in order."""
    topic = "simulated.requests"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(DEADLINE_S)
    arguments = ["--accounts", "60", "--hours", "0.5", "--campaigns", "none", "--topic", topic, "--json"]
    result = CliRunner().invoke(simulate, [*arguments, "--bootstrap", kafka.bootstrap])
    assert 0 == result.exit_code, result.output
    events = list(generate(Plan(accounts=60, hours=0.5)))
    assert len(events) == json.loads(result.stdout)["events"]

    records = read_all(kafka.bootstrap, topic, len(events))

    for partition in range(PARTITIONS):
        expected = [(e.account_id, e.value) for e in events if partition_of(e.account_id, PARTITIONS) == partition]
        assert expected == [(r.key().decode(), r.value()) for r in records if r.partition() == partition]


def test_speed_paces_event_time(kafka):
    """At 600 times real time, 12 minutes of event time take at least a second and are all there."""
    topic = "paced.requests"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(DEADLINE_S)
    arguments = ["--accounts", "60", "--hours", "0.2", "--campaigns", "none", "--topic", topic, "--speed", "600"]
    began = time.monotonic()
    result = CliRunner().invoke(simulate, [*arguments, "--bootstrap", kafka.bootstrap, "--json"])
    events = list(generate(Plan(accounts=60, hours=0.2)))

    assert time.monotonic() - began > (events[-1].time_ms - events[0].time_ms) / 1_000 / 600
    assert len(events) == json.loads(result.stdout)["events"] == len(read_all(kafka.bootstrap, topic, len(events)))


@pytest.mark.parametrize(
    ("bootstrap", "message"), [("127.0.0.1:1", "No Kafka answers at 127.0.0.1:1"), (None, "no topic absent.requests")]
)
def test_a_cluster_or_topic_that_is_not_there_is_an_error(kafka, bootstrap, message):
    """Without a broker or the topic the command ends with status 3, says which, and produces nothing."""
    arguments = ["--accounts", "20", "--hours", "0.1", "--campaigns", "none", "--topic", "absent.requests"]
    result = CliRunner().invoke(simulate, [*arguments, "--bootstrap", bootstrap or kafka.bootstrap])

    assert 3 == result.exit_code
    assert message in result.output
