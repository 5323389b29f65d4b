"""Do many runs in processes of their own, and keep what is done: a run that broke off goes on where it was."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

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
    with (folder / RESULTS).open("ab") as out, ThreadPoolExecutor(jobs) as pool:
        stop = threading.Event()
        waiting: set[Future[Result]] = set()
        for task in tasks:
            if task.digest in kept:
                results[task.digest] = kept[task.digest]
                finished(kept[task.digest], True)
            else:
                waiting.add(pool.submit(_in_process, task, begun, report, stop))
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
            stop.set()
            for future in waiting:
                future.cancel()
            raise
    return [results[task.digest] for task in tasks]


def _in_process(
    task: Task, begun: Callable[[Task], None], report: Callable[[Task, int, int], None], stop: threading.Event
) -> Result:
    if stop.is_set():
        raise StillwatchError("stopped")
    begun(task)
    command = [sys.executable, "-m", "streams.evaluate.run"]
    last = b""
    pipe = subprocess.PIPE
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, env=environment) as process,  # noqa: S603
    ):
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(task))
            process.stdin.close()
        for line in process.stdout or ():
            if stop.is_set():
                process.terminate()
                raise StillwatchError("stopped")
            last = line
            if not line.startswith(b"{"):
                done, _, expected = line.partition(b" ")
                report(task, int(done), int(expected))
        if process.wait():
            errors.seek(0)
            text = errors.read().decode(errors="replace")[-ERROR_CHARS:]
            raise StillwatchError(f"the run {task.run.key} failed (exit {process.returncode}):\n{text}")
    return msgspec.json.decode(last, type=Result)
