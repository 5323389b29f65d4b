"""What the topics must be like, and how a difference is judged: without a broker."""

import msgspec

from streams.config import Kafka, Settings
from streams.runtime.topics import Finding, TopicSpec, TopicState, compare, topic_specs


def by_name(**kafka: object) -> dict[str, TopicSpec]:
    """Return the specs of settings with these fields of the section kafka."""
    return {spec.name: spec for spec in topic_specs(Settings(kafka=Kafka(**kafka)))}


def as_needed(spec: TopicSpec, **configs: str) -> TopicState:
    """Return a topic that is what ``spec`` asks for, but for these configs (dots written as underscores)."""
    changed = {name.replace("_", "."): value for name, value in configs.items()}
    return TopicState(spec.name, spec.partitions, spec.replication, spec.configs | changed)


def judged(findings: list[Finding]) -> list[tuple[str, str]]:
    """Return level and what of each finding."""
    return [(finding.level, finding.what) for finding in findings]


def test_a_state_topic_has_the_partitions_of_its_stage_s_input():
    """A snapshot goes to the partition number of the input it came from."""
    specs = by_name(request_partitions=6, sighting_partitions=3)
    names = ("llm.requests", "stillwatch.sightings", "stillwatch.evidence", "stillwatch.progress")
    assert [6, 3, 1, 1] == [specs[name].partitions for name in names]
    assert [6, 3, 1] == [specs[f"stillwatch.{stage}.state"].partitions for stage in ("accounts", "tokens", "campaigns")]


def test_what_is_kept_by_key_is_compacted_and_nothing_else_is():
    """State and progress are compacted alone; alerts never are, since a case is all its revisions."""
    compacted = {name for name, spec in by_name().items() if spec.configs["cleanup.policy"] == "compact"}
    states = {f"stillwatch.{stage}.state" for stage in ("accounts", "tokens", "campaigns")}
    assert states | {"stillwatch.progress"} == compacted


def test_a_restore_is_bounded():
    """Compacted topics bound the segment that compaction skips, and the time until it comes."""
    for spec in by_name().values():
        if spec.configs["cleanup.policy"] == "compact":
            assert int(spec.configs["segment.bytes"]) <= 16 << 20
            assert int(spec.configs["max.compaction.lag.ms"]) <= 600_000


def test_three_replicas_demand_two_in_sync():
    """One broker may fail without a loss, and one copy alone is never enough to acknowledge."""
    assert {"1"} == {spec.configs["min.insync.replicas"] for spec in by_name().values()}
    assert {"2"} == {spec.configs["min.insync.replicas"] for spec in by_name(replication_factor=3).values()}


def test_differences_are_judged():
    """What loses records or stops the worker is wrong, what only costs is a note, what is better is nothing."""
    specs = by_name(replication_factor=3)
    requests, state = specs["llm.requests"], specs["stillwatch.accounts.state"]
    alerts = specs["llm.alerts"]
    cases = [
        (requests, as_needed(requests), []),
        (requests, as_needed(requests, retention_ms="-1"), []),
        (requests, as_needed(requests, retention_ms="99999999999"), []),
        (requests, as_needed(requests, retention_ms="1000"), [("wrong", "retention.ms")]),
        (requests, as_needed(requests, retention_bytes="1000"), [("note", "retention.bytes")]),
        (requests, as_needed(requests, cleanup_policy="compact"), [("wrong", "cleanup.policy")]),
        (requests, as_needed(requests, cleanup_policy="compact,delete"), [("wrong", "cleanup.policy")]),
        (state, as_needed(state, cleanup_policy="delete"), [("wrong", "cleanup.policy")]),
        (state, as_needed(state, segment_bytes="1073741824"), [("note", "segment.bytes")]),
        (state, as_needed(state, segment_bytes="1048576"), []),
        (state, as_needed(state, max_message_bytes="1000"), [("wrong", "max.message.bytes")]),
        (state, as_needed(state, min_insync_replicas="4"), [("wrong", "min.insync.replicas")]),
        (state, msgspec.structs.replace(as_needed(state), partitions=5), [("wrong", "partitions")]),
        (state, msgspec.structs.replace(as_needed(state), replication=2), [("note", "replicas")]),
        (alerts, msgspec.structs.replace(as_needed(alerts), partitions=5), []),
    ]
    assert [expected for _, _, expected in cases] == [judged(compare(spec, state)) for spec, state, _ in cases]
