"""A batch of events as rows of numbers: what can be done to all of them at once is done here.

Tokens are 64-bit hashes of what accounts may share; 0 means not known. The kind seeds the hash, so that equal strings
of two kinds are two tokens.
"""

import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from streams.accounts import features
from streams.accounts.fields import GIVEN, SCHEMA
from streams.accounts.scan import (
    COUNTRY,
    EVENT,
    INFRASTRUCTURE,
    MODEL,
    ODD,
    ORGANISATION,
    PLAIN,
    PLAN,
    TOPICS,
    WITH_ADDRESS,
    WITH_TEXT,
    scan,
)
from streams.cells import Cells
from streams.contracts.fingerprint import fingerprint
from streams.contracts.hashing import hash32, hash64, murmur2
from streams.contracts.packets import CLIENT, DEVICE, MAIL, NETWORK, PAYMENT, SYSTEM, TEMPLATE
from streams.contracts.request import Client, Identity, Prompt, Rejected, RequestEvent, decode_request

PLAN_CHARS = 32  # of a plan's name are kept
CACHE_MAX = 1 << 15  # addresses remembered with their token; cleared when full (about 6 MB)
_MAPPED = bytes(10) + b"\xff\xff"  # a dotted address in a colon address
_TEMPLATE_AT, _SYSTEM_AT, _HEAD_AT, _TAIL_AT = range(len(INFRASTRUCTURE), len(INFRASTRUCTURE) + 4)

_decode_text = msgspec.json.Decoder(str).decode


class Events(NamedTuple):
    """Usable events of one partition in order of offset."""

    offset: Any  # int64
    rows: Any  # EVENT
    text: bytearray  # what the places in the rows refer to

    def name(self, i: int) -> str:
        """Account id of an event."""
        row = self.rows[i]
        return self.text[row["name_at"] : row["name_at"] + row["name_size"]].decode()

    def plan(self, i: int) -> str:
        """Plan of an event, cut short; empty if not known."""
        row = self.rows[i]
        return self.text[row["plan_at"] : row["plan_at"] + row["plan_size"]].decode()[:PLAN_CHARS]

    def part(self, start: int, stop: int | None) -> "Events":
        """Cut out some."""
        return Events(self.offset[start:stop], self.rows[start:stop], self.text)

    def and_(self, more: "Events") -> "Events":
        """Append others."""
        rows = more.rows.copy()
        rows["name_at"] += len(self.text)
        rows["plan_at"] += len(self.text)
        offset = np.concatenate([self.offset, more.offset])
        return Events(offset, np.concatenate([self.rows, rows]), self.text + more.text)


NO_EVENTS = Events(np.empty(0, np.int64), np.empty(0, EVENT), bytearray())


def generalise(address: str) -> bytes:
    """First 24 bits of a dotted address, 48 of a colon address; an opaque hash stays as it is.

    >>> generalise("203.0.113.77") == generalise("203.0.113.9") == generalise("::ffff:203.0.113.1")
    True
    >>> generalise("2001:db8:1:2::3").hex(), generalise("k:9f2c")
    ('20010db80001', b'k:9f2c')
    """
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)[:3]
        packed = socket.inet_pton(socket.AF_INET6, address)
        return packed[12:15] if packed.startswith(_MAPPED) else packed[:6]
    except (OSError, ValueError):
        return address.encode("utf-8", "surrogatepass")


def token_of(kind: int, value: str | None) -> int:
    """Token of a string, 0 for none."""
    return hash64(value.encode("utf-8", "surrogatepass"), kind + 1) or 1 if value else 0


