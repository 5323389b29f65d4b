"""``stillwatch bench``: events/s and memory on this machine, beside what bounds them and what else there is."""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from streams.bench.table import COLUMNS, KINDS, Line, cells, lines_of, markdown, missing
from streams.commands.options import CONFIG, JSON, OUTPUT_FILE, echo_json, echo_table
from streams.config import Settings
from streams.errors import StillwatchError
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.bench.row import Row
    from streams.bench.traffic import Traffic

DEFAULT_ROWS = ("decode", "replay", "worker")
PROGRESS_S = 5.0
SKEW_MAX_MS = 600_000


def _rows(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = {name.strip() for name in value.split(",")} - {""}
    if names == {"all"}:
        return tuple(KINDS)
    if not names or names - set(KINDS):
        raise click.BadParameter(f"choose among {', '.join(KINDS)}, or take all.")
    return tuple(name for name in KINDS if name in names)


@click.command()
@CONFIG
@click.option("--accounts", type=click.IntRange(100), default=50_000, show_default=True, help="Benign accounts.")
@click.option("--events", type=click.IntRange(1_000), default=400_000, show_default=True, help="Events.")
@click.option(
    "--prompts",
    type=click.Choice(["fingerprints", "text"]),
    default="fingerprints",
    show_default=True,
    help="What events tell of a prompt; texts have 600 characters.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the simulator.")
@click.option(
    "--rows", default=",".join(DEFAULT_ROWS), show_default=True, callback=_rows, help="What to measure, or all."
)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="Of each row, in turns.")
@click.option("--markdown", "page", type=OUTPUT_FILE, help="Write a table here, a plot beside it.")
@click.option("--live", "with_live", is_flag=True, help="Also latency at half of the worker's rate, and kill -9.")
@click.option(
    "--scale",
    "curve",
    type=OUTPUT_FILE,
    help="Instead: cost by number of accounts, up to --accounts, into this file of JSON lines; goes on where it ended.",
)
@click.option("--memory", is_flag=True, help="Instead: bytes an account, with and without its models, of --accounts.")
@click.option(
    "--soak",
    "soak_path",
    type=OUTPUT_FILE,
    help="Instead: does memory grow under --rate for --minutes? A line every 10 s is added to this file of JSON lines.",
)
@click.option("--minutes", type=click.FloatRange(0.2), default=120.0, show_default=True, help="Of --soak.")
@click.option("--rate", type=click.IntRange(1), default=20_000, show_default=True, help="Of --soak: events/s.")
@JSON
def bench(
    config_path: Path | None,
    accounts: int,
    events: int,
    prompts: str,
    seed: int,
    rows: tuple[str, ...],
    runs: int,
    page: Path | None,
    with_live: bool,
    curve: Path | None,
    memory: bool,
    soak_path: Path | None,
    minutes: float,
    rate: int,
    as_json: bool,
) -> None:
    """Measure decoding, replay, and a worker on a real broker, on the same simulated events.

    The events are the simulator's default mix with its campaigns running. The broker is started and stopped here, and
    has a core of its own; what is measured has another. A row counts only if its results are those of the product:
    alerts as a replay's, or the same sightings and signals. On a busy machine the CPU time per event says more than
    the events per second. `--rows all` adds the limits of the clients, and stage accounts in other frameworks
    (`uv sync --group bench-hosts`).
    """
    settings = load(config_path).settings
    if curve is not None:
        _scale(curve, accounts, settings, as_json)
        return
    if memory:
        _memory(accounts, settings, as_json)
        return
    if soak_path is not None:
        _soak(soak_path, minutes, rate, accounts, settings, as_json)
        return
    if with_live and "worker" not in rows:
        raise click.UsageError("--live needs the row of the worker, whose rate it halves.")
    from streams.bench.live import live, text
    from streams.bench.run import Runner
    from streams.bench.traffic import write_traffic

    # event time runs hundreds of times faster than the clock here, so partitions drift apart within a batch
    time_ = msgspec.structs.replace(settings.time, skew_max_ms=max(SKEW_MAX_MS, settings.time.skew_max_ms))
    settings = msgspec.structs.replace(settings, time=time_)
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as folder, _progress() as report:
        path = Path(folder) / "events.jsonl"
        traffic = write_traffic(path, accounts, events, seed, lambda n: report("simulate", n), prompts)
        found = Runner(traffic, settings, Path(folder), report).run(rows, runs)
        lines = lines_of(found, rows)
        drained = next((line.events_per_s[0] for line in lines if line.name == "worker"), 0.0)
        lived, failed = None, ""
        if with_live:
            try:
                lived = live(traffic, settings, drained, report)
            except StillwatchError as error:  # the rows still count
                failed = f"no latency: {error.message}"
    if as_json:
        short = msgspec.structs.replace(traffic, path="")
        echo_json({"traffic": short, "rows": found, "lines": lines, "live": lived})
    else:
        _show(traffic, found, lines)
        if with_live:
            click.echo(f"\n{text(lived) if lived else failed}")
    if page is not None:
        from streams.bench.plot import bars

        page.write_text(markdown(lines) + (f"\n{text(lived)}\n" if lived else ""))
        page.with_suffix(".svg").write_text(bars(lines, f"{prompts}, {events:,} events"))
    if failed or any(line.void and not missing(line.name) for line in lines):
        raise SystemExit(1)


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


