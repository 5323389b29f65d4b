"""Topic administration on the real broker."""

from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from support import until

from streams.config import Settings
from streams.runtime.kafka_client import reach
from streams.runtime.topics import (
    check_topics,
    create_topics,
    describe_topics,
    state_topic,
    topic_name,
    topic_specs,
)

pytestmark = pytest.mark.system


def test_what_create_makes_passes_the_check_and_a_second_create_makes_nothing(make_settings: Callable[..., Settings]):
    """Every topic is made once, as it is needed."""
    settings = make_settings(request_partitions=3, sighting_partitions=2)

    first, second = create_topics(settings), create_topics(settings)

    assert sorted(each.name for each in topic_specs(settings)) == sorted(first)
    assert [] == second
    assert [] == check_topics(settings)
    states = describe_topics(settings)
    assert 3 == states[state_topic(settings, "accounts")].partitions
    assert 2 == states[state_topic(settings, "tokens")].partitions
    assert 1 == states[state_topic(settings, "campaigns")].partitions
    assert "compact" == states[topic_name(settings, "progress")].configs["cleanup.policy"]


def test_missing_topics_are_found(make_settings: Callable[..., Settings]):
    """On an empty cluster every topic is reported as missing."""
    settings = make_settings()
    assert [(each.name, "missing") for each in topic_specs(settings)] == [
        (finding.topic, finding.level) for finding in check_topics(settings)
    ]


def test_differences_are_named_with_what_is_needed(make_settings: Callable[..., Settings]):
    """Partition count, policy and retention of existing topics are compared with the settings; create leaves them."""
    settings = make_settings()
    admin = reach(settings)
    state, requests = state_topic(settings, "accounts"), topic_name(settings, "requests")
    made = [
        NewTopic(state, 4, 1, config={"cleanup.policy": "delete"}),
        NewTopic(requests, 5, 1, config={"retention.ms": "60000", "retention.bytes": "1000000"}),
    ]
    for future in admin.create_topics(made).values():
        future.result(20)

    create_topics(settings, admin)
    found = {(each.topic, each.level, each.what, each.found, each.needed) for each in check_topics(settings, admin)}

    assert {
        (state, "wrong", "cleanup.policy", "delete", "compact"),
        (requests, "wrong", "partitions", "5", "4"),
        (requests, "wrong", "retention.ms", "60000", "at least 604800000"),
        (requests, "note", "retention.bytes", "1000000", "-1"),
        (state, "note", "segment.bytes", "1073741824", "at most 16777216"),
        (state, "note", "max.compaction.lag.ms", "9223372036854775807", "at most 600000"),
        (state, "wrong", "max.message.bytes", "1048588", "at least 4000000"),
    } == found


def test_a_topic_that_cannot_be_written_is_found(make_settings: Callable[..., Settings]):
    """More in-sync replicas demanded than there are replicas is wrong, not a note."""
    settings = make_settings()
    admin = reach(settings)
    create_topics(settings, admin)
    name = topic_name(settings, "evidence")
    entry = ConfigEntry("min.insync.replicas", "2", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)

    expected = [(name, "wrong", "min.insync.replicas")]
    assert until(lambda: expected == [(each.topic, each.level, each.what) for each in check_topics(settings, admin)])


def test_more_retention_than_needed_is_fine(make_settings: Callable[..., Settings]):
    """Only less is a fault: the cluster may keep records longer."""
    settings = make_settings()
    create_topics(settings)
    shorter = msgspec.structs.replace(
        settings, kafka=msgspec.structs.replace(settings.kafka, requests_retention_ms=1_000, alerts_retention_ms=1_000)
    )
    assert [] == check_topics(shorter)