class Reader:
    """Turn records into rows."""

    def __init__(self, max_bytes: int) -> None:
        """Records of more than ``max_bytes`` are rejected."""
        self._max_bytes = max_bytes
        self._networks: dict[str, int] = {}

    def read(
        self, offsets: Sequence[int], values: Sequence[bytes | None]
    ) -> tuple[Events, list[tuple[int, RequestEvent | Rejected]]]:
        """Read records; also return those that were not plain, by their place in the batch.

        Texts of prompts are turned into fingerprints and forgotten.
        """
        cells = values if isinstance(values, Cells) else Cells.of(values)
        text = cells.text
        rows = np.zeros(len(values), EVENT)
        scan(SCHEMA, TOPICS, np.frombuffer(text, np.uint8), cells.at, cells.size, self._max_bytes, rows)
        if (left := np.flatnonzero(rows["read"] & (WITH_ADDRESS | WITH_TEXT))).size:
            self._finish(rows, left, text)
        odd = []
        extra: list[bytes] = []
        size = len(text)
        for i in np.flatnonzero(rows["read"] == ODD).tolist():
            event = decode_request(values[i], self._max_bytes)
            odd.append((i, event))
            if isinstance(event, RequestEvent):
                rows[i] = self.row_of(event)
                for name, value in (("name", event.account_id), ("plan", (event.plan or "")[:PLAN_CHARS])):
                    extra.append(value.encode("utf-8", "surrogatepass"))
                    rows[f"{name}_at"][i], rows[f"{name}_size"][i] = size, len(extra[-1])
                    size += len(extra[-1])
        offset = np.fromiter(offsets, np.int64, len(values))
        if odd:
            text = text + b"".join(extra)
            usable = rows["read"] != ODD
            offset, rows = offset[usable], rows[usable]
        return Events(offset, rows, text), odd

    def _finish(self, rows: Any, left: Any, text: bytearray) -> None:
        """Do what is left to do for plain records."""
        with_address = left[rows["read"][left] & WITH_ADDRESS > 0]
        places = (rows[name][with_address].tolist() for name in ("address_at", "address_size"))
        rows["tokens"][with_address, 0] = [
            self._network(text[start : start + size].decode()) for start, size in zip(*places, strict=True)
        ]
        for i in left[rows["read"][left] & WITH_TEXT > 0].tolist():
            start = int(rows["text_at"][i]) - 1
            try:
                prompt = _decode_text(text[start : start + int(rows["text_size"][i]) + 2])
            except ValueError:
                rows["read"][i] = ODD
                continue
            _add_fingerprint(rows[i], prompt)
        rows["read"][left] = np.minimum(rows["read"][left], PLAIN)

    def _network(self, address: str) -> int:
        known = self._networks
        token = known.get(address)
        if token is None:
            if len(known) >= CACHE_MAX:
                known.clear()
            token = known[address] = hash64(generalise(address), NETWORK + 1) or 1 if address else 0
        return token

    def row_of(self, event: RequestEvent) -> Any:
        """Lay out an event without its names."""
        row = np.zeros(1, EVENT)[0]
        client, identity, prompt = event.client or Client(), event.identity or Identity(), event.prompt or Prompt()
        row["read"] = PLAIN
        row["time"], row["input"], row["output"] = event.event_time, event.input_tokens, event.output_tokens
        row["created"] = event.account_created_at or 0
        row["account"], row["digest"] = hash64(event.account_id.encode()), hash32(event.event_id.encode())
        row["murmur"] = murmur2(event.account_id.encode())
        row["org"], row["plan"] = token_of(ORGANISATION, event.org_id), token_of(PLAN, event.plan)
        shown = f"{client.tls_fingerprint or ''}\n{client.user_agent or ''}"
        row["tokens"] = (
            self._network(client.ip or ""),
            token_of(CLIENT, shown if len(shown) > 1 else None),
            token_of(PAYMENT, identity.payment_fingerprint),
            token_of(DEVICE, identity.device_fingerprint),
            token_of(MAIL, identity.email_domain),
            token_of(MODEL, event.model),
            token_of(COUNTRY, client.country),
            token_of(TEMPLATE, prompt.template_hash),
            token_of(SYSTEM, prompt.system_hash),
            0,
            0,
        )
        row["simhash"] = int(prompt.simhash or "0", 16)
        row["bins"] = _bins(event) | features.put("model", int(row["tokens"][INFRASTRUCTURE.index(MODEL)]) & 255)
        if prompt.text is not None:
            row["given"] = sum((getattr(prompt, name) is not None) << bit for bit, name in enumerate(GIVEN))
            _add_fingerprint(row, prompt.text)
        return row


def _bins(event: RequestEvent) -> int:
    prompt = event.prompt or Prompt()
    parts = {
        "outcome": features.outcome(event.status, event.refused),
        "topic": 0 if prompt.topic is None else features.TOPIC_CODES.get(prompt.topic, features.OTHER_TOPIC),
        "elicitation": features.share_bin(prompt.reasoning_elicitation),
        "grading": features.share_bin(prompt.grading),
        "output": features.log2_bin(event.output_tokens),
        "input": features.log2_bin(event.input_tokens),
        "first_turn": event.turn == 1,
        "tools": event.tools != 0,
        "cached": event.cache_read_tokens != 0,
    }
    return sum(features.put(name, value) for name, value in parts.items())


def _add_fingerprint(row: Any, text: str) -> None:
    """Add what a prompt's text says (what the gateway sent stands). What is too short to mean much has no token."""
    found = fingerprint(text)
    given = int(row["given"])
    tokens = row["tokens"]
    if not given & 1:
        row["simhash"] = found.simhash
    if not given & 2 and found.template_hash:
        tokens[_TEMPLATE_AT] = token_of(TEMPLATE, f"{found.template_hash:016x}")
    bins = int(row["bins"])
    if not given & 4:
        bins |= features.put("elicitation", features.share_bin(found.reasoning_elicitation))
    if not given & 8:
        bins |= features.put("grading", features.share_bin(found.grading))
    if not given & 16:
        bins |= features.put("topic", features.TOPIC_CODES.get(found.topic, features.OTHER_TOPIC))
    row["bins"] = bins
    tokens[_HEAD_AT], tokens[_TAIL_AT] = found.head_hash, found.tail_hash
    row["exact"] = hash64(text.encode("utf-8", "surrogatepass"))