def _scale(path: Path, largest: int, settings: Settings, as_json: bool) -> None:
    from streams.bench.curve import COLUMNS, cells, measure_all, model

    with _progress() as report:
        points = measure_all(path, largest, settings, report)
    if as_json:
        echo_json(points)
    else:
        echo_table(COLUMNS, [cells(point) for point in points])
        click.echo(f"\n{model(points)}")


def _memory(accounts: int, settings: Settings, as_json: bool) -> None:
    from streams.bench.footprint import footprint, text

    found = footprint(accounts, settings)
    if as_json:
        echo_json(found)
    else:
        click.echo(text(found))


def _soak(path: Path, minutes: float, rate: int, accounts: int, settings: Settings, as_json: bool) -> None:
    from streams.bench.soak import soak
    from streams.bench.soaked import text

    with _progress() as report:
        found = soak(path, minutes, rate, accounts, settings, report)
    if as_json:
        echo_json(found)
    else:
        click.echo(text(found))
    if not found.ok:
        raise SystemExit(1)


def _show(traffic: "Traffic", rows: "list[Row]", lines: list[Line]) -> None:
    size = traffic.size_bytes / traffic.events
    click.echo(f"{traffic.events:,} events of {size:,.0f} bytes, {traffic.accounts:,} accounts\n")
    echo_table(COLUMNS, [cells(line) for line in lines])
    for row in rows:
        if row.void:
            click.echo(f"\nrun {row.run + 1} of the {row.row} is void: {row.void}")
    for row in [row for row in rows if row.run == 0]:
        if row.stages_us_per_event:
            stages = ", ".join(f"{stage} {us}" for stage, us in row.stages_us_per_event.items())
            click.echo(f"\nus of CPU an event by stage ({row.row}): {stages}")
        if row.threads_us_per_event and row.alerts:
            threads = ", ".join(f"{thread} {us}" for thread, us in row.threads_us_per_event.items())
            click.echo(f"us of CPU an event by thread ({row.row}): {threads}")
            click.echo(f"the {row.row} took {row.start_cpu_s} s of CPU to start, before its first event")
        if row.us_per_item:
            filled = ", ".join(f"{1e6 / us:,.0f} {what}/s" for what, us in row.us_per_item.items())
            click.echo(f"the {row.row} is full at {filled} ({row.accounts:,} accounts)")
        if row.per_event:
            click.echo("per event: " + ", ".join(f"{name} {value}" for name, value in row.per_event.items()))
        if row.memory_bytes_per_account:
            click.echo(
                f"memory of the replay: {row.memory_bytes / 1e6:,.0f} MB more at the end than before the first event: "
                f"{row.memory_bytes / traffic.accounts:,.0f} bytes an account, {row.memory_bytes_per_account:,.0f} for "
                f"each of the {row.accounts:,} that showed up, {row.memory_bytes / row.events:,.0f} an event"
            )
