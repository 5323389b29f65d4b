"""A batch of exchanges as columns: what can be done to all of them at once is done here.

Tokens are 64-bit hashes of what accounts may share; 0 means not known. The kind seeds the hash, so that equal strings
of two kinds are two tokens.
"""

import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import astuple

from streams.accounts import features
from streams.contracts.fingerprint import fingerprint
from streams.contracts.hashing import hash32, hash64
from streams.contracts.packets import CLIENT, DEVICE, MAIL, NETWORK, PAYMENT, SYSTEM, TEMPLATE
from streams.contracts.request import Client, Identity, Prompt, RequestEvent

MODEL, COUNTRY, ORGANISATION, PLAN = 64, 65, 66, 67  # kinds that never leave the account
INFRASTRUCTURE = (NETWORK, CLIENT, PAYMENT, DEVICE, MAIL, MODEL, COUNTRY)

CACHE_MAX = 1 << 15  # strings remembered with their hash; cleared when full (about 6 MB)
_MAPPED = bytes(10) + b"\xff\xff"  # a dotted address in a colon address
_FIELD = {name: i for i, name in enumerate(RequestEvent.__struct_fields__)}
_CLIENT, _IDENTITY, _PROMPT = (
    {name: i for i, name in enumerate(cls.__struct_fields__)} for cls in (Client, Identity, Prompt)
)
_NO_CLIENT, _NO_IDENTITY, _NO_PROMPT = astuple(Client()), astuple(Identity()), astuple(Prompt())
_NO_SIMHASH = "0" * 16

Ints = Sequence[int]


class Columns(NamedTuple):
    """Fields and tokens of a batch, in order of offset: plain sequences for what goes event by event, arrays else."""

    account_id: Sequence[str]
    plan: Sequence[str | None]
    output: Ints
    input: Ints
    digest: Any  # uint32 hash of the event's id
    created: Any  # ms, 0 unknown
    organisation: Any  # token
    plan_token: Any
    tokens: Any  # (11, n) uint64: INFRASTRUCTURE, then template, system prompt, head, tail
    simhash: Any  # uint64
    exact: Any  # uint64 hash of the whole text
    bins: Any  # uint64: what needs neither the account nor its past (`features.LAYOUT`)


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


class Tokens:
    """Hash strings, with a memory of those that come often."""

    def __init__(self) -> None:
        kinds = (NETWORK, MAIL, MODEL, COUNTRY, ORGANISATION, PLAN)
        self._known: dict[int, dict[str | None, int]] = {kind: {None: 0, "": 0} for kind in kinds}

    def common(self, kind: int, values: Sequence[str | None]) -> list[int]:
        """Tokens of strings that come again and again."""
        known = self._known[kind]
        out = list(map(known.get, values))
        if None in out:
            if len(known) >= CACHE_MAX:
                known = self._known[kind] = {None: 0, "": 0}
            for i, token in enumerate(out):
                if token is None:
                    value = values[i] or ""
                    data = generalise(value) if kind == NETWORK else value.encode("utf-8", "surrogatepass")
                    out[i] = known[value] = hash64(data, kind + 1) or 1
        return out  # type: ignore[return-value]

    @staticmethod
    def rare(kind: int, values: Sequence[str | None]) -> list[int]:
        """Tokens of strings that are as good as unique."""
        seed = kind + 1
        return [hash64(value.encode("utf-8", "surrogatepass"), seed) or 1 if value else 0 for value in values]


