"""Real timing: when users of a service came, when agents made their calls, how a tenant's load flows over two weeks."""

import csv
import datetime as dt
import gzip
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from streams.convert.sets import Request, rows
from streams.errors import InputError

USERS = "alibaba_genai_2026/requests_users_part1.csv.gz"
ANSWERS = "azure_llm_2023/AzureLLMInferenceTrace_conv.csv.gz"
TENANTS = "servegen_clients/m-large_client_windows.csv.gz"
WINDOW_MS = 600_000
TWO_WEEKS_WINDOWS = 2_016
STEADY_WINDOWS = 1_500  # of 2,016: tenants that are there most of the time, so that any part of the weeks has traffic
CV_MAX = 4.0  # a tenant's median burstiness is 1 to 3; single windows reach 20 on a handful of requests


class Step(NamedTuple):
    """One call of a scripted program: ms since the start of all runs, its last message, and the size of all of it."""

    offset_ms: int
    request: Request
    input_chars: int


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Read a gzipped CSV file with a header; raise `InputError` if it is something else."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is no gzipped CSV file: {error}") from None


def users(folder: Path) -> list[np.ndarray]:
    """Request times of each user of a production service, in ms since the first of all; users by first request."""
    path = folder / USERS
    found: dict[str, list[int]] = defaultdict(list)
    try:
        for row in csv_rows(path):
            moment = dt.datetime.fromisoformat(row["gmt_create"]).replace(tzinfo=dt.UTC)
            found[row["groupId"]].append(int(moment.timestamp() * 1_000))
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has no usable column {error}") from None
    origin = min((min(times) for times in found.values()), default=0)
    visits = [np.sort(np.array(times, np.int64)) - origin for times in found.values()]
    return sorted(visits, key=lambda times: (int(times[0]), times.tobytes()))


def workflow(folder: Path, file: str) -> list[list[Step]]:
    """The runs of a scripted program: the last message of each call, which is what was added to the call before.

    The requests hold the whole conversation as text; where a call repeats the one before, its last paragraph stands for
    the last message.
    """
    found: dict[str, list[Step]] = defaultdict(list)
    before: dict[str, str] = {}
    path = folder / file
    try:
        for row in rows(path):
            run, text = row["run_id"], row["input"]
            known = before.get(run, "")
            added = text[len(known) :] if known and text.startswith(known) else text if not known else ""
            message = added.strip() or text.rsplit("\n\n", 1)[-1]
            before[run] = text
            request = Request(message, None, len(row["output"]))
            found[run].append(Step(int(row["timestamp_us"]) // 1_000, request, len(text)))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} has a row without {error}") from None
    origin = min((steps[0].offset_ms for steps in found.values()), default=0)
    return [[step._replace(offset_ms=step.offset_ms - origin) for step in steps] for steps in found.values()]


class Tenants:
    """Weekly load and burstiness of real API tenants (ServeGen), one of which is drawn for each flow."""

    def __init__(self, folder: Path) -> None:
        path = folder / TENANTS
        rates: dict[str, np.ndarray] = {}
        bursts: dict[str, list[float]] = defaultdict(list)
        try:
            for row in csv_rows(path):
                client = rates.setdefault(row["client_id"], np.zeros(TWO_WEEKS_WINDOWS))
                client[int(row["window_start_s"]) // 600 % TWO_WEEKS_WINDOWS] = float(row["rate_rps"])
                bursts[row["client_id"]].append(float(row["interarrival_cv"] or 1))
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} has no usable column {error}") from None
        present = (client for client in rates if np.count_nonzero(rates[client]) >= STEADY_WINDOWS)
        steady = sorted(present, key=int)
        self._flows = [(rates[client], min(CV_MAX, float(np.median(bursts[client])))) for client in steady]
        if not self._flows:
            raise InputError(f"{path} has no tenant that is there for {STEADY_WINDOWS} windows of ten minutes")

    def flow(self, rng: np.random.Generator, n: int, start_ms: int, length_ms: int) -> np.ndarray:
        """Times of ``n`` exchanges within ``length_ms`` of a start (epoch ms), with one tenant's rhythm and bursts."""
        rate, cv = self._flows[int(rng.integers(len(self._flows)))]
        edges = np.arange(start_ms // WINDOW_MS, (start_ms + length_ms) // WINDOW_MS + 1)
        load = np.maximum(rate[edges % TWO_WEEKS_WINDOWS], rate.mean() * 0.01)
        bounds = np.append(edges * WINDOW_MS, (edges[-1] + 1) * WINDOW_MS).clip(start_ms, start_ms + length_ms)
        mass = np.concatenate([[0.0], np.cumsum(load * np.diff(bounds))])
        # a renewal process with the tenant's coefficient of variation, on a clock that runs as fast as the load
        gaps = rng.gamma(1 / cv**2, cv**2, n + 1)
        at = np.cumsum(gaps)[:-1] / gaps.sum() * mass[-1]
        return np.interp(at, mass, bounds).astype(np.int64)


class Steady:
    """Exchanges at random times, where there is no trace to follow."""

    def flow(self, rng: np.random.Generator, n: int, start_ms: int, length_ms: int) -> np.ndarray:
        """Times of ``n`` exchanges within ``length_ms`` of a start."""
        return np.sort(rng.integers(start_ms, start_ms + length_ms, n))


def answer_lengths(folder: Path) -> list[int]:
    """Sorted lengths of real answers in tokens (Azure's chat service); empty if the trace is not there."""
    path = folder / ANSWERS
    if not path.is_file():
        return []
    try:
        return sorted(int(row["GeneratedTokens"]) for row in csv_rows(path))
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has no usable column {error}") from None
