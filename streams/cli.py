"""The ``stillwatch`` command: a lazy group, so that no subcommand pays for the imports of another."""

import importlib
from typing import Any

import click

from streams import __version__

# name -> module and attribute of its click command
COMMANDS: dict[str, str] = {
    "alerts": "streams.commands.alerts:alerts",
    "bench": "streams.commands.bench:bench",
    "config": "streams.commands.config:config",
    "convert": "streams.commands.convert:convert",
    "demo": "streams.commands.demo:demo",
    "evaluate": "streams.commands.evaluate:evaluate",
    "kafka": "streams.commands.kafka:kafka",
    "replay": "streams.commands.replay:replay",
    "simulate": "streams.commands.simulate:simulate",
    "topics": "streams.commands.topics:topics",
    "worker": "streams.commands.worker:worker",
}


class LazyGroup(click.Group):
    """Import a subcommand's module only when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in alphabetical order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None for an unknown name."""
        if (target := COMMANDS.get(cmd_name)) is None:
            return None
        module, attribute = target.split(":")
        command: Any = getattr(importlib.import_module(module), attribute)
        return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stillwatch")
def main() -> None:
    """Catch model-distillation campaigns while they happen.

    Start with `stillwatch demo`: it runs a real Kafka broker, a worker and simulated traffic with campaigns in it.
    """
