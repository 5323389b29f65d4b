"""``stillwatch kafka``: a real broker on this machine, for development and the demo."""

from pathlib import Path

import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.commands.options import JSON, echo_json
from streams.config import Kafka
from streams.errors import BrokerError
from streams.files import state_dir
from streams.runtime import broker_process
from streams.runtime.broker import LocalBroker
from streams.runtime.broker_process import Running

DEFAULT_PORT = int(Kafka().bootstrap.rsplit(":", 1)[1])
DATA = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the broker's data, log and process id (default: in the user's state folder).",
)


@click.group()
def kafka() -> None:
    """Run a real Apache Kafka on this machine: one node, loopback only."""


@kafka.command()
@click.option("--port", type=click.IntRange(0, 65_535), help=f"Port to listen on; 0 takes a free one ({DEFAULT_PORT}).")
@DATA
@JSON
def up(port: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Start the broker, wait until it answers, and print its address.

    The first start fetches Kafka by Maven (44 MB). The broker goes on until `stillwatch kafka down`. Started again
    while it runs, this only prints the address.
    """
    folder = _folder(data_dir)
    running = broker_process.running(folder)
    if running and port not in (None, 0, running.port):
        raise BrokerError(
            f"A broker already runs from {folder}, on port {running.port} (process {running.pid}).\n"
            "Stop it with `stillwatch kafka down`, or give the second one another folder with --data."
        )
    if running is None:
        LocalBroker(DEFAULT_PORT if port is None else port, folder).start(detach=True)
        running = broker_process.running(folder)
    if running is None:
        raise BrokerError(f"The broker ended right after its start; see {folder / 'broker.log'}.")
    if as_json:
        echo_json({"bootstrap": running.bootstrap, "pid": running.pid, "version": running.version, "data": str(folder)})
    else:
        click.echo(running.bootstrap)


@kafka.command()
@DATA
@click.option("--keep", is_flag=True, help="Keep topics and records for the next start.")
def down(data_dir: Path | None, keep: bool) -> None:
    """Stop the broker and remove its data."""
    folder = _folder(data_dir)
    stopped = broker_process.stop(folder)
    click.echo(f"stopped {stopped.bootstrap} (process {stopped.pid})" if stopped else f"no broker runs from {folder}")
    if not keep and broker_process.remove(folder):
        click.echo(f"removed its data in {folder}")


@kafka.command()
@DATA
@JSON
@click.pass_context
def status(ctx: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """Say whether the broker runs, where, and with which topics. Exit 1 if it does not answer."""
    folder = _folder(data_dir)
    running = broker_process.running(folder)
    topics = _topics(running) if running else None
    if as_json:
        echo_json(
            {
                "running": running is not None,
                "answers": topics is not None,
                "pid": running and running.pid,
                "bootstrap": running and running.bootstrap,
                "version": running and running.version,
                "data": str(folder),
                "topics": topics,
            }
        )
    elif running is None:
        click.echo(f"no broker runs from {folder}")
    else:
        answer = "answers" if topics is not None else "does not answer"
        click.echo(
            f"Apache Kafka {running.version} at {running.bootstrap} {answer} (process {running.pid}, data {folder})"
        )
        for name, partitions in (topics or {}).items():
            click.echo(f"  {name}: {partitions} partition{'s' if partitions != 1 else ''}")
    ctx.exit(0 if topics is not None else 1)


def _folder(data_dir: Path | None) -> Path:
    return (data_dir or state_dir() / "kafka").resolve()


def _topics(running: Running) -> dict[str, int] | None:
    """Return the partitions of each topic but Kafka's own, None if the broker does not answer."""
    try:
        found = AdminClient({"bootstrap.servers": running.bootstrap, "log_level": 0}).list_topics(timeout=5).topics
    except KafkaException:
        return None
    return {name: len(topic.partitions) for name, topic in sorted(found.items()) if not name.startswith("__")}
