"""Options that several commands share, and output that fits both a terminal and a pipe."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from streams.settings import load


class _OutputFile(click.Path):
    """A file that can be written, checked before the work begins that is written there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        folder = path.parent
        if not folder.is_dir():
            self.fail(f"there is no folder {str(folder)!r} for {path.name!r}", param, ctx)
        if not path.exists() and not os.access(folder, os.W_OK):
            self.fail(f"the folder {str(folder)!r} is not writable", param, ctx)
        return path


OUTPUT_FILE = _OutputFile(dir_okay=False, writable=True)
CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file (default: the one STILLWATCH_CONFIG names, or none).",
)
BOOTSTRAP = click.option("--bootstrap", metavar="HOST:PORT", help="Brokers to ask first (kafka.bootstrap).")
REFERENCE = click.option(
    "--reference",
    "reference_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin with what `stillwatch replay --state FILE` has learned of the benign.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config and --bootstrap to a command, and pass it the effective ``settings`` instead."""

    @CONFIG
    @BOOTSTRAP
    @functools.wraps(command)
    def wrapped(*args: Any, config_path: Path | None, bootstrap: str | None, **kwargs: Any) -> Any:
        loaded = load(config_path, overrides={"kafka.bootstrap": bootstrap})
        return command(*args, settings=loaded.settings, **kwargs)

    return wrapped


def echo_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def echo_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows: drawn on a terminal, as columns divided by two blanks otherwise."""
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in cells:
            table.add_row(*row)
        Console(highlight=False).print(table)
        return
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in [list(columns), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
