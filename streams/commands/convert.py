"""``stillwatch convert``: request events from public prompt sets and traces."""

import json
import time
from pathlib import Path
from typing import Any

import click

from streams.commands.options import OUTPUT_FILE, echo_table


@click.command()
@click.option("--data", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder with the public sets.")
@click.option("--out", type=OUTPUT_FILE, help="Write events to this file: .jsonl, .jsonl.gz or .jsonl.zst.")
@click.option("--truth", "truth_path", type=OUTPUT_FILE, help="Write who sent what to this file.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed and sets, same bytes.")
@click.option(
    "--set", "sets", multiple=True, metavar="NAME", help="Only this set; repeatable.  [default: all that are there]"
)
@click.option("--accounts", type=click.IntRange(1), default=40, show_default=True, help="Accounts of each campaign.")
@click.option(
    "--exchanges", type=click.IntRange(1), default=2_000, show_default=True, help="Most exchanges of a campaign."
)
@click.option(
    "--per-day", type=click.FloatRange(0, min_open=True), default=26.0, show_default=True,
    help="Exchanges of a campaign's account a day.",
)  # fmt: skip
@click.option("--people", type=click.IntRange(1), default=10_000, show_default=True, help="Most benign people.")
@click.option(
    "--shuffle-infrastructure", "shuffle", type=click.IntRange(0), metavar="SEED",
    help="Deal networks, clients, cards, devices, mail domains, plans, ages and countries out anew.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--list", "listing", is_flag=True, help="List the sets with their files, and end.")
def convert(
    folder: Path | None, out: Path | None, truth_path: Path | None, as_json: bool, listing: bool, **plan: Any
) -> None:
    """Build request events from public prompt sets and traces, with known truth.

    Sets that machines sent to a teacher model become campaigns, each spread over many accounts. Human prompts, one
    business's customers and scripted agents become benign accounts, at the times of real users and programs. Everything
    else about the accounts is drawn alike for all of them.

    \b
    stillwatch convert --data DIR --out real.jsonl.zst --truth truth.json
    stillwatch replay real.jsonl.zst --alerts alerts.jsonl
    """
    from streams.convert.build import Conversion, Plan
    from streams.convert.sets import SETS

    if listing:
        echo_table(
            ("set", "role", "files", "what it is"),
            [(one.name, one.role, " ".join(one.files), one.what) for one in SETS],
        )
        return
    if folder is None or out is None:
        raise click.UsageError("give --data DIR and --out FILE (or --list)")
    began = time.monotonic()
    if not as_json:
        click.echo(f"reading {folder}", err=True)
    run = Conversion(folder, Plan(**plan))
    _write(run, out, as_json)
    if truth_path is not None:
        run.truth.write(truth_path)
    _summary(run, time.monotonic() - began, as_json)


def _write(run: Any, out: Path, quiet: bool) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from streams.simulator.sinks import write_file

    console = Console(stderr=True)
    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TextColumn("events"))
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("writing", total=len(run))
        write_file(run, out, lambda events: progress.advance(task, events))


def _summary(run: Any, seconds: float, as_json: bool) -> None:
    truth = run.truth
    campaigns = [
        {
            "id": c.id,
            "set": c.shape,
            "accounts": len(c.accounts),
            "exchanges": c.exchanges,
            "answered": len(c.answered_ms),
            "start_ms": c.start_ms,
            "end_ms": c.end_ms,
        }
        for c in truth.campaigns
    ]
    benign = [
        {"set": k.kind, "hard_negative": k.hard_negative, "accounts": len(k.accounts), "exchanges": k.exchanges}
        for k in truth.benign
    ]
    if as_json:
        found = {
            "events": truth.events, "accounts": len(run.accounts), "start_ms": truth.start_ms, "end_ms": truth.end_ms,
            "seconds": round(seconds, 2), "campaigns": campaigns, "benign": benign, "notes": run.notes,
        }  # fmt: skip
        click.echo(json.dumps(found))
        return
    click.echo(f"{truth.events:,} events of {len(run.accounts):,} accounts in {seconds:.1f} s")
    rows = [("campaign", c["set"], c["accounts"], f"{c['exchanges']:,}") for c in campaigns]
    rows += [
        ("hard negative" if b["hard_negative"] else "benign", b["set"], b["accounts"], f"{b['exchanges']:,}")
        for b in benign
    ]
    echo_table(("class", "set", "accounts", "exchanges"), rows)
    for note in run.notes:
        click.echo(f"note: {note}", err=True)
