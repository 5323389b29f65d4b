"""What can be measured, in the order in which it is shown, and what the measurements of several runs come to."""

import statistics
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

import msgspec

from streams.bench.row import Row


class Kind(NamedTuple):
    """How a row is measured: in a process without broker, by a host, or by the worker with an operator factory."""

    label: str
    how: str  # "file", "host" or "worker"
    what: str  # of `streams.bench.rows`, `streams.bench.hosts` or `streams.bench.hosts.product`
    result: str = ""  # what it is held against: "", "digest" or "alerts"
    needs: str = ""  # the package, if it is not among the requirements
    workers: int = 1  # the last of them has stage campaigns


KINDS = {
    "aiokafka": Kind("aiokafka, no work", "host", "drain_aiokafka"),
    "confluent": Kind("confluent-kafka, no work", "host", "drain_confluent"),
    "decode": Kind("decode only", "file", "decode"),
    "worker-decode": Kind("decode only, through the worker", "worker", "decode_only"),
    "operator": Kind("stage accounts alone", "file", "operator"),
    "accounts-volatile": Kind("stage accounts in the worker, volatile", "worker", "volatile", "digest"),
    "accounts": Kind("stage accounts in the worker", "worker", "durable", "digest"),
    "faust": Kind("stage accounts in Faust, agent per event", "host", "faust_agent", "digest"),
    "faust-take": Kind("stage accounts in Faust, take", "host", "faust_take", "digest"),
    "quix": Kind("stage accounts in Quix Streams", "host", "quix", "digest", "quixstreams"),
    "bytewax": Kind("stage accounts in Bytewax", "host", "bytewax", "digest", "bytewax"),
    "campaigns": Kind("stage campaigns alone", "file", "campaigns"),
    "replay": Kind("replay", "file", "replay"),
    "worker-volatile": Kind("worker, volatile", "worker", "all_volatile", "alerts"),
    "worker": Kind("worker", "worker", "all_durable", "alerts"),
    "worker-two": Kind("two workers", "worker", "all_durable", "alerts", workers=2),
}
LIMIT, STOCK = "worker-decode", "faust-take"  # what shares and ratios refer to
NOT_INSTALLED = "not installed: uv sync --group bench-hosts"


class Line(msgspec.Struct):
    """A row over its runs: medians, and least and largest."""

    name: str
    label: str
    runs: int = 0
    events_per_s: tuple[float, float, float] = (0.0, 0.0, 0.0)  # median, least, largest
    cpu_us_per_event: tuple[float, float, float] = (0.0, 0.0, 0.0)
    memory_bytes: int = 0  # median of what each run took at most
    share_of_limit: float = 0.0  # CPU of decoding only, through the worker, by this row's CPU; 0: not measured
    times_stock: float = 0.0  # CPU of stock Faust by this row's CPU; 0: not measured
    void: str = ""


def missing(name: str) -> bool:
    """Tell whether a row's package is not installed."""
    return bool(KINDS[name].needs) and find_spec(KINDS[name].needs) is None


def lines_of(rows: Iterable[Row], names: Sequence[str]) -> list[Line]:
    """Sum up the rows of several runs, one line for each of ``names``; a run that is void makes its line void."""
    rows = list(rows)
    lines = [_line(name, [row for row in rows if row.row == KINDS[name].label]) for name in names]
    cpu = {line.name: line.cpu_us_per_event[0] for line in lines if line.runs and not line.void}
    for line in lines:
        if line.name in cpu:
            line.share_of_limit = round(cpu.get(LIMIT, 0.0) / cpu[line.name], 3)
            if KINDS[line.name].result == "digest":  # others do more, or less
                line.times_stock = round(cpu.get(STOCK, 0.0) / cpu[line.name], 2)
    return lines


def _line(name: str, rows: list[Row]) -> Line:
    line = Line(name, KINDS[name].label, len(rows))
    if not rows:
        line.void = NOT_INSTALLED if missing(name) else "not measured"
        return line
    line.void = next((row.void for row in rows if row.void), "")
    for field in ("events_per_s", "cpu_us_per_event"):
        values = [getattr(row, field) for row in rows]
        setattr(line, field, (round(statistics.median(values), 2), min(values), max(values)))
    line.memory_bytes = int(statistics.median(row.memory_bytes for row in rows))
    return line


COLUMNS = ("", "events/s", "us of CPU an event", "events/s a core by CPU", "MB", "of the limit", "times stock Faust")


def cells(line: Line) -> tuple[str, ...]:
    """Return a line as texts, in the order of `COLUMNS`."""
    if line.void:
        return (line.label, line.void.splitlines()[0], "", "", "", "", "")
    rate, cpu = line.events_per_s, line.cpu_us_per_event
    return (
        line.label,
        _spread(rate, "{:,.0f}", line.runs),
        _spread(cpu, "{:.1f}", line.runs),
        f"{1e6 / cpu[0]:,.0f}",
        f"{line.memory_bytes / 1e6:,.0f}" if line.memory_bytes else "",
        f"{line.share_of_limit:.0%}" if line.share_of_limit else "",
        f"{line.times_stock:.1f}" if line.times_stock else "",
    )


def _spread(values: tuple[float, float, float], form: str, runs: int) -> str:
    middle, least, largest = (form.format(value) for value in values)
    return middle if runs == 1 else f"{middle} ({least}-{largest})"


def markdown(lines: Iterable[Line]) -> str:
    """Return the lines as a Markdown table."""
    rows = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1)), *map(cells, lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
