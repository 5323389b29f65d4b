"""A program that knows nothing of this package reads the alerts topic and gets the cases."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from live import Feed, busy_plan, decoded, real_worker, write_events
from support import PATIENCE_S
from workers import Alert, read_alerts

from streams.config import Campaigns, Settings
from streams.replay import Replay
from streams.runtime.kafka_client import producer_config
from streams.runtime.topics import create_topics

pytestmark = pytest.mark.system

PROGRAM = Path(__file__).parent / "foreign_consumer.py"
SCHEMA = Path(__file__).parents[2] / "streams/contracts/schemas/alert-event.schema.json"


def cases_of(settings: Settings, lines: list[bytes]) -> dict[str, dict[str, Any]]:
    """The cases as the detector itself holds them in the end, without a look at any alert."""
    replay = Replay(settings, lambda _: None)
    for line in lines:
        replay.feed(line)
    replay.end()
    campaigns = replay.pipeline.campaigns
    return {
        alert_id: {
            "members": sorted(campaigns.table.names[row] for row in case.members),
            **{name: getattr(case, name) for name in ("revision", "status", "kind", "category", "severity")},
            "merged_into": case.merged_into,
            "subject_id": case.subject_id,
        }
        for alert_id, case in campaigns.cases.cases.items()
    }


def consume(settings: Settings) -> "subprocess.CompletedProcess[str]":
    """Run the program apart from this process: isolated mode leaves the environment and this folder out."""
    command = [sys.executable, "-I", str(PROGRAM), settings.kafka.bootstrap, settings.kafka.alerts_topic, str(SCHEMA)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


def send_again(settings: Settings, alerts: list[Alert]) -> None:
    """Repeat records, as a restarted worker does."""
    producer = Producer(producer_config(settings))
    for key, value, headers in alerts:
        producer.produce(settings.kafka.alerts_topic, value, key, headers=list(headers))
    assert 0 == producer.flush(30)


def test_foreign_consumer_gets_the_cases(make_settings: Callable[..., Settings], tmp_path: Path):
    """With the JSON Schema and CloudEvents' rules alone: every case, its members, and no rule broken."""
    settings = make_settings(Settings(campaigns=Campaigns(close_after_ms=30 * 60_000)))
    create_topics(settings)
    lines = write_events(busy_plan(15_000, 400, hours=4.0, lasting_h=1.5), tmp_path / "events.jsonl")
    Feed(settings).send(lines)
    with real_worker(settings, tmp_path, "--drain") as worker:
        assert 0 == worker.wait(), worker.log()
    alerts = read_alerts(settings)
    statuses = {(value["kind"], value["status"]) for value in decoded(alerts)}
    assert {("cluster", "open"), ("cluster", "updated"), ("cluster", "closed"), ("account", "open")} <= statuses
    send_again(settings, alerts[::3])

    done = consume(settings)

    assert ("", 0) == (done.stderr, done.returncode)
    found = msgspec.json.decode(done.stdout)
    assert cases_of(settings, lines) == found["cases"]
    assert (len(alerts), len(alerts[::3])) == (found["events"], found["repeated"])
    assert {"confluent_kafka", "jsonschema"} <= set(found["modules"])
    assert "streams" not in found["modules"]


def test_foreign_consumer_finds_what_breaks_the_contract(make_settings: Callable[..., Settings]):
    """It is no rubber stamp: a record without attributes, one with a wrong value, and a missing revision are told."""
    settings = make_settings()
    create_topics(settings)
    alert = {
        "alert_id": "c", "revision": 2, "status": "open", "kind": "cluster", "subject_id": "s",
        "category": "distillation", "severity": "low", "score": 0.5, "detected_at": 1, "first_seen": 0, "last_seen": 1,
        "accounts": {"count": 2, "added": ["a"]}, "exchanges": {"before_alert": 0, "total": 0}, "evidence": [],
        "techniques": [],
    }  # fmt: skip
    headers = (
        ("content-type", b"application/json"), ("ce_specversion", b"1.0"), ("ce_id", b"c:2"), ("ce_source", b"s"),
        ("ce_type", b"t"),
    )  # fmt: skip
    broken = [
        (b"c", msgspec.json.encode(alert), headers),
        (b"c", msgspec.json.encode(alert), headers[:2]),
        (b"c", msgspec.json.encode(alert | {"status": "lost"}), headers),
        (b"c", msgspec.json.encode(alert), (*headers, ("ce_time", b"yesterday"))),
    ]
    send_again(settings, broken)

    done = consume(settings)

    assert 1 == done.returncode
    for fault in (
        "offset 1: required attribute id is missing",
        "offset 2: 'lost' is not one of ['open', 'updated', 'merged', 'closed']",
        "offset 3: time is not RFC 3339: yesterday",
        "case c: revisions [2]",
    ):
        assert fault in done.stderr
