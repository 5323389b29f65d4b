"""Delete everything that workers remember, so that they begin with the oldest request that is kept."""

import time

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.errors import BrokerError, StateError, TopicError
from streams.operator import ALERTS, DEAD_LETTERS, REQUESTS
from streams.runtime.topics import ADMIN_TIMEOUT_S, STAGES, create_topics, topic_specs

KEPT = (REQUESTS, DEAD_LETTERS)  # what is somebody else's as well
OVER = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


def remembered(settings: Settings, alerts: bool) -> tuple[list[str], list[str]]:
    """Return the consumer groups, and the topics, that a reset deletes; ``alerts``: that of the alerts, too.

    All stages at once: what one stage counts as taken in from another are places in that one's input.
    """
    groups = [f"{settings.kafka.group_prefix}-{stage}" for stage in STAGES]
    return groups, [s.name for s in topic_specs(settings) if s.role not in KEPT and (alerts or s.role != ALERTS)]


def reset(settings: Settings, admin: AdminClient, alerts: bool = False) -> list[str]:
    """Delete groups and topics, make the topics again, and return what was deleted. Once more if it was interrupted.

    Raises `StateError` if workers run, before anything is deleted, `TopicError` and `BrokerError` if Kafka refuses.
    """
    groups, topics = remembered(settings, alerts)
    if busy := [group for group in groups if _has_members(admin, group)]:
        raise StateError(
            f"Workers still run: members of {', '.join(busy)}. Stop all workers; one "
            f"that was killed counts until its session is over ({settings.kafka.session_timeout_s} s)."
        )
    deleted = []
    for group, future in admin.delete_consumer_groups(groups, request_timeout=ADMIN_TIMEOUT_S).items():
        try:
            future.result()
            deleted.append(group)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise BrokerError(f"The consumer group {group} cannot be deleted: {error.args[0].str()}.") from error
    there = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    if topics := [name for name in topics if name in there]:
        for name, future in admin.delete_topics(topics, operation_timeout=ADMIN_TIMEOUT_S).items():
            try:
                future.result()
                deleted.append(name)
            except KafkaException as error:
                raise TopicError(f"Topic {name} cannot be deleted: {error.args[0].str()}.") from error
    _wait_until_gone(admin, set(topics))
    create_topics(settings, admin)
    return deleted


def _has_members(admin: AdminClient, group: str) -> bool:
    try:
        found = admin.describe_consumer_groups([group], request_timeout=ADMIN_TIMEOUT_S)[group].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:  # Kafka 4; before, such a group is dead
            return False
        raise BrokerError(f"The consumer group {group} cannot be described: {error.args[0].str()}.") from error
    return found.state not in OVER


def _wait_until_gone(admin: AdminClient, topics: set[str]) -> None:
    deadline = time.monotonic() + ADMIN_TIMEOUT_S
    while left := topics & set(admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics):
        if time.monotonic() > deadline:
            raise TopicError(f"Deleted, but still there: {', '.join(sorted(left))}. Run the command again.")
        time.sleep(0.02)
