"""``stillwatch worker``: the stages on Kafka."""

import importlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from streams.commands.options import REFERENCE, with_settings
from streams.config import Settings
from streams.errors import InputError
from streams.runtime.topics import STAGES, state_topic

if TYPE_CHECKING:
    from streams.runtime.host import OperatorFactory

OPERATORS = "streams.pipeline:make_operator"


def _stages(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = {name.strip() for name in value.split(",")} - {""}
    if unknown := sorted(names - set(STAGES)):
        raise click.BadParameter(f"{', '.join(unknown)}: choose among {', '.join(STAGES)}.")
    if not names:
        raise click.BadParameter(f"choose among {', '.join(STAGES)}.")
    return tuple(stage for stage in STAGES if stage in names)


@click.command()
@with_settings
@click.option("--stages", default=",".join(STAGES), show_default=True, callback=_stages, help="Which to run here.")
@click.option("--drain", is_flag=True, help="Work through what the requests topic holds now, then end.")
@click.option("--instance", help="A name for this worker, kept over restarts: a restart then takes 2 s instead of 10.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Port of metrics and probes; 0 takes a free one.")
@REFERENCE
@click.option("--operators", default=OPERATORS, hidden=True, help="For tests.")
def worker(
    settings: Settings,
    stages: Sequence[str],
    drain: bool,
    instance: str | None,
    metrics_port: int | None,
    reference_path: Path | None,
    operators: str,
) -> None:
    """Read requests from Kafka and write alerts.

    Any number of workers may run, each with any of the stages: Kafka shares the partitions out among them. State is
    kept in Kafka, and a worker that was killed goes on from its last checkpoint. SIGTERM and Ctrl-C end it in order,
    within 10 s. Exit 0: ended as asked; 1: its work is in doubt, start it again; 2 to 5: settings, Kafka or
    topics, state, a library need a hand; 6: it was stuck.

    A --reference is for the first start; give it to every worker that may run the campaigns. Once there is state it is
    ignored, and the log says so.
    """
    from streams.runtime.health import HealthServer
    from streams.runtime.logs import configure
    from streams.runtime.worker import Worker

    if metrics_port is not None:
        settings = msgspec.structs.replace(settings, health=msgspec.structs.replace(settings.health, port=metrics_port))
    # Nothing to lose yet; the worker takes it over. Not sys.exit: in the midst of an import it may be swallowed.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    make_operator = _factory(operators)
    if reference_path is not None:
        from streams.runtime.warm import warm

        make_operator = warm(make_operator, reference_path)
    configure()
    job = Worker(settings, stages, make_operator, instance, drain)
    with HealthServer(job.stats, settings.health) as health:
        click.echo(f"stages: {', '.join(job.stats.stages)}; Kafka: {settings.kafka.bootstrap}")
        for stage in job.stats.stages.values():
            click.echo(f"  {stage.stage}: reads {stage.topic}, keeps its state in {state_topic(settings, stage.stage)}")
        click.echo(f"alerts: {settings.kafka.alerts_topic}")
        click.echo(f"metrics and probes: {health.url}")
        exit_code = job.run()
        read = ", ".join(f"{each.stage} {each.records:,}" for each in job.stats.stages.values())
        click.echo(f"ended in order; records read: {read}")
    raise SystemExit(exit_code)


def _factory(name: str) -> "OperatorFactory":
    module, _, attribute = name.partition(":")
    try:
        factory: OperatorFactory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"--operators {name}: {error}") from error
    return factory
