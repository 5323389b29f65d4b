"""Exchanges as the JSON of the contract: columns in, one line of bytes each out."""

import functools
from collections.abc import Callable

import msgspec
import numpy as np
import xxhash

from streams.simulator.accounts import MODELS

_json = msgspec.json.Encoder().encode
FINGERPRINT_CACHE = 200_000  # texts: repeated prompts (wrappers without content, "continue") are hashed once

PromptEncoder = Callable[[str, str | None], bytes]


def text_prompt(text: str, system: str | None) -> bytes:
    """Encode the ``prompt`` member with its text."""
    if system is None:
        return b'{"text":%b}' % _json(text)
    return b'{"system_hash":"%b","text":%b}' % (system.encode(), _json(text))


def fingerprint_prompt() -> PromptEncoder:
    """Make an encoder of the ``prompt`` member with the fingerprints of the contract in place of the text."""
    from streams.contracts.fingerprint import fingerprint

    @functools.lru_cache(FINGERPRINT_CACHE)
    def members(text: str) -> bytes:
        found = fingerprint(text)
        simhash = b'"simhash":"%016x",' % found.simhash if found.simhash else b""
        template = b'"template_hash":"%016x",' % found.template_hash if found.template_hash else b""
        return b'%b%b"chars":%d,"reasoning_elicitation":%g,"grading":%g,"topic":"%b","language":"%b"' % (
            simhash,
            template,
            found.chars,
            round(found.reasoning_elicitation, 3),
            round(found.grading, 3),
            found.topic.encode(),
            found.language.encode(),
        )

    def encode(text: str, system: str | None) -> bytes:
        if system is None:
            return b"{%b}" % members(text)
        return b'{"system_hash":"%b",%b}' % (system.encode(), members(text))

    return encode


_MODELS = [model.encode() for model in MODELS]
_TEMPERATURES = {t: b'"temperature":%b,' % _json(t / 100) for t in range(201)} | {-1: b""}


def account_members(tools: int, stream: bool) -> bytes:
    """Encode what all exchanges of an account say of tools and streaming."""
    return (b'"tools":%d,' % tools if tools else b"") + (b'"stream":true,' if stream else b"")


def encode(
    rows: np.ndarray,
    salted: list[bytes],
    fragments: list[bytes],
    details: list[bytes],
    conversations: list[bool],
    serials: list[int],
    prompt: PromptEncoder,
) -> list[bytes]:
    """Encode exchanges; all lists are indexed by account: ids with the salt before them, and ready members.

    ``serials`` counts the exchanges of each account and is moved on. Optional members go into one format at once: a
    line that grows member by member is copied each time.
    """
    columns = [rows[name].tolist() for name in EVENT_COLUMNS]
    hashed, result = xxhash.xxh3_128_hexdigest, []
    for (
        who,
        time,
        session,
        turn,
        model,
        status,
        refused,
        tin,
        tout,
        cache,
        latency,
        temperature,
        client,
        system,
        text,
    ) in zip(*columns, strict=True):
        serial = serials[who]
        serials[who] = serial + 1
        account = salted[who]
        result.append(
            _LINE
            % (
                hashed(b"%b%d" % (account, serial))[:20].encode(),
                time,
                fragments[who],
                _MODELS[model],
                status,
                tin,
                tout,
                details[who],
                _TEMPERATURES[temperature],
                b'"refused":true,' if refused else b"",
                b'"cache_read_tokens":%d,' % cache if cache else b"",
                b'"latency_ms":%d,' % latency if latency >= 0 else b"",
                b'"conversation_id":"%b",' % hashed(b"%b/%d" % (account, session))[:12].encode()
                if conversations[who]
                else b"",
                turn,
                client,
                prompt(text, system),
            )
        )
    return result


_LINE = (
    b'{"event_id":"%b","event_time":%d,%b,"model":"%b","status":%d,"input_tokens":%d,"output_tokens":%d,%b%b%b%b%b%b'
    b'"turn":%d,"client":%b,"prompt":%b}'
)
EVENT_COLUMNS = (
    "account", "time", "session", "turn", "model", "status", "refused", "input", "output", "cache", "latency",
    "temperature", "client", "system", "text",
)  # fmt: skip
