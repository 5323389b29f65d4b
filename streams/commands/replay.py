"""``stillwatch replay``: the detector over files, in one process and without a broker."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from streams.commands.options import CONFIG, JSON, REFERENCE, echo_json, echo_table
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
@click.option(
    "--truth",
    "truth_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Say what was caught, and who is named in error, by what `simulate` or `convert` wrote.",
)
@REFERENCE
@CONFIG
@JSON
def replay(
    inputs: tuple[str, ...],
    alerts_path: str | None,
    dead_path: str | None,
    state_path: Path | None,
    truth_path: Path | None,
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
    stillwatch simulate --out traffic.jsonl.zst --truth truth.json
    stillwatch replay traffic.jsonl.zst --alerts alerts.jsonl --truth truth.json
    stillwatch replay history.jsonl.zst --state reference
    stillwatch replay traffic.jsonl.zst --alerts alerts.jsonl --reference reference
    """
    settings = load(config_path).settings
    from streams.campaigns.carried import read_reference, write_reference
    from streams.contracts.alert import decode_alert
    from streams.evaluate.score import Scorer
    from streams.evaluate.words import score_fields
    from streams.operator import ALERTS, DEAD_LETTERS, Record
    from streams.replay import replay as run

    if state_path is not None and not os.access(state_path.parent, os.W_OK):
        raise InputError(f"cannot write {state_path}: its folder is missing, or not to be written to")  # not at the end
    reference = read_reference(reference_path) if reference_path else None
    _check_outputs(inputs, alerts_path, dead_path)
    scorer = None if truth_path is None else Scorer(_truth(truth_path), settings.time.lateness_ms)
    revisions: dict[str, list[Any]] = {}
    with ExitStack() as stack:
        outputs: dict[str, Any] = {}
        for role, path in ((ALERTS, alerts_path), (DEAD_LETTERS, dead_path)):
            if path is not None:
                outputs[role] = stack.enter_context(_written(path))

        def write(record: Record) -> None:
            if (out := outputs.get(record.role)) is not None:
                try:
                    out.write(record.value + b"\n")
                except OSError as error:
                    raise InputError(f"cannot write {out.name}: {error.strerror}") from None
            if scorer is not None and record.role == ALERTS:
                alert = decode_alert(record.value)
                revisions.setdefault(alert.alert_id, []).append(alert)

        def keep(host: Any) -> None:
            if state_path is not None:
                write_reference(state_path, host.reference())

        summary = run(list(inputs), settings, write, _progress(stack, as_json), reference, keep)
    score = None if scorer is None else scorer.score(revisions)
    if as_json:
        echo_json(summary if score is None else {**msgspec.structs.asdict(summary), "score": score_fields(score)})
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
    if score is not None:
        _show(score)


def _check_outputs(inputs: tuple[str, ...], *outputs: str | None) -> None:
    """Raise `InputError` if what is read, or written already, would be written over."""
    taken = {Path(path).resolve() for path in inputs if path != "-"}
    for path in filter(None, outputs):
        if (place := Path(path).resolve()) in taken and _is_kept(place):
            raise InputError(f"{path} is given twice: it would be written over")
        taken.add(place)


def _is_kept(path: Path) -> bool:
    """Tell a file, or the place of one, from what keeps nothing: a pipe, a terminal, /dev/null."""
    return path.is_file() or not path.exists()


@contextmanager
def _written(path: str) -> Iterator[BinaryIO]:
    """A file that takes its place once all is written, so that a failure leaves what was there."""
    target = Path(path)
    part = target.with_name(f"{target.name}.part") if _is_kept(target) else target
    try:
        with part.open("wb") as out:
            yield out
        if part != target:
            part.replace(target)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    finally:
        if part != target:
            part.unlink(missing_ok=True)


def _truth(path: Path) -> Any:
    from streams.simulator.truth import read

    try:
        return read(path)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"{path} is no truth that `stillwatch simulate` or `convert` wrote: {error}") from None


def _show(score: Any) -> None:
    from streams.evaluate.words import CAMPAIGN_COLUMNS, campaign_row, false_line, plural

    if score.campaigns:
        echo_table(CAMPAIGN_COLUMNS, [campaign_row(each) for each in score.campaigns])
    for names in score.false_names:
        click.echo(false_line(names))
    caught, active = sum(each.caught for each in score.campaigns), sum(each.exchanges > 0 for each in score.campaigns)
    right, carry = (sum(getattr(each, name) for each in score.campaigns) for name in ("right", "accounts"))
    click.echo(
        f"caught {caught} of {plural(active, 'campaign')} and named {right:,} of their {plural(carry, 'account')}; "
        f"{plural(score.false_alarms, 'false alarm')}, {plural(score.benign_named, 'benign account')} named"
    )


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
