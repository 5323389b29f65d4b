"""``stillwatch bench``: events a second and memory on this machine."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from streams.commands.options import JSON, echo_json, echo_table, with_settings
from streams.config import Settings
from streams.errors import StillwatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.bench.rows import Row
    from streams.bench.traffic import Traffic

ROWS = ("decode", "replay", "worker")
PROGRESS_S = 5.0
SKEW_MAX_MS = 600_000


def _rows(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = {name.strip() for name in value.split(",")} - {""}
    if not names or names - set(ROWS):
        raise click.BadParameter(f"choose among {', '.join(ROWS)}.")
    return tuple(name for name in ROWS if name in names)


@click.command()
@with_settings
@click.option("--accounts", type=click.IntRange(100), default=50_000, show_default=True, help="Benign accounts.")
@click.option("--events", type=click.IntRange(1_000), default=400_000, show_default=True, help="Events.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulator.")
@click.option("--rows", default=",".join(ROWS), show_default=True, callback=_rows, help="What to measure.")
@JSON
def bench(settings: Settings, accounts: int, events: int, seed: int, rows: tuple[str, ...], as_json: bool) -> None:
    """Measure decoding, replay, and a worker on a real broker, on the same simulated events.

    The events are the simulator's default mix with its campaigns running, fingerprints instead of texts. The broker is
    started and stopped here. The worker's row counts only if its alerts are those of the replay. On a busy machine the
    CPU time per event says more than the events per second.
    """
    from streams.bench.traffic import write_traffic

    # event time runs hundreds of times faster than the clock here, so partitions drift apart within a batch
    time_ = msgspec.structs.replace(settings.time, skew_max_ms=max(SKEW_MAX_MS, settings.time.skew_max_ms))
    settings = msgspec.structs.replace(settings, time=time_)
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as folder, _progress() as report:
        traffic = write_traffic(Path(folder) / "events.jsonl", accounts, events, seed, lambda n: report("simulate", n))
        found, alerts = [], None
        for name in ("decode", "replay"):
            if name in rows or (name == "replay" and "worker" in rows):
                result, alerts = _child(name, traffic, settings, Path(folder), report)
                if name in rows:
                    found.append(result)
        if "worker" in rows:
            from streams.bench.worker import work

            found.append(work(traffic, settings, alerts, report))
    if as_json:
        echo_json({"traffic": msgspec.structs.replace(traffic, path=""), "rows": found})
    else:
        _show(traffic, found)
    if any(row.void for row in found):
        raise SystemExit(1)


def _child(
    name: str, traffic: "Traffic", settings: Settings, folder: Path, report: Callable[[str, int], None]
) -> tuple["Row", Any]:
    """Measure in a fresh process, so that no row inherits another's memory."""
    from streams.bench.rows import Replayed, Row

    result = folder / name
    arguments = [msgspec.json.encode(value).decode() for value in (traffic, settings)]
    command = [sys.executable, "-m", "streams.bench.rows", name, *arguments, str(result)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or ():
            report(name, int(line))
    if process.returncode:
        raise StillwatchError(f"The measurement of {name} failed (exit {process.returncode}).")
    data = result.read_bytes()
    if name == "decode":
        return msgspec.msgpack.decode(data, type=Row), None
    replayed = msgspec.msgpack.decode(data, type=Replayed)
    return replayed.row, replayed.alerts


@contextmanager
def _progress() -> "Iterator[Callable[[str, int], None]]":
    """Say on standard error how far it is: a line that changes on a terminal, one every few seconds elsewhere."""
    terminal = sys.stderr.isatty()
    shown, last = 0.0, ""

    def report(what: str, events: int) -> None:
        nonlocal shown, last
        now = time.monotonic()
        if what == last and now - shown < (0.2 if terminal else PROGRESS_S):
            return
        shown, last = now, what
        text = f"{what}: {events:,} events" if events else what
        click.echo(f"\r\x1b[K{text}" if terminal else text, err=True, nl=not terminal)

    try:
        yield report
    finally:
        if terminal:
            click.echo("\r\x1b[K", err=True, nl=False)


def _show(traffic: "Traffic", rows: "list[Row]") -> None:
    size = traffic.size_bytes / traffic.events
    click.echo(f"{traffic.events:,} events of {size:,.0f} bytes, {traffic.accounts:,} accounts\n")
    lines = [
        (
            row.row,
            f"{row.events_per_s:,.0f}" if not row.void else "void",
            f"{1e6 / row.cpu_us_per_event:,.0f}",
            f"{row.cpu_us_per_event:.1f}",
            f"{row.alerts}" if row.row != "decode only" else "",
        )
        for row in rows
    ]
    echo_table(("", "events/s", "per core", "us of CPU an event", "alerts"), lines)
    for row in rows:
        if row.void:
            click.echo(f"\nthe row of the {row.row} is void: {row.void}")
        if row.stages_us_per_event:
            stages = ", ".join(f"{stage} {us}" for stage, us in row.stages_us_per_event.items())
            click.echo(f"\nus of CPU an event by stage ({row.row}): {stages}")
        if row.threads_us_per_event:
            threads = ", ".join(f"{thread} {us}" for thread, us in row.threads_us_per_event.items())
            click.echo(f"us of CPU an event by thread ({row.row}): {threads}")
        if row.start_cpu_s:
            click.echo(f"the {row.row} took {row.start_cpu_s} s of CPU to start, before its first event")
        if row.per_event:
            click.echo("per event: " + ", ".join(f"{name} {value}" for name, value in row.per_event.items()))
        if row.memory_bytes_per_account:
            click.echo(
                f"memory of the replay: {row.memory_bytes / 1e6:,.0f} MB more at the end than before the first event: "
                f"{row.memory_bytes / traffic.accounts:,.0f} bytes an account, {row.memory_bytes_per_account:,.0f} for "
                f"each of the {row.accounts:,} that showed up, {row.memory_bytes / row.events:,.0f} an event"
            )
        elif row.memory_bytes:
            click.echo(f"memory of the {row.row}: {row.memory_bytes / 1e6:,.0f} MB at most")
