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


def encode(
    rows: np.ndarray,
    ids: list[bytes],
    fragments: list[bytes],
    streams: list[bytes],
    conversations: list[bool],
    serials: list[int],
    salt: bytes,
    prompt: PromptEncoder,
) -> list[bytes]:
    """Encode exchanges; ``fragments`` and the lists after it are indexed by account."""
    result = []
    columns = [rows[name].tolist() for name in EVENT_COLUMNS]
    hashed = xxhash.xxh3_128_hexdigest
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
        account = ids[who]
        line = (
            b'{"event_id":"%b","event_time":%d,%b,"model":"%b","status":%d,"input_tokens":%d,"output_tokens":%d,%b%b'
            % (
                hashed(b"%b%b%d" % (salt, account, serial))[:20].encode(),
                time,
                fragments[who],
                _MODELS[model],
                status,
                tin,
                tout,
                streams[who],
                _TEMPERATURES[temperature],
            )
        )
        if refused:
            line += b'"refused":true,'
        if cache:
            line += b'"cache_read_tokens":%d,' % cache
        if latency >= 0:
            line += b'"latency_ms":%d,' % latency
        if conversations[who]:
            line += b'"conversation_id":"%b",' % hashed(b"%b/%b/%d" % (salt, account, session))[:12].encode()
        result.append(line + b'"turn":%d,"client":%b,"prompt":%b}' % (turn, client, prompt(text, system)))
    return result


EVENT_COLUMNS = (
    "account", "time", "session", "turn", "model", "status", "refused", "input", "output", "cache", "latency",
    "temperature", "client", "system", "text",
)  # fmt: skip
