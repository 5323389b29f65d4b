"""``stillwatch replay``: the detector over files, in one process and without a broker."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from streams.commands.options import CONFIG, JSON, REFERENCE, echo_json
from streams.errors import InputError
from streams.settings import load

_PROGRESS_S = 0.5


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--alerts", "alerts_path", metavar="OUT", help="Write every revision of every case here, one JSON a line."
)
@click.option(
    "--dead-letters", "dead_path", metavar="OUT", help="Write records that cannot be used here, with the reason."
)
@click.option(
    "--state",
    "state_path",
    metavar="OUT",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what was learned of the benign here, for --reference of another replay or a worker.",
)
@REFERENCE
@CONFIG
@JSON
def replay(
    inputs: tuple[str, ...],
    alerts_path: str | None,
    dead_path: str | None,
    state_path: Path | None,
    reference_path: Path | None,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Run the detector over INPUT files (.jsonl, .jsonl.gz, .jsonl.zst, or - for standard input).

    Gives the same alerts as the worker does on the same events in a topic, byte for byte: accounts are given to the
    configured number of partitions as Kafka's default partitioner would. Read the result with `stillwatch alerts show
    --file OUT`.

    A replay of history can leave a warm reference (--state): forests of what clean accounts of each plan are like, how
    often benign groups have a purpose, and how many groups a day has. A worker or a replay that begins with it
    (--reference) scores against it for its first day, and against what it has learned itself from then on. Accounts
    enter after six clean hours, so history should be at least a day long.

    \b
    stillwatch simulate --out traffic.jsonl.zst
    stillwatch replay traffic.jsonl.zst --alerts alerts.jsonl
    stillwatch replay history.jsonl.zst --state reference
    stillwatch replay traffic.jsonl.zst --alerts alerts.jsonl --reference reference
    """
    settings = load(config_path).settings
    from streams.campaigns.carried import read_reference, write_reference
    from streams.operator import ALERTS, DEAD_LETTERS, Record
    from streams.replay import replay as run

    if state_path is not None and not os.access(state_path.parent, os.W_OK):
        raise InputError(f"cannot write {state_path}: its folder is missing, or not to be written to")  # not at the end
    with ExitStack() as stack:
        outputs: dict[str, Any] = {}
        for role, path in ((ALERTS, alerts_path), (DEAD_LETTERS, dead_path)):
            if path is not None:
                try:
                    outputs[role] = stack.enter_context(open(path, "wb"))
                except OSError as error:
                    raise InputError(f"cannot write {path}: {error.strerror}") from None

        def write(record: Record) -> None:
            if (out := outputs.get(record.role)) is not None:
                out.write(record.value + b"\n")

        def keep(host: Any) -> None:
            if state_path is not None:
                write_reference(state_path, host.reference())

        reference = read_reference(reference_path) if reference_path else None
        summary = run(list(inputs), settings, write, _progress(stack, as_json), reference, keep)
    if as_json:
        echo_json(summary)
        return
    click.echo(
        f"{summary.events:,} events of {summary.accounts:,} accounts: {summary.cases} cases "
        f"in {summary.alerts} revisions, "
        f"{summary.clusters} candidate groups, {summary.dead_letters} dead letters, {summary.duplicates} duplicates, "
        f"{summary.late} late\n{summary.seconds:.1f} s, {summary.events_per_second:,.0f} events/s, "
        f"{summary.peak_memory_bytes / 1e6:,.0f} MB at most"
    )
    if state_path is not None:
        learned = ", ".join(f"{plan} {n:,}" for plan, n in sorted(summary.reference.items()))
        click.echo(f"reference in {state_path}: windows of clean accounts by plan: {learned or 'none'}")


def _progress(stack: ExitStack, quiet: bool) -> Any:
    """A bar on a terminal, a line every ten seconds elsewhere, both on standard error; None if quiet."""
    if quiet:
        return None
    shown = time.monotonic()
    if not sys.stderr.isatty():

        def line(path: str, done: int, size: int | None, host: Any) -> None:
            nonlocal shown
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                share = f", {done / size:.0%} of {path}" if size else ""
                click.echo(f"{host.lines:,} events{share}", err=True)

        return line
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeRemainingColumn())
    bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
    tasks: dict[str, Any] = {}

    def draw(path: str, done: int, size: int | None, host: Any) -> None:
        nonlocal shown
        if time.monotonic() - shown < _PROGRESS_S:
            return
        shown = time.monotonic()
        if path not in tasks:
            tasks[path] = bar.add_task(Path(path).name, total=size, text="")
        cases = len(host.pipeline.campaigns.cases.cases)
        bar.update(tasks[path], completed=done, text=f"{host.lines:,} events, {cases} cases")

    return draw