def columns(events: Sequence[RequestEvent], tokens: Tokens) -> Columns:
    """Lay out a batch; texts of prompts are turned into fingerprints and forgotten."""
    field = list(zip(*map(astuple, events), strict=True))
    client = _nested(field[_FIELD["client"]], _NO_CLIENT)
    identity = _nested(field[_FIELD["identity"]], _NO_IDENTITY)
    prompts = list(field[_FIELD["prompt"]])
    heads = tails = exact = np.zeros(len(events), np.uint64)
    text = [i for i, prompt in enumerate(prompts) if prompt is not None and prompt.text is not None]
    if text:
        heads, tails, exact = heads.copy(), heads.copy(), heads.copy()
        for i in text:
            prompts[i], heads[i], tails[i], exact[i] = with_fingerprints(prompts[i])
    prompt = _nested(prompts, _NO_PROMPT)
    clients = [
        hash64(f"{tls or ''}\n{agent or ''}".encode("utf-8", "surrogatepass"), CLIENT + 1) or 1 if tls or agent else 0
        for tls, agent in zip(client[_CLIENT["tls_fingerprint"]], client[_CLIENT["user_agent"]], strict=True)
    ]
    shown = np.empty((len(INFRASTRUCTURE) + 4, len(events)), np.uint64)
    shown[0] = tokens.common(NETWORK, client[_CLIENT["ip"]])
    shown[1] = clients
    shown[2] = tokens.rare(PAYMENT, identity[_IDENTITY["payment_fingerprint"]])
    shown[3] = tokens.rare(DEVICE, identity[_IDENTITY["device_fingerprint"]])
    shown[4] = tokens.common(MAIL, identity[_IDENTITY["email_domain"]])
    shown[5] = tokens.common(MODEL, field[_FIELD["model"]])
    shown[6] = tokens.common(COUNTRY, client[_CLIENT["country"]])
    shown[7] = tokens.rare(TEMPLATE, prompt[_PROMPT["template_hash"]])
    shown[8] = tokens.rare(SYSTEM, prompt[_PROMPT["system_hash"]])
    shown[9], shown[10] = heads, tails
    simhash = bytes.fromhex("".join([value or _NO_SIMHASH for value in prompt[_PROMPT["simhash"]]]))
    plan = field[_FIELD["plan"]]
    return Columns(
        field[_FIELD["account_id"]], plan, field[_FIELD["output_tokens"]], field[_FIELD["input_tokens"]],
        np.array([hash32(name.encode()) for name in field[_FIELD["event_id"]]], np.uint32),
        np.array([at or 0 for at in field[_FIELD["account_created_at"]]], np.int64),
        np.array(tokens.common(ORGANISATION, field[_FIELD["org_id"]]), np.uint64),
        np.array(tokens.common(PLAN, plan), np.uint64),
        shown, np.frombuffer(simhash, ">u8").astype(np.uint64), exact, _bins(field, prompt, shown[5]),
    )  # fmt: skip


def _nested(values: Sequence[Any], missing: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return list(zip(*[missing if value is None else astuple(value) for value in values], strict=True))


def _bins(field: list[tuple[Any, ...]], prompt: list[tuple[Any, ...]], model: Any) -> Any:
    status, refused = np.array(field[_FIELD["status"]], np.int64), np.array(field[_FIELD["refused"]], bool)
    topics, codes = prompt[_PROMPT["topic"]], features.TOPIC_CODES
    topic = [0 if name is None else codes.get(name, features.OTHER_TOPIC) for name in topics]
    bins = features.put("outcome", features.outcomes(status, refused)) | features.put("topic", np.array(topic))
    for name, asked in (("elicitation", "reasoning_elicitation"), ("grading", "grading")):
        scores = np.array([-1.0 if score is None else score for score in prompt[_PROMPT[asked]]])
        bins |= features.put(name, features.share_bin(scores))
    for name in ("output", "input"):
        bins |= features.put(name, features.log2_bin(np.array(field[_FIELD[f"{name}_tokens"]], np.int64)))
    bins |= features.put("first_turn", np.array(field[_FIELD["turn"]], np.int64) == 1)
    bins |= features.put("tools", np.array(field[_FIELD["tools"]], np.int64) != 0)
    bins |= features.put("cached", np.array(field[_FIELD["cache_read_tokens"]], np.int64) != 0)
    return bins | features.put("model", model & np.uint64(255))


def with_fingerprints(prompt: Prompt) -> tuple[Prompt, int, int, int]:
    """Replace a prompt's text by its fingerprints (those that the gateway sent stand).

    Also returns the hashes of its head, of its tail, and of the whole text. What is too short to mean much has none.
    """
    text = prompt.text or ""
    found = fingerprint(text)
    whole = found.as_prompt()
    known = [mine if mine is not None else theirs for mine, theirs in zip(astuple(prompt), astuple(whole), strict=True)]
    known[_PROMPT["text"]] = None
    exact = hash64(text.encode("utf-8", "surrogatepass"))
    return Prompt(*known), found.head_hash, found.tail_hash, exact
