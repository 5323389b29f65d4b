"""``stillwatch demo``: watch campaigns being caught on a real broker."""

import os
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from streams.commands.options import BOOTSTRAP, CONFIG, JSON, echo_json, echo_table
from streams.settings import load

if TYPE_CHECKING:
    from streams.demo.state import State
    from streams.evaluate.score import Score

INTERRUPTED = 130  # what shells give for a program that Ctrl-C ended


@click.command()
@click.option("--seed", type=click.IntRange(0), help="Repeat a run; random by default, and printed.")
@CONFIG
@BOOTSTRAP
@JSON
@click.option("--traffic-s", type=click.FloatRange(1), hidden=True, help="For tests: wall time of the traffic.")
def demo(
    seed: int | None, config_path: Path | None, bootstrap: str | None, as_json: bool, traffic_s: float | None
) -> None:
    """Catch simulated campaigns on a real Kafka, live.

    Starts Apache Kafka (or uses --bootstrap), creates topics, starts a worker, produces seven hours of traffic in about
    a minute, reads the alert topic as any consumer would, and ends with what was caught against what was there. Exit 0
    only if every campaign was caught and nothing benign was named. Everything it started is stopped, also on Ctrl-C.
    """
    from rich.console import Console

    from streams.demo.lines import Lines
    from streams.demo.run import private, run
    from streams.demo.screen import Screen
    from streams.demo.state import State
    from streams.demo.traffic import Traffic
    from streams.simulator.plan import demo_plan

    loaded = load(config_path, overrides={"kafka.bootstrap": bootstrap})
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    state = State(seed, Traffic(demo_plan(seed)))
    console = Console()
    live = console.is_terminal and not as_json
    view = Screen(state, console) if live else Lines(state, lambda text: click.echo(text, err=as_json))
    settings = private(loaded.settings, f"demo-{seed}-{os.getpid()}-{time.time_ns() // 1_000_000:x}")
    given = loaded.origin("kafka.bootstrap") != "default"
    click.echo(f"stillwatch demo, seed {seed}", err=as_json)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with view:
            score = run(settings, given, state, view, traffic_s)
    except KeyboardInterrupt:
        click.echo("Interrupted. Everything that was started has been stopped.", err=True)
        sys.exit(INTERRUPTED)
    if as_json:
        echo_json(_summary(score, state))
    else:
        _report(score, state)
    sys.exit(1 if score.faults() else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report(score: "Score", state: "State") -> None:
    """Print the cases, the campaigns against what was caught, and the verdict."""
    from rich.console import Console

    from streams.commands.alert_text import COLOURS
    from streams.demo.screen import campaign_table
    from streams.demo.words import case_line, reasons, verdict_line
    from streams.evaluate.words import CAMPAIGN_COLUMNS, campaign_row, false_line, plural

    click.echo()
    for case in state.cases.values():
        alert = case.latest
        line = f"{alert.alert_id[:8]}  {case_line(case, state.opened_ms[alert.alert_id])}"
        click.secho(line + ("" if case.active else f"  {alert.status}"), fg=COLOURS[alert.severity])
        for reason in reasons(alert, 3):
            click.echo(f"            {reason}")
    click.echo()
    if sys.stdout.isatty():
        Console(highlight=False).print(campaign_table(score.campaigns))
    else:
        echo_table(CAMPAIGN_COLUMNS, [campaign_row(each) for each in score.campaigns])
    click.echo()
    for names in score.false_names:
        click.echo(false_line(names))
    traffic = state.traffic
    click.echo(
        f"{traffic.arrived:,} events of {state.numbers.accounts:,} accounts, {plural(len(state.cases), 'case')} in "
        f"{plural(state.revisions, 'revision')}, {plural(score.false_alarms, 'false alarm')}, "
        f"{plural(score.benign_named, 'benign account')} named; {state.elapsed_s:.0f} s in all."
    )
    click.secho(verdict_line(score, state.seed), fg="red" if score.faults() else "green", bold=True)


def _summary(score: "Score", state: "State") -> dict[str, Any]:
    """Return what --json prints."""
    from streams.evaluate.words import score_fields

    traffic = state.traffic
    return {
        "seed": state.seed,
        "kafka": state.kafka,
        "events": traffic.arrived,
        "accounts": state.numbers.accounts,
        "event_hours": traffic.plan.hours,
        "seconds": round(state.elapsed_s, 1),
        "cases": len(state.cases),
        "revisions": state.revisions,
        **score_fields(score),
    }
