"""`alerts tail` and `alerts show` on the real broker."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from support import an_alert

from streams.cli import main
from streams.config import Settings
from streams.contracts.alert import Accounts, AlertEvent, Evidence, encode_alert
from streams.contracts.cloudevents import alert_headers
from streams.runtime.alert_reader import follow
from streams.runtime.kafka_client import producer_config, reach
from streams.runtime.topics import create_topics
from streams.settings import variable

pytestmark = pytest.mark.system


def revision(alert_id: str, number: int = 1, **fields: object) -> AlertEvent:
    """Make a revision of a small case."""
    start = {
        "subject_id": f"cluster {alert_id}",
        "detected_at": 1_767_225_600_000 + number,
        "accounts": Accounts(number, (f"account-{number}",)),
        "evidence": (Evidence("structure.template_reuse", 3.0),),
    }
    return an_alert(alert_id, number, **(start | fields))


def publish(settings: Settings, *alerts: AlertEvent, raw: bytes | None = None) -> None:
    """Put alerts on the topic as the worker does; ``raw`` is put first."""
    producer = Producer(producer_config(settings))
    if raw is not None:
        producer.produce(settings.kafka.alerts_topic, raw)
    for alert in alerts:
        producer.produce(
            settings.kafka.alerts_topic, encode_alert(alert), key=alert.alert_id, headers=list(alert_headers(alert))
        )
    assert 0 == producer.flush(20)


def run(settings: Settings, *arguments: str) -> Result:
    """Run `stillwatch alerts` with these settings in the environment."""
    names = ("bootstrap", "alerts_topic", "group_prefix")
    environ = {variable(f"kafka.{name}"): getattr(settings.kafka, name) for name in names}
    return CliRunner().invoke(main, ["alerts", *arguments], env=environ)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings with topics of their own, which exist."""
    settings = make_settings()
    create_topics(settings)
    return settings


def test_tail_prints_what_is_kept_once_and_joins_no_group(settings: Settings):
    """Repeats and what is no alert are left out, the rest comes in order; no consumer group appears."""
    one, two = revision("aaaa"), revision("aaaa", 2)
    publish(settings, one, two, one, two, revision("bbbb"), raw=b"no alert")

    result = run(settings, "tail", "--from-beginning", "--json", "--max", "3")

    assert 0 == result.exit_code, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [("aaaa", 1), ("aaaa", 2), ("bbbb", 1)] == [(line["alert_id"], line["revision"]) for line in lines]
    assert "skipped what is no alert" in result.stderr
    admin = reach(settings)  # held: what is asked of a client that is gone is never answered
    groups = [group.group_id for group in admin.list_consumer_groups().result(20).valid]
    assert not [group for group in groups if group.startswith(settings.kafka.group_prefix)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["low", "account", "reseller"]),
        (("--min-severity", "medium"), ["account", "reseller"]),
        (("--kind", "account"), ["account"]),
        (("--category", "reseller", "--category", "anomaly"), ["account", "reseller"]),
    ],
    ids=lambda value: " ".join(value) or "all",
)
def test_tail_filters(settings: Settings, options: tuple[str, ...], expected: list[str]):
    """By least severity, kind and categories; it ends after a quiet moment."""
    publish(
        settings,
        revision("low", severity="low"),
        revision("account", kind="account", category="anomaly"),
        revision("reseller", category="reseller"),
    )
    result = run(settings, "tail", "--from-beginning", "--timeout", "2", "--json", *options)
    assert expected == [json.loads(line)["alert_id"] for line in result.stdout.splitlines()]


def test_tail_without_from_beginning_shows_only_what_comes(settings: Settings):
    """The alert that was there before is not shown, the one that comes later is."""
    publish(settings, revision("before"))
    stream = follow(settings, timeout_s=20)
    publish(settings, revision("after"))
    assert "after" == next(stream).alert.alert_id


def test_show_folds_the_case_on_the_topic(settings: Settings):
    """A prefix finds it; members of all revisions; another case does not disturb."""
    publish(settings, revision("cafe01"), revision("beef"), revision("cafe01", 2))
    result = run(settings, "show", "cafe")
    assert 0 == result.exit_code, result.output
    assert "cafe01  HIGH distillation cluster cluster cafe01" in result.output
    assert "Members (2)\n  account-1\n  account-2\n" in result.output


def test_a_missing_topic_is_named(make_settings: Callable[..., Settings]):
    """Without an alert topic the error says how to make one."""
    result = run(make_settings(), "tail", "--from-beginning")
    assert 3 == result.exit_code
    assert "stillwatch topics create" in result.output
