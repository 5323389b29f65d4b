"""The input contract: one finished exchange with the model API (`schemas/request-event.schema.json`).

A valid record costs one call of a compiled decoder. Only a record that this refuses is looked at field by field: a
fault in a required field rejects it, a fault in an optional field makes that field unknown and is listed in `faults`.

Deviations from the schema, all on the strict side: integers that do not fit in 64 bits, numbers that fit in no double,
NaN, Infinity and lone surrogates are faults of the field that holds them, and so is an event time beyond 2106-02-07:
a producer that sends microseconds would move the clock there, and what came right would be late for ever. Integral
floats (``1.0``, ``1e3``) are integers, as JSON Schema has it. Fields that the schema does not name are skipped unread.
"""

import json
import math
from typing import Annotated, Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields, replace

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[int, Meta(ge=0, le=(2**32 - 1) * 1_000)]  # memories count seconds in 32 bits
Turn = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Score = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Text16 = Annotated[str, Meta(max_length=16)]
Text64 = Annotated[str, Meta(max_length=64)]
Text128 = Annotated[str, Meta(max_length=128)]
Text253 = Annotated[str, Meta(max_length=253)]
Text512 = Annotated[str, Meta(max_length=512)]
Hex64Bit = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class Client(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where the exchange came from; None means not known."""

    ip: str | None = None
    asn: Int | None = None
    country: str | None = None
    user_agent: Text512 | None = None
    tls_fingerprint: Text128 | None = None


class Identity(Struct, frozen=True, gc=False, omit_defaults=True):
    """Hashed sign-up and billing attributes of the account; None means not known."""

    payment_fingerprint: Text128 | None = None
    device_fingerprint: Text128 | None = None
    email_domain: Text253 | None = None


class Prompt(Struct, frozen=True, gc=False, omit_defaults=True):
    """What is known of the last user message; ``text`` must be dropped once its fingerprint is taken."""

    simhash: Hex64Bit | None = None
    template_hash: Text64 | None = None
    system_hash: Text64 | None = None
    chars: Count | None = None
    reasoning_elicitation: Score | None = None
    grading: Score | None = None
    topic: Text64 | None = None
    language: Text16 | None = None
    text: str | None = None

    def __repr__(self) -> str:
        """Show no prompt text: what is printed may end in a log."""
        return f"Prompt(simhash={self.simhash!r}, template_hash={self.template_hash!r}, text={self.text and '...'!r})"


class RequestEvent(Struct, frozen=True, gc=False, omit_defaults=True):
    """One exchange; times in milliseconds since the Unix epoch, None means not known.

    ``faults`` names the optional fields that were refused and thus made unknown, such as ``client.user_agent``.
    It is no part of the JSON: it is neither read nor written.
    """

    event_id: Name
    event_time: Time
    account_id: Name
    model: Name
    input_tokens: Count
    output_tokens: Count
    org_id: Text128 | None = None
    api_key_id: Text128 | None = None
    plan: str | None = None
    account_created_at: Int | None = None
    operation: str = "chat"
    status: Int = 200
    refused: bool = False
    cache_read_tokens: Count = 0
    latency_ms: Count | None = None
    stream: bool = False
    temperature: float | None = None
    tools: Count = 0
    turn: Turn = 1
    conversation_id: Text128 | None = None
    client: Client | None = None
    identity: Identity | None = None
    prompt: Prompt | None = None
    # A sender's own field of this name can only decode as []; anything else goes to the slow path, which skips it.
    faults: Annotated[tuple[str, ...], Meta(max_length=0)] = ()


class Rejected(NamedTuple):
    """A record that cannot be used.

    ``reason`` is ``empty``, ``too_large``, ``broken_json``, ``not_an_object``, ``missing_field:<name>`` or
    ``invalid_field:<name>`` with the name of a required field: 16 values in all, so it may label a metric.
    """

    reason: str


def _field_types(cls: type[Struct]) -> dict[str, type[Struct]]:
    """Make a struct of one field for each field: msgspec compiles a struct once, a bare type at each call."""
    types = get_type_hints(cls, include_extras=True)
    return {name: msgspec.defstruct(name, [("value", types[name])]) for name in cls.__struct_fields__}


_NESTED: dict[str, type[Struct]] = {"client": Client, "identity": Identity, "prompt": Prompt}
_NESTED_FIELDS = {name: _field_types(cls) for name, cls in _NESTED.items()}
_REQUIRED_NAMES = {field.name for field in fields(RequestEvent) if field.required}
_FIELDS = _field_types(RequestEvent)
_REQUIRED = {name: type_ for name, type_ in _FIELDS.items() if name in _REQUIRED_NAMES}
_OPTIONAL = {name: type_ for name, type_ in _FIELDS.items() if name not in _REQUIRED_NAMES | {"faults"}}
_INT_DIGITS = 20  # every 64-bit integer fits; a longer one is parsed as a float, in linear time

_decode = msgspec.json.Decoder(RequestEvent).decode
_encode = msgspec.json.Encoder().encode


def decode_request(value: bytes | None, max_bytes: int) -> RequestEvent | Rejected:
    """Decode one record; ``Rejected`` only for a fault in a required field or in the record as a whole.

    Cannot see bytes that are not UTF-8 in fields the schema does not name, and takes no notice of the record's key.
    Of a key that occurs twice in an object the last value counts. Never raises for any ``value``.
    """
    if not value:
        return Rejected("empty")
    if len(value) > max_bytes:
        return Rejected("too_large")
    try:
        return _decode(value)
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return _decode_field_by_field(value)


def encode_request(event: RequestEvent) -> bytes:
    """Encode an event as JSON without the fields that hold their default; raises for a lone surrogate."""
    return _encode(replace(event, faults=()) if event.faults else event)


def _decode_field_by_field(value: bytes) -> RequestEvent | Rejected:
    try:
        document = json.loads(value.decode("utf-8", "surrogateescape"), parse_int=_parse_int)
    except (ValueError, RecursionError):
        return Rejected("broken_json")
    if not isinstance(document, dict):
        return Rejected("not_an_object")
    known: dict[str, Any] = {}
    for name, type_ in _REQUIRED.items():
        if name not in document:
            return Rejected(f"missing_field:{name}")
        if not _take(document[name], type_, known, name):
            return Rejected(f"invalid_field:{name}")
    faults: list[str] = []
    for name, type_ in _OPTIONAL.items():
        if name not in document:
            continue
        if name in _NESTED and isinstance(document[name], dict):
            known[name] = _decode_nested(name, document[name], faults)
        elif not _take(document[name], type_, known, name):
            faults.append(name)
    return RequestEvent(**known, faults=tuple(faults))


def _decode_nested(parent: str, document: dict[str, Any], faults: list[str]) -> Struct:
    known: dict[str, Any] = {}
    for name, type_ in _NESTED_FIELDS[parent].items():
        if name in document and not _take(document[name], type_, known, name):
            faults.append(f"{parent}.{name}")
    return _NESTED[parent](**known)


def _take(value: Any, type_: type[Any], known: dict[str, Any], name: str) -> bool:
    """Add the value to the known fields if its type allows it, and tell whether it does."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    try:
        if isinstance(value, str):
            value.encode()
        known[name] = msgspec.convert({"value": value}, type_).value
    except ValueError:
        return isinstance(value, float) and value.is_integer() and _take(int(value), type_, known, name)
    return True


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _INT_DIGITS else float(digits)
