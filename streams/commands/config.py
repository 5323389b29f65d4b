"""``stillwatch config``: check a settings file, and show what holds."""

from pathlib import Path

import click

from streams.commands.options import CONFIG, JSON, echo_json, echo_table
from streams.settings import flatten, load, settings_digest


@click.group()
def config() -> None:
    """Check and show the settings."""


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def check(file: Path | None) -> None:
    """Find unknown and impossible settings in FILE and in the environment.

    Without FILE, the one that STILLWATCH_CONFIG names is checked. Exit 2 if a worker would refuse these settings.
    """
    loaded = load(file)
    source = loaded.path or "no file, only the environment"
    changed = [name for name, value in flatten(loaded.settings).items() if loaded.origin(name) != "default"]
    click.echo(f"ok: {source}; {len(changed)} settings given; digest {settings_digest(loaded.settings)}")


@config.command()
@CONFIG
@JSON
def show(config_path: Path | None, as_json: bool) -> None:
    """Print every setting, its value, and where that came from.

    Secrets are not settings (files hold them), so nothing here needs to be hidden.
    """
    loaded = load(config_path)
    values = flatten(loaded.settings)
    if as_json:
        settings = {name: {"value": value, "origin": loaded.origin(name)} for name, value in values.items()}
        echo_json(
            {"file": loaded.path and str(loaded.path), "digest": settings_digest(loaded.settings), "settings": settings}
        )
        return
    echo_table(
        ("setting", "value", "origin"), [(name, _text(value), loaded.origin(name)) for name, value in values.items()]
    )
    click.echo(f"\nfile: {loaded.path or 'none'}; digest of what decides alerts: {settings_digest(loaded.settings)}")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value != "" else '""'
