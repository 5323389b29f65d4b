"""The health server, asked over real HTTP on the loopback address."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.config import Health
from streams.errors import InputError
from streams.runtime.health import HealthServer
from streams.runtime.stats import HostStats, StageStats

DEADLINE_S = 30.0


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def probe(port: int, path: str) -> tuple[int, dict[str, Any]]:
    status, body, _ = ask(port, path)
    return status, json.loads(body)


def running(**stage: Any) -> HostStats:
    """A worker with one stage that does its work."""
    fields = {"ready": True, "checkpoint_at": time.time()} | stage
    return HostStats(stages={"accounts": StageStats("accounts", **fields)}, loop_heartbeat_at=time.time())


@contextmanager
def served(stats: HostStats, **health: Any) -> Iterator[int]:
    with HealthServer(stats, Health(**({"port": 0} | health))) as server:
        yield server.port


def test_a_working_worker_passes_every_probe():
    """All three probes answer 200 without reasons, metrics are valid, other paths are not found."""
    with served(running()) as port:
        assert [(200, {"ok": True})] * 3 == [probe(port, path) for path in ("/livez", "/readyz", "/startupz")]
        status, body, headers = ask(port, "/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "stillwatch_ready" in {family.name for family in text_string_to_metric_families(body.decode())}
        assert ask(port, "/")[0] == 404
        assert ask(port, "/readyz?verbose=1")[0] == 200


def test_port_0_is_a_free_port_and_two_servers_fit_on_one_host():
    """Port 0 gives each server a port of its own, told by `port` and `url`, on the loopback address."""
    with HealthServer(running(), Health(port=0)) as one, HealthServer(running(), Health(port=0)) as other:
        assert one.port != other.port
        assert one.url == f"http://127.0.0.1:{one.port}"
        assert ask(one.port, "/livez")[0] == ask(other.port, "/livez")[0] == 200


def test_it_listens_on_loopback_only_by_default():
    """The default address cannot be reached from other machines."""
    with HealthServer(running(), Health(port=0)) as server:
        assert server._http.socket.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_an_error_with_advice():
    """A second server on the same port fails and says what to do."""
    with served(running()) as port, pytest.raises(InputError, match=f"{port} by .*--metrics-port"):
        HealthServer(running(), Health(port=port))


def test_the_port_is_free_again_after_the_end():
    """A stopped server gives its port back at once, also if it never started."""
    with served(running()) as port:
        pass
    HealthServer(running(), Health(port=port)).stop()
    with served(running(), port=port) as again:
        assert again == port


def test_a_silent_loop_is_not_live():
    """Without a heartbeat for longer than allowed /livez fails with the reason; readiness is another matter."""
    stats = running()
    with served(stats, stuck_after_s=5) as port:
        stats.loop_heartbeat_at = time.time() - 60
        status, verdict = probe(port, "/livez")
        assert status == 503
        assert "event loop" in verdict["reasons"][0]
        assert probe(port, "/readyz")[0] == 200
        stats.loop_heartbeat_at = time.time()
        assert probe(port, "/livez")[0] == 200


def test_a_loop_that_never_began_is_not_live_for_ever():
    """Before the first heartbeat, the time since the start counts."""
    stats = running()
    stats.loop_heartbeat_at = 0.0
    with served(stats) as port:
        assert probe(port, "/livez")[0] == 200
        stats.started_at -= 3600
        assert probe(port, "/livez")[0] == 503


def test_a_stuck_stage_is_not_live():
    """A stage that has input and does nothing fails /livez by name."""
    with served(running(stuck=True)) as port:
        status, verdict = probe(port, "/livez")
        assert status == 503
        assert verdict["reasons"][0].startswith("accounts:")


def test_rebalancing_is_not_ready_but_was_started():
    """While partitions move, /readyz fails and /startupz goes on to pass."""
    stats = running()
    with served(stats) as port:
        stats.stages["accounts"].ready = False
        status, verdict = probe(port, "/readyz")
        assert status == 503
        assert verdict["reasons"] == ["accounts: its partitions are being assigned or restored"]
        assert probe(port, "/startupz")[0] == 200
        assert probe(port, "/livez")[0] == 200


def test_a_new_worker_is_live_but_not_started():
    """Before the first restore /startupz and /readyz fail, so that an orchestrator waits, and /livez passes."""
    with served(running(ready=False, checkpoint_at=0.0)) as port:
        assert [200, 503, 503] == [probe(port, path)[0] for path in ("/livez", "/readyz", "/startupz")]
    with served(HostStats()) as port:
        assert [200, 503, 503] == [probe(port, path)[0] for path in ("/livez", "/readyz", "/startupz")]


def test_a_stopping_worker_is_not_ready():
    """On its way out a worker says so."""
    stats = running()
    stats.stopping = True
    with served(stats) as port:
        assert probe(port, "/readyz") == (503, {"ok": False, "reasons": ["the worker is stopping"]})


def test_misrouted_records_are_a_warning():
    """Records in a wrong partition do not make a worker unready, but readiness tells of them."""
    counters = {("misrouted", "missing_key"): 2, ("misrouted", "other_partition"): 3, ("watermark_forced",): 0}
    with served(running(counters=counters)) as port:
        status, verdict = probe(port, "/readyz")
        assert status == 200
        assert len(verdict["warnings"]) == 1
        assert verdict["warnings"][0].startswith("accounts: 5 records are in another partition")


def test_openmetrics_if_asked_for():
    """Prometheus may ask for the newer format and gets it."""
    with served(running()) as port:
        _, body, headers = ask(port, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
        assert headers["content-type"].startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")


def test_head_has_no_body():
    """HEAD gets the headers of GET; other methods are refused."""
    with served(running()) as port:
        status, body, headers = ask(port, "/livez", method="HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 0
        assert ask(port, "/livez", method="POST")[0] == 501


def test_a_client_that_says_nothing_delays_nobody():
    """While one client holds a connection open without a word, others get their answer."""
    with served(running()) as port, socket.create_connection(("127.0.0.1", port)):
        assert ask(port, "/livez")[0] == 200


def test_nonsense_is_survived(capfd):
    """What is no HTTP is refused without a line in the worker's log, and the server goes on."""
    with served(running()) as port:
        for nonsense in (b"\x16\x03\x01\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET /" + b"a" * 70_000 + b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
                client.sendall(nonsense)
                client.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    assert not client.recv(100).startswith(b"HTTP/1.0 200")
        assert ask(port, "/livez")[0] == 200
    assert capfd.readouterr() == ("", "")


BLOCKED = """
import asyncio, sys, time
from streams.config import Health
from streams.runtime.health import HealthServer
from streams.runtime.stats import HostStats, StageStats

stats = HostStats(stages={"accounts": StageStats("accounts", ready=True)})
with HealthServer(stats, Health(port=0, stuck_after_s=1)) as server:
    async def main():
        for _ in range(5):
            await asyncio.sleep(0.05)
            stats.loop_heartbeat_at = time.time()
        print(server.port, flush=True)
        while sys.stdin.readline():  # the loop waits here, in plain blocking code
            stats.loop_heartbeat_at = time.time() + 3600
            print("beat", flush=True)
    asyncio.run(main())
"""


def test_a_blocked_event_loop_still_answers():
    """A real process whose event loop hangs in blocking code answers /livez with 503, and 200 once it goes on."""
    command = [sys.executable, "-c", BLOCKED]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ) as process:
        try:
            port = int(process.stdout.readline())
            deadline = time.monotonic() + DEADLINE_S
            while probe(port, "/livez")[0] != 503:
                assert time.monotonic() < deadline, "a blocked loop must become not live"
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert process.stdout.readline() == "beat\n"
            assert probe(port, "/livez")[0] == 200
        finally:
            process.kill()
