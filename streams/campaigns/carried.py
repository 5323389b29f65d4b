"""A reference in a file: what a replay of history has learned, for a worker that has no state yet.

Carried are the generation that scored at the end of the history (the forest of each plan with the mean and spread of
benign scores), the rates of purposes among benign groups, and how many candidate groups a day had, from which the
threshold follows. Not carried are accounts, links, groups and cases: they belong to offsets of topics, and a worker
that is to know them reads the topic from where they begin.

The file is sealed like state, numbers behind a length and a checksum. Cannot see who wrote it: whoever may change the
file may teach the detector, within the bounds of `Reference.rate` and of what oddness is worth.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from streams.campaigns.reference import PRIOR, Generation, Reference
from streams.errors import InputError, StateError
from streams.models import MODELS
from streams.state import distrust, pack, unpack

VERSION = 1  # raise it with every change of what is carried, or of what it means
WHAT = "stillwatch reference"


class Head(msgspec.Struct, array_like=True):
    """What every version begins with."""

    what: str
    version: int


class Carried(msgspec.Struct, array_like=True):
    """What the file holds."""

    what: str
    version: int
    groups_a_day: int
    rates: list[Any]
    generation: list[Any]


def seal_reference(reference: Reference, groups_a_day: int) -> bytes:
    """Make the bytes of a file; ``groups_a_day`` counts the candidate groups of the last day."""
    rates = [list(MODELS["beta"].dump(reference.rates[name])) for name in PRIOR]
    groups = max(groups_a_day, reference.groups_a_day)
    return pack(Carried(WHAT, VERSION, groups, rates, reference.scoring.dump()))


def unseal_reference(data: bytes) -> Reference:
    """Rebuild a reference to begin with; raises `StateError` if the bytes are broken, or of another version."""
    with distrust("campaigns"):
        head = unpack(data, Head)
        if head.what != WHAT:
            raise StateError("it is no reference")
        if head.version != VERSION:
            raise StateError(
                f"it has version {head.version}, this program reads {VERSION}: make it anew with "
                "`stillwatch replay INPUT --state FILE`"
            )
        carried = unpack(data, Carried)
        reference = Reference()
        for name, rate in zip(PRIOR, carried.rates, strict=True):
            reference.rates[name] = MODELS["beta"].load(rate)
        reference.champion = Generation.load(carried.generation)
        reference.groups_a_day = carried.groups_a_day
    return reference


def read_reference(path: Path) -> bytes:
    """Return a file's bytes, proved to hold a reference; raises `InputError` or `StateError`, which name the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the reference {path}: {error.strerror}") from None
    try:
        unseal_reference(data)
    except StateError as error:
        raise StateError(f"the reference {path} cannot be used: {error.message}") from None
    return data


def write_reference(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all; raises `InputError` if it cannot be written."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"cannot write the reference {path}: {error.strerror}") from None
