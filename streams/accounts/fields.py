"""The contract of a request as columns for compiled code, one entry per field, those of the objects within included.

All of it follows from the types of `RequestEvent`: no rule is written a second time.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# Types are inferred by numba.

from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
from msgspec import inspect

from streams.compiled import compiled
from streams.contracts.request import RequestEvent
from streams.contracts.xxh3 import LENGTH_MAX, load64

GIVEN = ("simhash", "template_hash", "reasoning_elicitation", "grading", "topic")

ANYTHING, STRING, HEX, TEXT, INTEGER, REAL, FLAG, OBJECT, NEVER = range(9)
_WORDS = 3  # a key is compared as so many 8-byte words; longer ones are unknown
_SLOTS = 128  # of the hash table of keys
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd; 2**64 over the golden ratio (Knuth)


class Schema(NamedTuple):
    """The contract as columns, one entry per field, those of the objects within included."""

    slots: Any  # hash table of fields by key, -1: free
    keys: Any  # (fields, 3) uint64
    scope: Any  # 0: of the event itself, else the number of the object it is in
    opens: Any  # number of the object that it is, 0: none
    type: Any
    nullable: Any
    low: Any  # smallest number, or length of a string
    high: Any
    default: Any  # of a number


def words(name: str) -> Any:
    """Give a name as the 8-byte words that it is compared by."""
    return np.frombuffer(name.encode().ljust(8 * _WORDS, b"\0"), np.uint64)


@compiled
def _slot(a, b, c):
    return np.int64(((a * _MIX ^ b) * _MIX ^ c) * _MIX >> np.uint64(57))


@compiled
def find(slots, keys, data, i, n):
    """Give the field of the key data[i : i + n], -1 for one that the contract does not name."""
    if n == 0 or n > 8 * _WORDS:
        return -1
    a, b, c = np.uint64(0), np.uint64(0), np.uint64(0)
    rest = np.uint64(8 * ((8 - n) & 7))
    if n <= 8:
        a = load64(data, i) << rest >> rest
    else:
        a = load64(data, i)
        if n <= 16:
            b = load64(data, i + 8) << rest >> rest
        else:
            b = load64(data, i + 8)
            c = load64(data, i + 16) << rest >> rest
    at = _slot(a, b, c)
    while slots[at] >= 0:
        field = np.int64(slots[at])
        if keys[field, 0] == a and keys[field, 1] == b and keys[field, 2] == c:
            return field
        at = (at + 1) % _SLOTS
    return -1


def _type_of(type_: Any) -> tuple[int, bool, Any, Any]:
    nullable = isinstance(type_, inspect.UnionType)
    if nullable:
        type_ = next(each for each in type_.types if not isinstance(each, inspect.NoneType))
    match type_:
        case inspect.StrType(pattern=None):
            return STRING, nullable, type_.min_length or 0, min(type_.max_length or LENGTH_MAX, LENGTH_MAX)
        case inspect.StrType(pattern="^[0-9a-f]{16}$"):
            return HEX, nullable, 16, 16
        case inspect.IntType():
            return INTEGER, nullable, type_.ge, type_.le
        case inspect.FloatType():
            low, high = (type_.ge, type_.le) if type_.ge is not None else (-np.inf, np.inf)
            return REAL, nullable, low, high
        case inspect.BoolType():
            return FLAG, nullable, 0, 1
        case inspect.StructType():
            return OBJECT, nullable, 0, 0
    return NEVER, nullable, 0, 0


def _schema() -> tuple[Schema, list[str]]:
    found: list[tuple[str, Any, int, int]] = []  # name, field, scope, opens
    objects = 0
    for field in cast(inspect.StructType, inspect.type_info(RequestEvent)).fields:
        kind = _type_of(field.type)[0]
        objects += kind == OBJECT
        found.append((field.name, field, 0, objects if kind == OBJECT else 0))
        if kind == OBJECT:
            either = cast(inspect.UnionType, field.type).types  # the struct, or null
            struct = next(each for each in either if isinstance(each, inspect.StructType))
            found += [(f"{field.name}.{inner.name}", inner, objects, 0) for inner in struct.fields]
    names = [name for name, *_ in found]
    keys = np.array([words(name.rpartition(".")[2]) for name in names])
    slots = np.full(_SLOTS, -1, np.int8)
    for i, key in enumerate(keys):
        at = int(_slot(*key))
        while slots[at] >= 0:
            at = (at + 1) % _SLOTS
        slots[at] = i
    types = [_type_of(field.type) for _, field, _, _ in found]
    kinds = [TEXT if name == "prompt.text" else type_[0] for name, type_ in zip(names, types, strict=True)]
    defaults = [0 if field.required or not isinstance(field.default, int) else field.default for _, field, *_ in found]
    columns = (
        np.array([scope for *_, scope, _ in found], np.int8),
        np.array([opens for *_, opens in found], np.int8),
        np.array(kinds, np.int8),
        np.array([type_[1] for type_ in types], np.bool_),
        *(np.array([type_[i] for type_ in types], np.float64) for i in (2, 3)),
        np.array(defaults, np.int64),
    )
    return Schema(slots, keys, *columns), names


SCHEMA, _NAMES = _schema()
FIELDS = len(_NAMES)
REQUIRED = np.uint64(
    sum(1 << _NAMES.index(field.name) for field in msgspec.structs.fields(RequestEvent) if field.required)
)
EVENT_ID, EVENT_TIME, ACCOUNT, MODEL_NAME = map(_NAMES.index, ("event_id", "event_time", "account_id", "model"))
INPUT, OUTPUT, CREATED = map(_NAMES.index, ("input_tokens", "output_tokens", "account_created_at"))
ORG, PLAN_NAME, STATUS, REFUSED = map(_NAMES.index, ("org_id", "plan", "status", "refused"))
CACHED, TOOLS, TURN = map(_NAMES.index, ("cache_read_tokens", "tools", "turn"))
IP, COUNTRY_CODE, AGENT, TLS = (_NAMES.index(f"client.{x}") for x in ("ip", "country", "user_agent", "tls_fingerprint"))
CARD, DEVICE_ID, DOMAIN = (
    _NAMES.index(f"identity.{x}") for x in ("payment_fingerprint", "device_fingerprint", "email_domain")
)
SIMHASH, TEMPLATE_HASH, ELICITATION, GRADING, TOPIC = (_NAMES.index(f"prompt.{x}") for x in GIVEN)
SYSTEM_HASH, TEXT_ = _NAMES.index("prompt.system_hash"), _NAMES.index("prompt.text")
