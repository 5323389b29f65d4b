"""`stillwatch topics reset`: what the messages of a worker that cannot go on tell its operator to do."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import until
from workers import (
    WorkerProcess,
    delete_topic,
    drain,
    expected_alerts,
    make_events,
    produce,
    read_alerts,
    read_topic,
    settled,
    topics_made,
)

from streams.cli import main
from streams.config import Settings
from streams.runtime.topics import STAGES, check_topics, create_topics, state_topic
from streams.settings import flatten, variable

pytestmark = pytest.mark.system


def reset(settings: Settings, *arguments: str, answer: str | None = None) -> Result:
    """Run the command with these settings."""
    environ = {variable(key): str(value) for key, value in flatten(settings).items() if value != ""}
    return CliRunner().invoke(main, ["topics", "reset", *arguments], env=environ, input=answer)


def test_workers_start_anew_after_a_reset(make_settings: Callable[..., Settings], tmp_path: Path):
    """On a requests topic that was made anew, workers go on as if nothing had been; alerts of before stay."""
    settings = make_settings()
    create_topics(settings)
    events, others = make_events(1_000), make_events(1_500, seed=9)
    produce(settings, events)
    drain(settings, tmp_path)
    before = set(read_alerts(settings))
    delete_topic(settings, settings.kafka.requests_topic)
    assert until(lambda: topics_made(settings))
    produce(settings, others)

    result = reset(settings, "--yes", "--json")
    assert 0 == result.exit_code, result.output
    prefix = settings.kafka.group_prefix
    deleted = json.loads(result.stdout)["deleted"]
    assert {f"{prefix}-{stage}" for stage in STAGES} <= set(deleted)
    assert {state_topic(settings, stage) for stage in STAGES} <= set(deleted)
    assert settings.kafka.requests_topic not in deleted
    assert settings.kafka.alerts_topic not in deleted
    assert [] == check_topics(settings)

    drain(settings, tmp_path)
    assert before | expected_alerts(settings, others) == set(read_alerts(settings))

    assert 0 == reset(settings, "--yes", "--alerts").exit_code
    assert [] == read_alerts(settings)
    assert 0 == reset(settings, "--yes").exit_code, "groups that are gone are no fault"
    drain(settings, tmp_path)
    assert expected_alerts(settings, others) == set(read_alerts(settings))


def test_nothing_is_reset_under_a_worker_or_without_a_yes(make_settings: Callable[..., Settings], tmp_path: Path):
    """While a worker runs, exit 4 and why; a no is exit 1. The state is there after both."""
    settings = make_settings()
    create_topics(settings)
    produce(settings, make_events(1_000))
    with WorkerProcess(settings, tmp_path) as worker:
        assert until(lambda: settled(settings, worker)), worker.log()
        assert until(lambda: read_topic(settings, state_topic(settings, "campaigns"))), worker.log()
        result = reset(settings, "--yes")
        assert 4 == result.exit_code, result.output
        assert "Workers still run" in result.output
        worker.end()
    result = reset(settings, answer="n\n")
    assert 1 == result.exit_code, result.output
    assert f"{settings.kafka.group_prefix}-tokens" in result.output
    assert read_topic(settings, state_topic(settings, "campaigns"))
