"""Measure rows in turns, each in a process of its own, all on the same events."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from streams.bench.digest import Digest, digest_of_topics, void
from streams.bench.hosts import Job
from streams.bench.meter import VARIABLE, Sample, by_thread, samples_of, steady, variable
from streams.bench.pins import cores, pinned
from streams.bench.row import Row
from streams.bench.rows import Operated, Replayed
from streams.bench.table import KINDS, missing
from streams.bench.topics import filled, own_topics, read_all
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.demo.worker_process import WorkerProcess
from streams.errors import StillwatchError
from streams.operator import ALERTS
from streams.runtime.broker_process import tail
from streams.runtime.topics import topic_name

LOOK_S = 0.25
TIMEOUT_S = 1_800.0
NEVER_S = 86_400  # no checkpoint within a measurement
PRODUCT = "streams.bench.hosts.product"

Alert = tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]  # key, value, headers
Report = Callable[[str, int], None]


class Runner:
    """What all measurements of one call share: the events, where they run, and what they must give."""

    def __init__(self, traffic: Traffic, settings: Settings, folder: Path, report: Report) -> None:
        self.traffic, self.settings, self.folder, self.report = traffic, settings, folder, report
        self.found: list[Row] = []
        self.alerts: list[Alert] | None = None
        self.digest: Digest | None = None
        self.measured, self.others = cores()
        self._count = 0

    def run(self, names: Sequence[str], runs: int) -> list[Row]:
        """Measure each row ``runs`` times, in turns. Rows that are not installed are left out.

        A host or worker that fails gives a void row. Raises `StillwatchError` if a row without broker fails.
        """
        names = [name for name in names if not missing(name)]
        needed = {KINDS[name].result for name in names}
        hidden = [
            name
            for name, result in (("replay", "alerts"), ("operator", "digest"))
            if result in needed and name not in names
        ]
        with ExitStack() as stack:
            live = self.settings
            if any(KINDS[name].how != "file" for name in names):
                live = stack.enter_context(filled(self.traffic, live, self.others, self.report))
            for name in hidden:
                self._measure(name, live, 0)
            for run in range(runs):
                # those that others are held against come first
                for name in sorted(names, key=lambda name: KINDS[name].how != "file"):
                    self.found.append(self._measure(name, live, run))
        return self.found

    def _measure(self, name: str, settings: Settings, run: int) -> Row:
        kind = KINDS[name]
        self.report(f"{name}, run {run + 1}", 0)
        if kind.how == "file":
            found = self._from_file(kind.what)
        else:
            self._count += 1
            with own_topics(settings, f"bench-{self._count}-{name}") as mine:
                try:
                    found = self._from_topic(name, mine)
                except StillwatchError as error:  # the other rows still count
                    found = Row(kind.label, 0, 0.0, 0, 0.0, void=error.message)
        found.row, found.run = kind.label, run
        return found

    def _from_file(self, what: str) -> Row:
        """Measure in a fresh process, so that no row inherits another's memory."""
        result = self.folder / what
        arguments = [msgspec.json.encode(value).decode() for value in (self.traffic, self.settings)]
        command = [sys.executable, "-m", "streams.bench.rows", what, *arguments, str(result)]
        with pinned(self.measured), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            for line in process.stdout or ():
                self.report(what, int(line))
        if process.returncode:
            raise StillwatchError(f"The measurement of {what} failed (exit {process.returncode}).")
        data = result.read_bytes()
        if what == "replay":
            replayed = msgspec.msgpack.decode(data, type=Replayed)
            self.alerts = replayed.alerts
            return replayed.row
        if what == "operator":
            operated = msgspec.msgpack.decode(data, type=Operated)
            self.digest = operated.digest
            return operated.row
        return msgspec.msgpack.decode(data, type=Row)

    def _from_topic(self, name: str, settings: Settings) -> Row:
        kind = KINDS[name]
        with tempfile.TemporaryDirectory(prefix="stillwatch-bench-", dir=self.folder) as folder:
            job = Job(settings, self.traffic.events, str(Path(folder) / "meter"), folder)
            samples = (self._worker if kind.how == "worker" else self._host)(name, kind.what, job)
        found = steady(name, samples, self.traffic.events)
        if kind.result == "digest" and self.digest is not None:
            found.void = void(digest_of_topics(settings), self.digest)
        elif kind.result == "alerts":
            alerts = read_alerts(settings)
            found.alerts = len(alerts)
            found.void = void_alerts(alerts, self.alerts)
        return found

    def _host(self, name: str, module: str, job: Job) -> list[Sample]:
        command = [sys.executable, "-m", "streams.bench.hosts", module, msgspec.json.encode(job).decode()]
        log = Path(job.folder) / "log"
        with log.open("wb") as out, pinned(self.measured):
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # noqa: S603
        try:
            self._wait(name, process.poll, job)
        finally:
            process.kill()
            process.wait()
        samples = samples_of(Path(job.meter))
        if process.returncode not in (0, -9) or not samples or samples[-1].events < job.events:
            raise StillwatchError(f"{name} ended early (exit {process.returncode}). Its last lines:\n{tail(log)}")
        return samples

    def _worker(self, name: str, factory: str, job: Job) -> list[Sample]:
        arguments = ["--drain", "--operators", f"{PRODUCT}:{factory}"]
        settings = job.settings
        if factory.startswith("all_"):
            if factory == "all_volatile":
                state = msgspec.structs.replace(settings.state, campaigns_interval_s=NEVER_S)
                settings = msgspec.structs.replace(settings, state=state)
        else:
            arguments += ["--stages", "accounts"]
        helpers = [self._helper(settings, job, n, arguments) for n in range(1, KINDS[name].workers)]
        workers = [WorkerProcess(settings, Path(job.folder), *arguments), *helpers]
        where = self.measured if not helpers or self.measured is None else self.measured | (self.others or set())
        used: list[tuple[float, float]] = []  # CPU of the helpers, which meter nothing themselves

        def ended() -> int | None:
            used.append((time.monotonic(), sum(sum(by_thread(each.pid).values()) for each in helpers)))
            codes = [each.exit_code for each in workers]
            return None if None in codes else max(map(abs, filter(None, codes)), default=0)

        with pinned(where), variable(VARIABLE, msgspec.json.encode(job).decode()):
            for each in workers:
                each.start()
        try:
            if self._wait(name, ended, job):
                for each in workers:
                    if each.exit_code:
                        each.check()
            return with_helpers(samples_of(Path(job.meter)), used)
        finally:
            for each in workers:
                each.stop()

    def _helper(self, settings: Settings, job: Job, n: int, arguments: Sequence[str]) -> WorkerProcess:
        """Another worker for the stages that many can share."""
        folder = Path(job.folder) / f"worker-{n}"
        folder.mkdir()
        return WorkerProcess(settings, folder, *arguments, "--stages", "accounts,tokens")

    def _wait(self, name: str, exit_code: Callable[[], int | None], job: Job) -> int:
        deadline = time.monotonic() + TIMEOUT_S
        while (code := exit_code()) is None:
            if time.monotonic() > deadline:
                raise StillwatchError(f"{name} has not drained the topic within {TIMEOUT_S / 60:.0f} min.")
            if samples := samples_of(Path(job.meter)):
                self.report(name, samples[-1].events)
            time.sleep(LOOK_S)
        return code


def with_helpers(samples: list[Sample], used: Sequence[tuple[float, float]]) -> list[Sample]:
    """Add to each sample the CPU that other processes had used by then: ``used`` are (moment, CPU so far) in order.

    A process that has ended is seen no more, so what was used never falls.
    """
    if not used:
        return samples
    moments, cpu = zip(*used, strict=True)
    most = np.maximum.accumulate(cpu)
    return [msgspec.structs.replace(s, cpu_s=s.cpu_s + float(np.interp(s.at_s, moments, most))) for s in samples]


def read_alerts(settings: Settings) -> list[Alert]:
    """Return what the alert topic holds, without repeats."""
    found: dict[Any, None] = {}
    for message in read_all(settings, topic_name(settings, ALERTS)):
        found[message.key(), message.value(), tuple(message.headers() or ())] = None
    return list(found)


def void_alerts(found: list[Alert], expected: list[Alert] | None) -> str:
    """Say why a row does not count; nothing if it does."""
    if expected is None:
        return "no replay to compare the alerts with"
    if not expected:
        return "no alerts to compare: ask for more --events"
    if sorted(found) != sorted(expected):
        return f"{len(set(found) ^ set(expected))} of {len(expected)} alerts differ from the replay's"
    return ""
