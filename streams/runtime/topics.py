"""The topics Stillwatch reads and writes: what they must be like, making them, and telling what differs."""

import time
from collections.abc import Iterable
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its documented place, which its type hints do not re-export
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from msgspec import Struct

from streams.config import Settings
from streams.errors import TopicError
from streams.operator import ALERTS, DEAD_LETTERS, EVIDENCE, REQUESTS, SIGHTINGS
from streams.runtime.kafka_client import reach

PROGRESS = "progress"
STAGES = ("accounts", "tokens", "campaigns")
ADMIN_TIMEOUT_S = 20.0

# A restore reads the live state and what is not compacted yet: the active segment, which Kafka never compacts, and
# dirty records up to half of the log (Kafka's default ratio). 16 MiB are read in well under a tenth of a second.
STATE_SEGMENT_BYTES = 16 << 20
STATE_COMPACTION_LAG_MS = 600_000
PROGRESS_SEGMENT_BYTES = 1 << 20  # the least that Kafka 4 allows
PROGRESS_COMPACTION_LAG_MS = 60_000

Level = Literal["missing", "wrong", "note"]


class TopicSpec(Struct, frozen=True):
    """What a topic must be like; ``exact_partitions`` if another number of them would break the stages."""

    role: str
    name: str
    partitions: int
    exact_partitions: bool
    replication: int
    configs: dict[str, str]


class TopicState(Struct, frozen=True):
    """What a topic is like on the cluster."""

    name: str
    partitions: int
    replication: int
    configs: dict[str, str]


class Finding(Struct, frozen=True):
    """One difference: ``missing`` and ``wrong`` keep the worker from its work, a ``note`` only costs something."""

    topic: str
    level: Level
    what: str
    found: str
    needed: str
    advice: str


def topic_name(settings: Settings, role: str) -> str:
    """Return the name of the topic that has a role (`streams.operator`, or `PROGRESS`)."""
    kafka = settings.kafka
    names = {REQUESTS: kafka.requests_topic, ALERTS: kafka.alerts_topic, DEAD_LETTERS: kafka.dead_letters_topic}
    return names.get(role) or f"{kafka.internal_prefix}.{role}"


def state_topic(settings: Settings, stage: str) -> str:
    """Return the name of a stage's compacted state topic."""
    return f"{settings.kafka.internal_prefix}.{stage}.state"


