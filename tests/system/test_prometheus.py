"""A real Prometheus scrapes real workers, and promtool accepts what is deployed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support import PATIENCE_S, until

from streams.config import Settings
from streams.runtime.ports import free_ports
from streams.runtime.topics import create_topics

DEPLOY = Path(__file__).parents[2] / "deploy"
EVENTS = 2_000


def tool(name: str) -> str:
    """Return the path of a program of the Debian package prometheus; its absence is a failure that says what to do."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(
            f"{name} is missing: apt-get install --no-install-recommends prometheus (its service is not needed)"
        )
    return found


def promtool(*arguments: str, stdin: str | None = None) -> str:
    """Run promtool and return what it says; any failure or lint fails the test."""
    done = subprocess.run([tool("promtool"), *arguments], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def get(url: str, **query: str) -> Any:
    """Return what an HTTP GET answers: decoded if it is JSON."""
    if query:
        url += "?" + urllib.parse.urlencode(query)
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
        body = response.read().decode()
    return json.loads(body) if response.headers.get_content_type() == "application/json" else body


@contextmanager
def worker(config: Path, output: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a worker with a free metrics port; gives the process and the address of its metrics."""
    environ = os.environ | {
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONUNBUFFERED": "1",
    }
    program = str(Path(sys.executable).with_name("stillwatch"))
    command = [
        program,
        "worker",
        "--config",
        str(config),
        "--metrics-port",
        "0",
        "--operators",
        "counting:make_operator",
    ]
    with output.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environ) as process:
        try:
            announced = "metrics and probes: http://"
            assert until(lambda: announced in output.read_text() or process.poll() is not None)
            assert process.poll() is None, output.read_text()
            line = next(line for line in output.read_text().splitlines() if line.startswith(announced))
            yield process, line.removeprefix(announced)
        finally:
            process.kill()


@contextmanager
def prometheus(config: Path, data: Path) -> Iterator[str]:
    """Run Prometheus on the loopback address; gives its URL."""
    (port,) = free_ports(1)
    listen = [f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{port}"]
    url, log = f"http://127.0.0.1:{port}", data.with_suffix(".log")

    def is_ready() -> bool:
        try:
            return "ready" in str(get(f"{url}/-/ready")).lower()
        except OSError:
            return False

    with log.open("wb") as out, subprocess.Popen([tool("prometheus"), *listen], stdout=out, stderr=out) as process:
        try:
            assert until(lambda: is_ready() or process.poll() is not None), log.read_text()
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def value(url: str, query: str) -> list[float]:
    """Return the values of an instant query."""
    answer = get(f"{url}/api/v1/query", query=query)
    assert answer["status"] == "success"
    return [float(series["value"][1]) for series in answer["data"]["result"]]


def produce(settings: Settings) -> None:
    """Send events to both partitions."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap})
    for number in range(EVENTS):
        event = {"account": f"account-{number % 50}", "time": 1_767_225_600_000 + 100 * number}
        producer.produce(settings.kafka.requests_topic, json.dumps(event).encode(), partition=number % 2)
    assert producer.flush(30) == 0


def write_settings(settings: Settings, path: Path) -> Path:
    """Write what differs from the defaults as a settings file."""
    names = ("bootstrap", "group_prefix", "internal_prefix", "requests_topic", "alerts_topic", "dead_letters_topic")
    kafka = settings.kafka
    lines = [f"{name} = {json.dumps(getattr(kafka, name))}" for name in names]
    lines += [f"{name} = {getattr(kafka, name)}" for name in ("request_partitions", "sighting_partitions")]
    path.write_text("[kafka]\n" + "\n".join(lines) + "\n")
    return path


def test_promtool_accepts_the_configuration_and_the_rules():
    """The deployed files are valid, and every rule in them is counted."""
    promtool("check", "config", str(DEPLOY / "prometheus.yml"))
    said = promtool("check", "rules", str(DEPLOY / "rules.yml"))
    assert f"{(DEPLOY / 'rules.yml').read_text().count('- alert:')} rules found" in said


def test_rules_fire_when_they_should():
    """Each alert of the table is raised on series made for it, and stays quiet on healthy ones."""
    promtool("test", "rules", str(Path(__file__).with_name("rules_test.yml")))


def test_systemd_accepts_the_unit(tmp_path: Path):
    """The unit has no unknown or malformed setting, and is well confined by systemd's own measure."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    unit = tmp_path / "stillwatch.service"
    unit.write_text((DEPLOY / "stillwatch.service").read_text().replace("/opt/stillwatch/bin/stillwatch", "/bin/true"))

    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, timeout=60)
    assert (0, "") == (done.returncode, done.stderr)
    command = [analyze, "security", "--offline=yes", "--threshold=20", str(unit)]
    rated = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert rated.returncode == 0, rated.stdout[-200:]


@pytest.mark.system
def test_prometheus_scrapes_two_workers(make_settings: Callable[..., Settings], tmp_path: Path):
    """Both targets are up, their numbers add up to what was produced, the rules work, and an ended worker is seen."""
    settings = make_settings(request_partitions=2, sighting_partitions=2)
    create_topics(settings)
    config = write_settings(settings, tmp_path / "stillwatch.toml")
    with ExitStack() as stack:
        (first, first_at), (second, second_at) = (
            stack.enter_context(worker(config, tmp_path / f"{name}.log")) for name in ("first", "second")
        )
        assert first_at != second_at
        promtool("check", "metrics", stdin=get(f"http://{first_at}/metrics"))

        scrape = (DEPLOY / "prometheus.yml").read_text().replace("127.0.0.1:9464", first_at)
        for pace in ("scrape_interval: 15s", "scrape_timeout: 10s", "evaluation_interval: 15s"):
            assert pace in scrape
            scrape = scrape.replace(pace, f"{pace.split(':')[0]}: 1s")
        (tmp_path / "prometheus.yml").write_text(scrape)
        shutil.copy(DEPLOY / "rules.yml", tmp_path)
        (tmp_path / "workers").mkdir()
        (tmp_path / "workers" / "second.json").write_text(json.dumps([{"targets": [second_at]}]))
        url = stack.enter_context(prometheus(tmp_path / "prometheus.yml", tmp_path / "data"))

        def up() -> set[str]:
            targets = get(f"{url}/api/v1/targets")["data"]["activeTargets"]
            return {target["labels"]["instance"] for target in targets if target["health"] == "up"}

        assert until(lambda: up() == {first_at, second_at}), get(f"{url}/api/v1/targets")
        ready = "count(stillwatch_ready == 1)"
        assert until(lambda: value(url, ready) == [2]), value(url, ready)
        assert until(lambda: value(url, 'sum(stillwatch_partitions_assigned{stage="accounts"})') == [2])
        produce(settings)
        accepted = 'sum(stillwatch_events_total{outcome="accepted"})'
        assert until(lambda: value(url, accepted) == [EVENTS]), value(url, accepted)
        assert until(lambda: value(url, 'sum(stillwatch_consumer_lag_records{stage="accounts"})') == [0])
        assert until(lambda: value(url, "min(stillwatch_checkpoint_duration_seconds_count{stage='accounts'})")[0] > 0)
        assert value(url, 'sum(stillwatch_batch_processing_seconds_count{stage="accounts"})')[0] > 0

        def rules() -> set[str]:
            groups = get(f"{url}/api/v1/rules")["data"]["groups"]
            return {rule["health"] for group in groups for rule in group["rules"]}

        assert until(lambda: rules() == {"ok"}), get(f"{url}/api/v1/rules")

        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE_S) == 0, (tmp_path / "first.log").read_text()
        assert until(lambda: value(url, "up == 0") == [0] and len(up()) == 1)
        second.send_signal(signal.SIGTERM)
        assert second.wait(PATIENCE_S) == 0, (tmp_path / "second.log").read_text()
