"""``stillwatch simulate``: traffic with known truth, to a file or to a topic."""

import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from streams.commands.options import OUTPUT_FILE, with_settings
from streams.errors import InputError, TopicError


def _start(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Read an ISO 8601 time (UTC unless it says otherwise) as ms since the epoch."""
    if value is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no ISO 8601 time such as 2026-09-10T07:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return int(moment.timestamp() * 1_000)


@contextmanager
def _progress(expected: int, quiet: bool) -> Iterator[Callable[[int], object]]:
    """Show a bar on a terminal, a plain line now and then elsewhere, nothing if quiet; all on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet:
        yield lambda events: None
    elif console.is_terminal:
        columns = (
            TextColumn("simulating"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("events"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("simulating", total=expected)
            yield lambda events: progress.advance(task, events)
    else:
        done, shown = 0, time.monotonic()

        def report(events: int) -> None:
            nonlocal done, shown
            done += events
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                click.echo(f"{done:,} of about {expected:,} events", err=True)

        yield report


def _option(name: str, *more: Any, **settings: Any) -> Callable[[Any], Any]:
    """Declare an option that shows its default, if it has one."""
    settings.setdefault("show_default", settings.get("default") is not None and not settings.get("is_flag"))
    return click.option(name, *more, **settings)


_SHARE = click.FloatRange(0, 1)
_ABOVE_0 = click.FloatRange(0, min_open=True)


@click.command()
@_option("--seed", type=click.IntRange(0), default=1, help="Same seed and options, same bytes.")
@_option("--accounts", type=click.IntRange(1), default=2_000, help="Benign accounts.")
@_option("--hours", type=_ABOVE_0, default=6.0, help="Event time covered.")
@_option("--start", callback=_start, metavar="TIME", help="First moment, ISO 8601.  [default: 2026-09-10T09:00]")
@_option("--activity", type=_ABOVE_0, default=1.0, help="Factor on the benign accounts' rates.")
@_option(
    "--campaigns",
    "mix",
    type=click.Choice(["none", "default", "all"]),
    help="A mix of shapes.  [default: default, or none with --campaign]",
)
@_option("--campaign", "specs", multiple=True, metavar="SHAPE[:KEY=VALUE,...]", help="Add a campaign; repeatable.")
@_option(
    "--hostile-share",
    type=click.FloatRange(0, 0.9),
    default=0.0,
    help="Size the campaigns so that they are this share of all traffic; 0: as they are.",
)
@_option("--kind", "sizes", multiple=True, metavar="NAME=COUNT", help="Set a benign kind's accounts; repeatable.")
@_option("--prompts", type=click.Choice(["fingerprints", "text"]), default="text", help="What is told of a prompt.")
@_option("--release", type=click.FloatRange(0), metavar="HOURS", help="Release a new model so long after the start.")
@_option("--late", type=_SHARE, default=0.0, help="Share of events 1 to 60 min late.")
@_option("--reordered", type=_SHARE, default=0.0, help="Share of events up to 3 s out of order.")
@_option("--duplicates", type=_SHARE, default=0.0, help="Share of events that come twice.")
@_option("--hot-partition", type=_SHARE, default=0.0, help="Share of the traffic that falls on one partition.")
@_option("--partitions", type=click.IntRange(1), default=4, help="Partitions, for --hot-partition.")
@_option("--out", type=OUTPUT_FILE, help="Write events to this file: .jsonl, .jsonl.gz or .jsonl.zst.")
@_option("--truth", type=OUTPUT_FILE, help="Write what really happened to this file.")
@_option(
    "--topic",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Produce to a topic.  [default name: the setting kafka.requests_topic]",
)
@_option("--speed", type=_ABOVE_0, help="Event time per wall time for --topic; without it, as fast as possible.")
@_option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@_option("--list", "listing", is_flag=True, help="List the shapes and benign kinds, and end.")
@with_settings
def simulate(settings: Any, **options: Any) -> None:
    """Make traffic with known truth: benign accounts of many kinds and the campaigns you ask for.

    \b
    stillwatch simulate --out traffic.jsonl.zst --truth truth.json
    stillwatch simulate --campaign hydra:share=0.05,accounts=300 --campaign reseller --out traffic.jsonl
    stillwatch simulate --topic --speed 600
    """
    from streams.simulator.generate import Simulation

    if options["listing"]:
        _list()
        return
    out, topic = options["out"], options["topic"]
    if (out is None) == (topic is None):
        raise click.UsageError("give either --out FILE or --topic [NAME]")
    if options["speed"] is not None and topic is None:
        raise click.UsageError("--speed needs --topic")
    began = time.monotonic()
    run = Simulation(_plan(options))
    with _progress(round(run.expected_events), options["as_json"]) as report:
        if out is not None:
            from streams.simulator.sinks import write_file

            events = write_file(run, out, report)
        else:
            events = _to_topic(run, topic, options["speed"], settings, report)
    if options["truth"] is not None:
        run.truth.write(options["truth"])
    _summary(run, events, time.monotonic() - began, options["as_json"])


def _plan(options: dict[str, Any]) -> Any:
    from streams.simulator.campaigns import DEFAULTS, parse
    from streams.simulator.plan import START_MS, Disturbances, Plan, campaigns

    mix = options["mix"] or ("none" if options["specs"] else "default")
    return Plan(
        seed=options["seed"],
        accounts=options["accounts"],
        hours=options["hours"],
        start_ms=START_MS if options["start"] is None else options["start"],
        activity=options["activity"],
        campaigns=campaigns(mix) + tuple(parse(text, DEFAULTS) for text in options["specs"]),
        prompts=options["prompts"],
        release_h=options["release"],
        kinds=dict(_size(text) for text in options["sizes"]),
        hostile_share=options["hostile_share"],
        disturbances=Disturbances(
            options["late"],
            options["reordered"],
            options["duplicates"],
            options["hot_partition"],
            options["partitions"],
        ),
    )


def _size(text: str) -> tuple[str, int]:
    """Read ``NAME=COUNT``; raise `InputError` if there is no such kind."""
    from streams.simulator.kinds import KINDS

    name, _, count = text.partition("=")
    if name not in {kind.name for kind in KINDS} or not count.isdigit():
        raise InputError(f"--kind {text}: no NAME=COUNT of a benign kind; `stillwatch simulate --list` names them")
    return name, int(count)


def _to_topic(run: Any, topic: str, speed: float | None, settings: Any, report: Callable[[int], object]) -> int:
    from streams.runtime.kafka_client import producer_config, reach
    from streams.simulator.sinks import produce

    name = topic or settings.kafka.requests_topic
    if name not in reach(settings).list_topics(timeout=10).topics:
        raise TopicError(f"There is no topic {name}. Make it with `stillwatch topics create`.")
    try:
        return produce(run, name, producer_config(settings), report, speed)
    except KeyboardInterrupt:
        raise click.Abort from None


def _summary(run: Any, events: int, seconds: float, as_json: bool) -> None:
    truth = run.truth
    if as_json:
        found = {
            "events": events,
            "exchanges": truth.events,
            "benign_exchanges": truth.benign_exchanges,
            "accounts": sum(len(p.accounts) for p in run.populations),
            "start_ms": truth.start_ms,
            "end_ms": truth.end_ms,
            "seconds": round(seconds, 2),
            "events_per_s": round(events / max(seconds, 1e-9)),
            "campaigns": [
                {
                    "id": c.id,
                    "shape": c.shape,
                    "category": c.category,
                    "accounts": len(c.accounts),
                    "exchanges": c.exchanges,
                    "cover": c.cover,
                    "answered": len(c.answered_ms),
                }
                for c in truth.campaigns
            ],
            "benign": {k.kind: {"accounts": len(k.accounts), "exchanges": k.exchanges} for k in truth.benign},
        }
        click.echo(json.dumps(found))
        return
    click.echo(f"{events:,} events of {sum(len(p.accounts) for p in run.populations):,} accounts in {seconds:.1f} s")
    for c in truth.campaigns:
        cover = f", {c.cover:,} cover" if c.cover else ""
        click.echo(f"  {c.id}: {c.category}, {len(c.accounts):,} accounts, {c.exchanges:,} exchanges{cover}")
    if sys.stdout.isatty() and not truth.campaigns:
        click.echo("  no campaigns: every alert on this traffic is a false one")


def _list() -> None:
    from streams.simulator.campaigns import SHAPES
    from streams.simulator.kinds import KINDS

    click.echo("campaign shapes (accounts, exchanges per account and day):")
    for name, shape in SHAPES.items():
        click.echo(f"  {name:<18} {shape.default.accounts:>5} {shape.default.per_day:>8,.0f}")
    click.echo("benign kinds (share of accounts; * = hard negative):")
    for kind in KINDS:
        click.echo(f"  {kind.name:<18} {kind.share:>6.1%} {'*' if kind.hard else ''}")
