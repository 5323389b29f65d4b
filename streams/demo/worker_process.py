"""Run `stillwatch worker` as a process of its own, and read its metrics as Prometheus would."""

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from streams.config import Settings
from streams.errors import StillwatchError
from streams.runtime.broker_process import tail
from streams.runtime.shutdown import STOP_DEADLINE_S
from streams.runtime.topics import STAGES
from streams.runtime.watcher import Watcher
from streams.settings import PREFIX, flatten, variable

ANSWER_S = 1.0  # a worker that is busy compiling may not answer; the next question comes soon
MAIN = "from streams.cli import main; main(prog_name='stillwatch')"
URL = re.compile(r"^metrics and probes: (http://\S+)$", re.MULTILINE)
TAKEN = ("accepted", "duplicate", "dead_letter")  # outcomes that together are all events


class Numbers(Struct, frozen=True):
    """What the worker says of itself; event times in ms, 0 before there is one."""

    ready: bool = False
    events: int = 0
    read: int = 0  # records of the requests topic taken in, up to the last batch; the others are a second old
    accounts: int = 0
    clusters: int = 0
    cases: int = 0
    shared_tokens: int = 0
    lag: dict[str, int] = {}  # records not yet taken in, by stage
    watermark_ms: int = 0  # of the last stage: everything up to here has been judged
    cpu_s: float = 0.0  # of the process, all threads
    resident_bytes: int = 0
    checkpoint_bytes: int = 0  # written so far
    held: dict[str, int] = {}  # objects, by stage and kind
    state_bytes: dict[str, int] = {}  # by stage


class WorkerProcess:
    """One worker, in a session of its own: Ctrl-C in the terminal does not reach it, the demo decides when it ends.

    ``folder`` takes its log; ``arguments`` are added to the command. If this process is killed, the worker and the
    folder go too.
    """

    def __init__(self, settings: Settings, folder: Path, *arguments: str) -> None:
        self._settings = settings
        self._arguments = arguments
        self._log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None
        self._address: str | None = None

    def start(self) -> None:
        """Start it with exactly these settings, whatever this process's environment and settings file say."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environ |= {variable(key): str(value) for key, value in flatten(self._settings).items() if value != ""}
        command = [sys.executable, "-c", MAIN, "worker", "--metrics-port", "0", *self._arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._watcher = Watcher(self._process.pid, self._log.parent)

    @property
    def pid(self) -> int:
        """Its process id; 0 before the start."""
        return self._process.pid if self._process else 0

    def check(self) -> None:
        """Raise `StillwatchError` with its last lines if it has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            last = tail(self._log) or "  (it printed nothing)"
            raise StillwatchError(f"The worker ended early (exit {code}). Its last lines:\n{last}")

    @property
    def exit_code(self) -> int | None:
        """None while it runs, or before the start."""
        return self._process.poll() if self._process else None

    def stop(self) -> int | None:
        """End it in order, by force if that takes too long; return its exit code (None if it never ran)."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_DEADLINE_S + 2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._watcher is not None:
            self._watcher.stop()
        return self._process.returncode

    def numbers(self) -> Numbers | None:
        """Ask it; None if it does not answer (yet)."""
        if self._address is None:
            found = URL.search(self._log.read_text(errors="replace"))
            if found is None:
                return None
            self._address = urlsplit(found[1]).netloc
        connection = http.client.HTTPConnection(self._address, timeout=ANSWER_S)
        try:
            connection.request("GET", "/metrics")
            return parse(connection.getresponse().read().decode())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def parse(text: str) -> Numbers:
    """Pick what the demo and benchmarks show out of the worker's metrics (Prometheus text format)."""
    held: dict[tuple[str, str], float] = {}
    lag = dict.fromkeys(STAGES, 0)
    state_bytes: dict[str, int] = {}
    events, read, watermark, ready, cpu, resident, checkpoints = 0.0, 0.0, 0.0, False, 0.0, 0.0, 0.0
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            stage = labels.get("stage", "")
            if name == "stillwatch_held_objects":
                held[stage, labels["kind"]] = value
            elif name == "stillwatch_consumer_lag_records":
                lag[stage] += int(value)
            elif name == "stillwatch_events_total" and stage == "accounts" and labels["outcome"] in TAKEN:
                events += value
            elif name == "stillwatch_records_read_total" and stage == "accounts":
                read = value
            elif name == "stillwatch_watermark_timestamp_seconds" and stage == "campaigns":
                watermark = value
            elif name == "stillwatch_ready":
                ready = value == 1
            elif name == "stillwatch_state_bytes":
                state_bytes[stage] = int(value)
            elif name == "stillwatch_checkpoint_written_bytes_total":
                checkpoints += value
            elif name == "process_cpu_seconds_total":
                cpu = value
            elif name == "process_resident_memory_bytes":
                resident = value
    return Numbers(
        ready=ready,
        events=int(events),
        read=int(read),
        accounts=int(held.get(("campaigns", "accounts"), 0)),
        clusters=int(held.get(("campaigns", "clusters"), 0)),
        cases=int(held.get(("campaigns", "cases_open"), 0)),
        shared_tokens=int(held.get(("tokens", "shared_tokens"), 0)),
        lag=lag,
        watermark_ms=round(watermark * 1_000),
        cpu_s=cpu,
        resident_bytes=int(resident),
        checkpoint_bytes=int(checkpoints),
        held={f"{stage} {kind}": int(value) for (stage, kind), value in held.items()},
        state_bytes=state_bytes,
    )
