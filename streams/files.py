"""Find the files that travel with the package but live elsewhere in a checkout, and the user's own folders."""

import os
from pathlib import Path

# name in the wheel (streams/packaged/) -> place in a checkout
SHIPPED = {"kafka-pom.xml": "deploy/kafka/pom.xml", "stillwatch.toml": "config/stillwatch.toml"}


def shipped(name: str) -> Path:
    """Return the path of a shipped file, in an installed wheel as well as in a checkout.

    Raises FileNotFoundError if it is in neither: the installation is broken.
    """
    here = Path(__file__).resolve().parent
    for path in (here / "packaged" / name, here.parent / SHIPPED[name]):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{name} is missing from the installation of stillwatch")


def cache_dir() -> Path:
    """Return the user's cache folder for what can be fetched again (``XDG_CACHE_HOME`` or ``~/.cache``)."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """Return the user's folder for what outlives a command (``XDG_STATE_HOME`` or ``~/.local/state``)."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def _xdg(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable, "")
    root = Path(base) if os.path.isabs(base) else Path.home() / fallback  # the XDG standard ignores relative values
    return root / "stillwatch"