def input_partitions(settings: Settings, stage: str) -> int:
    """Return the number of partitions of a stage's input topic, and so of its state topic."""
    return {"accounts": settings.kafka.request_partitions, "tokens": settings.kafka.sighting_partitions}.get(stage, 1)


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return every topic, in the order of the data flow."""
    kafka = settings.kafka
    kept = {"cleanup.policy": "delete"}
    large = {"max.message.bytes": str(kafka.max_record_bytes)}
    quorum = {"min.insync.replicas": "2" if kafka.replication_factor >= 3 else "1"}

    def spec(role: str, name: str, partitions: int, configs: dict[str, str], exact: bool = True) -> TopicSpec:
        return TopicSpec(role, name, partitions, exact, kafka.replication_factor, configs | quorum)

    def compacted(segment_bytes: int, lag_ms: int) -> dict[str, str]:
        return {
            "cleanup.policy": "compact",
            "segment.bytes": str(segment_bytes),
            "max.compaction.lag.ms": str(lag_ms),
        }

    def lasting(retention_ms: int) -> dict[str, str]:
        return kept | {"retention.ms": str(retention_ms)}

    named = {
        role: topic_name(settings, role) for role in (REQUESTS, SIGHTINGS, EVIDENCE, ALERTS, DEAD_LETTERS, PROGRESS)
    }
    state = compacted(STATE_SEGMENT_BYTES, STATE_COMPACTION_LAG_MS) | large
    internal = lasting(kafka.internal_retention_ms) | large
    return [
        spec(REQUESTS, named[REQUESTS], kafka.request_partitions, lasting(kafka.requests_retention_ms)),
        spec(SIGHTINGS, named[SIGHTINGS], kafka.sighting_partitions, internal),
        spec(EVIDENCE, named[EVIDENCE], 1, internal),
        spec(ALERTS, named[ALERTS], 1, lasting(kafka.alerts_retention_ms), exact=False),
        spec(DEAD_LETTERS, named[DEAD_LETTERS], 1, lasting(kafka.dead_letters_retention_ms) | large, exact=False),
        spec(PROGRESS, named[PROGRESS], 1, compacted(PROGRESS_SEGMENT_BYTES, PROGRESS_COMPACTION_LAG_MS)),
        *(
            spec(f"{stage} state", state_topic(settings, stage), input_partitions(settings, stage), state)
            for stage in STAGES
        ),
    ]


def create_topics(settings: Settings, admin: AdminClient | None = None) -> list[str]:
    """Make the topics that do not exist, wait until they have leaders, and return their names.

    Existing topics are left as they are: `check_topics` tells how they differ.
    Raises `BrokerError` if the cluster cannot be reached and `TopicError` if it refuses.
    """
    admin = reach(settings) if admin is None else admin  # a client has a length, and is false when idle
    there = set(admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics)
    specs = [each for each in topic_specs(settings) if each.name not in there]
    created = []
    if specs:
        new = [NewTopic(each.name, each.partitions, each.replication, config=each.configs) for each in specs]
        for name, future in admin.create_topics(new, operation_timeout=ADMIN_TIMEOUT_S).items():
            try:
                future.result()
                created.append(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another worker was faster
                    raise TopicError(f"Topic {name} cannot be created: {error.args[0].str()}.") from error
    _wait_for_leaders(admin, specs)
    return created


def _wait_for_leaders(admin: AdminClient, specs: Iterable[TopicSpec]) -> None:
    wanted = {each.name for each in specs}
    deadline = time.monotonic() + ADMIN_TIMEOUT_S
    while wanted:
        topics = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
        wanted = {name for name in wanted if name not in topics or not _led(topics[name])}
        if wanted and time.monotonic() > deadline:
            raise TopicError(f"Created, but still without a leader: {', '.join(sorted(wanted))}.")
        if wanted:
            time.sleep(0.02)


def _led(topic: Any) -> bool:
    return bool(topic.partitions) and all(partition.leader >= 0 for partition in topic.partitions.values())


def describe_topics(settings: Settings, admin: AdminClient | None = None) -> dict[str, TopicState]:
    """Return what is on the cluster, by name; topics that do not exist are left out."""
    admin = reach(settings) if admin is None else admin  # a client has a length, and is false when idle
    topics = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    names = [each.name for each in topic_specs(settings) if each.name in topics]
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    states = {}
    for resource, future in admin.describe_configs(resources, request_timeout=ADMIN_TIMEOUT_S).items():
        partitions = topics[resource.name].partitions
        replication = min(len(partition.replicas) for partition in partitions.values())
        try:
            configs = {name: entry.value or "" for name, entry in future.result().items()}
        except KafkaException as error:
            raise TopicError(f"Topic {resource.name} cannot be described: {error.args[0].str()}.") from error
        states[resource.name] = TopicState(resource.name, len(partitions), replication, configs)
    return states


def check_topics(settings: Settings, admin: AdminClient | None = None) -> list[Finding]:
    """Return how the topics on the cluster differ from what is needed; empty if nothing does."""
    states = describe_topics(settings, admin)
    findings: list[Finding] = []
    for spec in topic_specs(settings):
        if spec.name in states:
            findings += compare(spec, states[spec.name])
        else:
            findings.append(Finding(spec.name, "missing", "topic", "none", spec.role, "stillwatch topics create"))
    return findings


def compare(spec: TopicSpec, state: TopicState) -> list[Finding]:
    """Return how one topic differs from what is needed."""
    findings = []

    def differs(level: Level, what: str, found: object, needed: str, advice: str) -> None:
        findings.append(Finding(spec.name, level, what, str(found), needed, advice))

    if spec.exact_partitions and state.partitions != spec.partitions:
        differs("wrong", "partitions", state.partitions, str(spec.partitions), _partition_advice(spec))
    if state.replication < spec.replication:
        differs(
            "note",
            "replicas",
            state.replication,
            f"{spec.replication}",
            "add replicas, or set kafka.replication_factor",
        )

    found, policy = state.configs.get("cleanup.policy", ""), spec.configs["cleanup.policy"]
    if found != policy:
        lost = (
            "state that is needed would expire" if policy == "compact" else "all but the last record of a key would go"
        )
        differs("wrong", "cleanup.policy", found, policy, f"{lost}: alter it")

    for name, needed in spec.configs.items():
        if (value := _number(state.configs.get(name))) is None:
            continue
        limit = int(needed)
        if name == "retention.ms" and 0 <= value < limit:
            differs(
                "wrong", name, value, f"at least {needed}", "records would be gone before they are read: lengthen it"
            )
        elif name == "max.message.bytes" and value < limit:
            differs("wrong", name, value, f"at least {needed}", "large records would be refused: raise it")
        elif name == "min.insync.replicas" and value > state.replication:
            differs(
                "wrong",
                name,
                value,
                f"at most {state.replication}",
                "nothing can be written: lower it, or add replicas",
            )
        elif name in ("segment.bytes", "max.compaction.lag.ms") and value > limit:
            differs(
                "note", name, value, f"at most {needed}", "a restart reads more than twice the live state: lower it"
            )
    bytes_kept = _number(state.configs.get("retention.bytes"))
    if policy == "delete" and bytes_kept is not None and bytes_kept >= 0:
        differs("note", "retention.bytes", bytes_kept, "-1", "a burst removes records before their time: lift it")
    return findings


def _partition_advice(spec: TopicSpec) -> str:
    setting = {REQUESTS: "kafka.request_partitions", SIGHTINGS: "kafka.sighting_partitions"}.get(spec.role)
    if setting:
        return f"set {setting} to what is there (before the first run), or make the topic anew"
    return "make the topic anew while no worker runs"


def _number(value: str | None) -> int | None:
    try:
        return int(value or "")
    except ValueError:
        return None
