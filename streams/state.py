"""Sealed state bytes: what a state topic may hold, and nothing else is believed.

A state record comes from a topic and is untrusted: magic, version, length and checksum are proved before a byte of the
payload is looked at. Payloads are msgpack of plain numbers and columns, never pickled.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from streams.errors import StateError

T = TypeVar("T")

STATE_VERSION = 1  # raise it when an older program could misread what this one writes

NO_MARKER = "the state of stage {stage} has no marker"

_HEADER = struct.Struct("<2sBBII")  # magic, version, reserved, length, crc32
_MAGIC = b"SW"
_encode = msgspec.msgpack.Encoder().encode


def seal(payload: bytes) -> bytes:
    """Put a header with length and checksum before ``payload``."""
    return _HEADER.pack(_MAGIC, STATE_VERSION, 0, len(payload), zlib.crc32(payload)) + payload


def unseal(value: bytes) -> bytes:
    """Return the payload; raise `StateError` for corrupt, truncated or newer bytes."""
    if len(value) < _HEADER.size:
        raise StateError(f"state record of {len(value)} bytes is shorter than its header")
    magic, version, _, length, checksum = _HEADER.unpack_from(value)
    payload = value[_HEADER.size :]
    if magic != _MAGIC:
        raise StateError("state record does not begin with the mark of Stillwatch; is this the right topic?")
    if version > STATE_VERSION:
        raise StateError(
            f"state was written by a newer Stillwatch (format {version}, this one reads up to {STATE_VERSION}): "
            "start the newer version, or give this one its own internal_prefix"
        )
    if length != len(payload) or checksum != zlib.crc32(payload):
        raise StateError("state record is truncated or corrupt (length or checksum differ)")
    return payload


@contextmanager
def distrust(stage: str) -> Iterator[None]:
    """Make whatever goes wrong while state is loaded a `StateError`: well sealed is not yet well formed."""
    try:
        yield
    except StateError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise StateError(f"the state of stage {stage} is malformed: {error}") from error


def pack(value: Any) -> bytes:
    """Seal any msgpack-encodable value."""
    return seal(_encode(value))


def unpack(value: bytes, type_: type[T]) -> T:
    """Unseal and decode strictly as ``type_``; raise `StateError` if it is something else."""
    try:
        return msgspec.msgpack.decode(unseal(value), type=type_)
    except msgspec.MsgspecError as error:
        raise StateError(f"state record does not hold a {getattr(type_, '__name__', type_)}: {error}") from None
