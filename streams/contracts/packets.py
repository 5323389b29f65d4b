"""Records between the stages: all that one batch has for one destination, as columns.

A record hop costs about 10 us, an item in a column next to nothing, hence packed. Every item carries its ``offset``:
the input offset that caused it, or for what a tick emits, the tick's number and the item's place in it. Receivers drop
items at or below the highest they have seen of a source, so a restarted sender may cut its batches elsewhere.
"""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

RUNNING, IDLE, ENDED = 0, 1, 2  # what a source says of itself; an idle or ended one holds nobody up
NO_TIME = -(2**62)  # a watermark before any event
TICK_ITEMS_BITS = 24  # offset of a tick's item = tick number << 24 | index: 16.7 million items a tick

# kinds of tokens
NETWORK, CLIENT, PAYMENT, DEVICE, MAIL, TEMPLATE, SYSTEM, HEAD, TAIL, NEAR_LOW, NEAR_HIGH = range(11)
KIND_NAMES = (
    "network", "client", "payment", "device", "mail_domain", "template", "system_prompt", "prompt_head", "prompt_tail",
    "near_prompt", "near_prompt",
)  # fmt: skip
CONTENT_KINDS = frozenset({TEMPLATE, SYSTEM, HEAD, TAIL, NEAR_LOW, NEAR_HIGH})

Column = np.ndarray[Any, np.dtype[Any]]

SIGHTING = np.dtype(
    [
        ("offset", "<i8"),
        ("time", "<i8"),  # effective time, ms
        ("account", "<u8"),
        ("count", "<u4"),  # the account's own event count
        ("kind", "u1"),
        ("first", "u1"),  # 1: first time the account shows the token, 0: a renewal
        ("token", "<u8"),
        ("simhash", "<u8"),  # of near prompts only
    ]
)
SIGNAL = np.dtype(
    [
        ("offset", "<i8"),
        ("time", "<i8"),
        ("account", "<u8"),
        ("count", "<u4"),
        ("output_tokens", "<u4"),
        ("template", "<u8"),  # tokens, 0: not known
        ("system", "<u8"),
        ("head", "<u8"),
        ("tail", "<u8"),
        ("content", "<u8"),  # hash of the text, or else its SimHash, 0: not known
        ("simhash", "<u8"),  # 0: not known
        ("bins", "<u8"),  # see streams.accounts.features
    ]
)
LINK = np.dtype(
    [
        ("offset", "<i8"),
        ("time", "<i8"),  # end of the tick
        ("token", "<u8"),
        ("account", "<u8"),
        ("first", "<i8"),
        ("last", "<i8"),
        ("degree", "<u4"),  # of the token, after this item
        ("kind", "u1"),
        ("member", "u1"),  # 1: a membership, 0: only a count, the token being above its degree cap
    ]
)


class Introduction(Struct, array_like=True, frozen=True, gc=False):
    """Who an account is: sent with its first event and when this changes."""

    offset: int
    time: int
    account: int
    account_id: str
    org: int  # hash, 0: not known
    plan: str
    created_at: int  # ms, 0: not known
    mail: int  # hash of the mail domain, 0: not known


class Sightings(Struct, array_like=True, tag="sightings", frozen=True):
    """Accounts to tokens: accounts show tokens."""

    source: int
    watermark: int
    last_time: int  # largest effective time so far
    status: int
    items: bytes  # SIGHTING


class Signals(Struct, array_like=True, tag="signals", frozen=True):
    """Accounts to campaigns: what each exchange contributed."""

    source: int
    watermark: int
    last_time: int
    status: int
    items: bytes  # SIGNAL
    introductions: list[Introduction]


class Links(Struct, array_like=True, tag="links", frozen=True):
    """Tokens to campaigns: memberships of tokens that two or more accounts share."""

    source: int
    watermark: int
    last_time: int
    status: int
    items: bytes  # LINK


_encoder = msgspec.msgpack.Encoder()
_sightings = msgspec.msgpack.Decoder(Sightings)
_evidence = msgspec.msgpack.Decoder(Signals | Links)
encode_packet = _encoder.encode


def decode_sightings(value: bytes) -> tuple[Sightings, Column]:
    """Decode a packet and its items; raise ValueError for anything else."""
    try:
        packet = _sightings.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    return packet, np.frombuffer(packet.items, SIGHTING)


def decode_evidence(value: bytes) -> tuple[Signals | Links, Column]:
    """Decode a packet of signals or links and its items; raise ValueError for anything else."""
    try:
        packet = _evidence.decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    return packet, np.frombuffer(packet.items, SIGNAL if isinstance(packet, Signals) else LINK)
