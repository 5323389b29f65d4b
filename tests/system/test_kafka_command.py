"""`stillwatch kafka` and `stillwatch topics` as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.runtime.broker_process import running

pytestmark = pytest.mark.system


def stillwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from streams.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_up_status_topics_down(tmp_path: Path):
    """A broker outlives the command that started it, keeps topics over a restart with --keep, and leaves nothing."""
    data = ("--data", str(tmp_path / "broker"))
    up = stillwatch("kafka", "up", "--port", "0", *data)
    try:
        assert 0 == up.returncode, up.stderr
        bootstrap = up.stdout.strip()
        assert AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=10)
        assert bootstrap == stillwatch("kafka", "up", *data).stdout.strip()

        assert 3 == stillwatch("topics", "check", "--bootstrap", bootstrap).returncode
        assert 0 == stillwatch("topics", "create", "--bootstrap", bootstrap).returncode
        assert 0 == stillwatch("topics", "check", "--bootstrap", bootstrap).returncode
        described = stillwatch("topics", "describe", "--bootstrap", bootstrap).stdout
        assert "stillwatch.campaigns.state" in described

        status = json.loads(stillwatch("kafka", "status", "--json", *data).stdout)
        assert (True, True, bootstrap) == (status["running"], status["answers"], status["bootstrap"])
        assert 4 == status["topics"]["llm.requests"]

        assert 0 == stillwatch("kafka", "down", "--keep", *data).returncode
        assert 1 == stillwatch("kafka", "status", *data).returncode
        again = stillwatch("kafka", "up", "--port", bootstrap.rsplit(":")[1], *data)
        assert bootstrap == again.stdout.strip(), again.stderr
        assert 0 == stillwatch("topics", "check", "--bootstrap", bootstrap).returncode
    finally:
        down = stillwatch("kafka", "down", *data)
    assert "stopped" in down.stdout
    assert not (tmp_path / "broker").exists()
    assert 0 == stillwatch("kafka", "down", *data).returncode


def test_a_folder_of_somebody_else_is_neither_used_nor_removed(tmp_path: Path):
    """What was not made by `kafka up` is refused, and `kafka down` leaves it."""
    mine = tmp_path / "server.properties"
    mine.write_text("listeners=...\n")
    up = stillwatch("kafka", "up", "--port", "0", "--data", str(tmp_path))
    assert 2 == up.returncode
    assert "was not made by `stillwatch kafka up`" in up.stderr
    assert 0 == stillwatch("kafka", "down", "--data", str(tmp_path)).returncode
    assert "listeners=...\n" == mine.read_text()


def test_a_stale_process_id_is_not_mistaken_for_a_broker(tmp_path: Path):
    """broker.json that names another program does not make it a broker, so that it is never killed."""
    own = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / "broker.json").write_text(json.dumps({"pid": own.pid, "port": 9092, "version": "4"}))
        assert running(tmp_path) is None
        assert "no broker runs" in stillwatch("kafka", "down", "--data", str(tmp_path)).stdout
        assert own.poll() is None
    finally:
        own.communicate(timeout=10)
