"""Do many runs in processes of their own, and keep what is done: a run that broke off goes on where it was."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from streams.errors import StillwatchError
from streams.evaluate.results import Result
from streams.evaluate.run import Task

RESULTS = "runs.jsonl"
ERROR_CHARS = 2_000  # of a failed process's last words


def done_before(folder: Path) -> dict[str, Result]:
    """Results kept in a folder, by the task's digest; a last line that was cut off is dropped."""
    found: dict[str, Result] = {}
    path = folder / RESULTS
    if path.exists():
        for line in path.read_bytes().split(b"\n"):
            try:
                result = msgspec.json.decode(line, type=Result)
            except msgspec.MsgspecError:
                continue  # an older version's, or half written: it is done again
            found[result.digest] = result
    return found


def work(
    tasks: Sequence[Task],
    folder: Path,
    jobs: int,
    begun: Callable[[Task], None],
    report: Callable[[Task, int, int], None],
    finished: Callable[[Result, bool], None],
) -> list[Result]:
    """Do the tasks, ``jobs`` at a time, and return their results in the same order.

    ``report(task, events done, events expected)`` and ``finished(result, was there already)`` tell how it goes.
    Raises `StillwatchError` if a process fails; what was finished before is kept.
    """
    kept = done_before(folder)
    results: dict[str, Result] = {}
    path = folder / RESULTS
    cut_off = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("ab") as out, _Processes() as processes, ThreadPoolExecutor(jobs) as pool:
        if cut_off:
            out.write(b"\n")
        waiting: set[Future[Result]] = set()
        for task in tasks:
            if task.digest in kept:
                results[task.digest] = kept[task.digest]
                finished(kept[task.digest], True)
            else:
                waiting.add(pool.submit(processes.do, task, begun, report))
        try:
            while waiting:
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    result = future.result()
                    out.write(msgspec.json.encode(result) + b"\n")
                    out.flush()
                    results[result.digest] = result
                    finished(result, False)
        except BaseException:
            processes.stop.set()
            for future in waiting:
                future.cancel()
            raise
    return [results[task.digest] for task in tasks]


class _Processes:
    """Processes that do one task after the other: to start one costs as much as 50,000 events."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._idle: list[_Process] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._idle:
            process.close()

    def do(self, task: Task, begun: Callable[[Task], None], report: Callable[[Task, int, int], None]) -> Result:
        """Do a task in an idle process, or in a new one; raises `StillwatchError` if it fails or `stop` is set."""
        if self.stop.is_set():
            raise StillwatchError("stopped")
        begun(task)
        with self._lock:
            process = self._idle.pop() if self._idle else _Process()
        try:
            result = process.do(task, report, self.stop)
        except BaseException:
            process.close()
            raise
        with self._lock:
            self._idle.append(process)
        return result


class _Process:
    """``python -m streams.evaluate.run`` with its pipes; what it says on standard error is kept for its failure."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        command = [sys.executable, "-m", "streams.evaluate.run"]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._errors, env=environment)  # noqa: S603

    def do(self, task: Task, report: Callable[[Task, int, int], None], stop: threading.Event) -> Result:
        """Hand a task over and wait for its result."""
        into, out = self._process.stdin, self._process.stdout
        if into is None or out is None:
            raise RuntimeError("the process has no pipes")
        with suppress(BrokenPipeError):  # it has failed: its output ends
            into.write(msgspec.json.encode(task) + b"\n")
            into.flush()
        for line in out:
            if stop.is_set():
                self._process.terminate()
                raise StillwatchError("stopped")
            if line.startswith(b"{"):
                return msgspec.json.decode(line, type=Result)
            done, _, expected = line.partition(b" ")
            report(task, int(done), int(expected))
        code = self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace")[-ERROR_CHARS:]
        raise StillwatchError(f"the run {task.run.key} failed (exit {code}):\n{text}")

    def close(self) -> None:
        """End the process, which does so when its input ends."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
