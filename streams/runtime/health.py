"""Serve metrics and probes over HTTP from threads of their own, so that a blocked event loop still gets an answer.

``/livez`` says whether to restart the worker, ``/readyz`` whether it does its work, ``/startupz`` whether it ever did,
``/metrics`` how much. There is no authentication and no encryption: bind it to loopback or to a private network. The
answers hold no accounts, tokens or cases.
"""

import socket
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streams.config import Health
from streams.errors import InputError
from streams.runtime.metrics import make_registry
from streams.runtime.ports import port_owner
from streams.runtime.stats import HostStats, StageStats

LOOP_SILENT_S = 15.0  # restores and checkpoints run in other threads: the loop never waits so long for a good reason
POLL_S = 0.1  # how late a stop is noticed
CLIENT_TIMEOUT_S = 10.0  # Prometheus gives up after 10 s by default; a client that sends nothing is cut off

UNREADY = "its partitions are being assigned or restored"
WARNINGS = {
    "misrouted": "records are in another partition than their account's, by a producer without murmur2: runs differ",
    "watermark_forced": "items came after their tick, from a partition that had been quiet: runs differ",
    "accounts_evicted_early": "accounts were forgotten because there are more than max_accounts: runs differ",
    "state_made_otherwise": "partitions go on with state that other code or other settings made: runs differ",
    "tokens_evicted_early": "first sightings were forgotten for lack of memory: runs differ",
}


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of a probe: fine unless there are reasons against it; warnings change nothing."""

    ok: bool
    reasons: list[str] = []
    warnings: list[str] = []


def live(stats: HostStats, silent_max_s: float, now_s: float) -> Verdict:
    """Tell whether the event loop runs and no stage is stuck; a worker that is not live should be restarted."""
    silent_s = now_s - (stats.loop_heartbeat_at or stats.started_at)
    reasons = [f"the event loop has been blocked for {silent_s:.0f} s"] if silent_s > silent_max_s else []
    reasons += [f"{each.stage}: there is input, but nothing was done for long" for each in _stages(stats) if each.stuck]
    return _verdict(reasons)


def ready(stats: HostStats) -> Verdict:
    """Tell whether every stage has its partitions and their state. Warns of what makes runs differ."""
    reasons = ["the worker is stopping"] if stats.stopping else []
    reasons += [] if stats.stages else ["no stage has been started"]
    reasons += [f"{each.stage}: {UNREADY}" for each in _stages(stats) if not each.ready]
    warnings = [
        f"{each.stage}: {count} {WARNINGS[name]}"
        for each in _stages(stats)
        for name, count in sorted(_sums(each).items())
        if count and name in WARNINGS
    ]
    return _verdict(reasons, warnings)


def started(stats: HostStats) -> Verdict:
    """Tell whether every stage has been ready at least once."""
    waiting = [f"{each.stage}: {UNREADY}" for each in _stages(stats) if not each.checkpoint_at]
    return _verdict(waiting or ([] if stats.stages else ["no stage has been started"]))


def _stages(stats: HostStats) -> list[StageStats]:
    return list(stats.stages.values())


def _sums(stage: StageStats) -> dict[str, int]:
    sums: dict[str, int] = {}
    for key, count in stage.counters.items():
        sums[key[0]] = sums.get(key[0], 0) + count
    return sums


def _verdict(reasons: list[str], warnings: list[str] | None = None) -> Verdict:
    return Verdict(not reasons, reasons, warnings or [])


class HealthServer:
    """The server, from entering the context (or `start`) until leaving it (or `stop`)."""

    def __init__(self, stats: HostStats, health: Health) -> None:
        """Bind at once; port 0 takes a free one. Raises `InputError` if that is impossible."""
        self._http = _bind(health)
        self._http.stats, self._http.silent_max_s = stats, min(LOOP_SILENT_S, float(health.stuck_after_s))
        self._http.registry = make_registry(stats)
        self._thread = Thread(target=self._http.serve_forever, args=(POLL_S,), name="health", daemon=True)
        host = f"[{health.host}]" if ":" in health.host else health.host
        self.port: int = self._http.server_address[1]
        self.url = f"http://{host}:{self.port}"

    def start(self) -> "HealthServer":
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port; a request under way is cut off."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def __enter__(self) -> "HealthServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    stats: HostStats
    silent_max_s: float
    registry: CollectorRegistry

    def server_bind(self) -> None:
        """Bind without looking up this machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up or sends nonsense is no concern of the worker's log."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _bind(health: Health) -> _Server:
    try:
        return (_Server6 if ":" in health.host else _Server)((health.host, health.port), _Handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"The health server cannot listen on {health.host}:{health.port}{port_owner(health.port)}: {error}."
            " Give another port (--metrics-port), or 0 for any free one."
        ) from error


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_TIMEOUT_S
    server_version = "stillwatch"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the four paths."""
        stats = self.server.stats
        match urlsplit(self.path).path:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, content_type, encode(self.server.registry))
            case "/livez":
                self._probe(live(stats, self.server.silent_max_s, time.time()))
            case "/readyz":
                self._probe(ready(stats))
            case "/startupz":
                self._probe(started(stats))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics /livez /readyz /startupz\n")

    do_HEAD = do_GET  # noqa: N815

    def _probe(self, verdict: Verdict) -> None:
        status = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", msgspec.json.encode(verdict) + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape every 15 s is no news."""
