"""Tell one state of the code from another, whatever its version number says."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import xxhash

ROOT = Path(__file__).parent
SUFFIXES = (".py", ".toml", ".gz")  # code, lexica and prompts
DECISIVE_FOLDERS = ("accounts", "campaigns", "contracts", "models", "tokens")


@cache
def code_digest() -> str:
    """Hash of the package's code and data: what other code measured is not this code's result."""
    return _digest(path for path in ROOT.rglob("*"))


@cache
def decisive_digest() -> str:
    """Hash of the code that decides which alerts come out: the stages and what they are built from.

    Cannot see another version of a library.
    """
    return _digest(decisive_files())[:12]


def decisive_files() -> list[Path]:
    """Give the files behind `decisive_digest`: those of the stages, and the modules beside their folders."""
    return [*ROOT.glob("*"), *(path for folder in DECISIVE_FOLDERS for path in (ROOT / folder).rglob("*"))]


def _digest(paths: Iterable[Path]) -> str:
    found = xxhash.xxh3_64()
    for path in sorted(paths):
        if path.suffix in SUFFIXES and path.is_file():
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
