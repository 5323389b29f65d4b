"""What the real operators count is declared as metrics."""

import json

from streams.accounts.operator import AccountsOperator
from streams.config import Kafka, Settings
from streams.operator import SIGHTINGS, Batch, Operator
from streams.runtime.metric_table import COUNTED
from streams.runtime.metrics import undeclared
from streams.runtime.stats import StageStats
from streams.tokens.operator import TokensOperator

SETTINGS = Settings(kafka=Kafka(request_partitions=1, sighting_partitions=1))
START_MS = 1_767_225_600_000


def event(number: int, time_ms: int, **fields: object) -> bytes:
    """Return an event; the accounts share a network."""
    content = {
        "event_id": f"event-{number}",
        "event_time": time_ms,
        "account_id": f"account-{number % 4}",
        "model": "m",
        "input_tokens": 10 + number % 7,
        "output_tokens": 20,
        "client": {"ip": "192.0.2.7", "tls_fingerprint": "t13d"},
    }
    return json.dumps(content | fields).encode()


def awkward_input() -> list[bytes]:
    """Events whose pace drops once, with a late, a far, a repeated, a faulty and an unusable one among them."""
    values = [event(number, START_MS + 250 * number) for number in range(1_000)]
    values += [event(number, START_MS + 250_000 + 60_000 * (number - 1_000)) for number in range(1_000, 1_200)]
    return [
        *values,
        event(9_001, START_MS),
        event(9_002, START_MS + 10**10),
        values[-1],
        event(9_003, START_MS + 12_000_000, client={"user_agent": "x" * 10_000}),
        b"{",
    ]


def stats_of(operator: Operator) -> StageStats:
    stats = StageStats(operator.stage, operators={0: operator})
    stats.mirror()
    return stats


def test_every_count_of_the_operators_is_declared():
    """After awkward input, no counter or gauge of stages 1 and 2 lacks a metric."""
    accounts, tokens = AccountsOperator(SETTINGS, 0), TokensOperator(SETTINGS, 0)
    values = awkward_input()
    offsets = range(len(values))
    records = accounts.on_batch(Batch(0, offsets, [None, *[b"key"] * (len(values) - 1)], values)) + accounts.on_end()
    packets = [record.value for record in records if record.role == SIGHTINGS]
    tokens.on_batch(Batch(0, range(len(packets)), [None] * len(packets), packets))
    tokens.on_batch(Batch(0, [len(packets)], [None], [b"no packet"]))
    found = {stage: stats_of(operator) for stage, operator in (("accounts", accounts), ("tokens", tokens))}

    counts = found["accounts"].counters
    for key in (
        ("events", "accepted"),
        ("events", "late"),
        ("events", "far_ahead"),
        ("events", "duplicate"),
        ("events", "dead_letter"),
        ("dead_letters", "broken_json"),
        ("misrouted", "missing_key"),
        ("drift", "page_hinkley"),
    ):
        assert counts[key] >= 1, key
    assert any(key[0] == "field_faults" for key in counts)
    assert found["tokens"].counters["links",] >= 2
    assert {"accounts": set(), "tokens": set()} == {stage: undeclared(stats) for stage, stats in found.items()}


def test_a_count_is_of_a_label_value_that_was_declared():
    """Where a metric begins with its label values at 0, so that a first increase is seen, no count has another one."""
    settings = Settings(kafka=Kafka(request_partitions=2))
    operator, values = AccountsOperator(settings, 0), awkward_input()
    operator.on_batch(Batch(0, range(len(values)), [None, *[b"key"] * (len(values) - 1)], values))

    assert {("misrouted", "missing_key"), ("misrouted", "other_partition")} <= operator.counters.keys()
    for name, *labels in operator.counters:
        declared = COUNTED[name]
        assert not declared.values or tuple(labels) in declared.values, (name, labels)
