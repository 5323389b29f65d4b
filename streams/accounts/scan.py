"""Compiled reading of a batch of events: from JSON bytes to rows of numbers, without an object for anything.

The fast way in for a plain record, nothing more: one of known shape, ASCII outside of the prompt's text, no escapes, no
key twice, no number of more than 18 digits, every field as the contract has it. Whatever else a record holds, it is
left alone here (`ODD`) and goes through `streams.contracts.request`, which decides what is wrong with it, if anything:
so this file has no rules of its own. What is what follows from the types of `RequestEvent`.

Measured for 770 bytes: 1 us, against 2.2 us for decoding into objects and 5 us for their way into columns.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,assignment"
# Types are inferred by numba. Compiled functions that call each other live in one file, as its cache looks at no other.

from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import inspect
from numba import njit

from streams.accounts import features
from streams.contracts.packets import CLIENT, DEVICE, MAIL, NETWORK, PAYMENT, SYSTEM, TEMPLATE
from streams.contracts.request import RequestEvent
from streams.contracts.xxh3 import LENGTH_MAX, load32, load64, murmur2, trailing_zeros, xxh3, xxh32

MODEL, COUNTRY, ORGANISATION, PLAN = 64, 65, 66, 67  # kinds that never leave the account
INFRASTRUCTURE = (NETWORK, CLIENT, PAYMENT, DEVICE, MAIL, MODEL, COUNTRY)
TOKENS = 11  # INFRASTRUCTURE, then template, system prompt, head, tail

# how a record was read
ODD, PLAIN, WITH_TEXT, WITH_ADDRESS = 0, 1, 2, 4  # the last two are flags: still to be done in Python

EVENT = np.dtype(
    [
        ("time", "<i8"), ("input", "<i8"), ("output", "<i8"),
        ("created", "<i8"),  # ms, 0 unknown
        ("account", "<u8"),  # hash
        ("org", "<u8"), ("plan", "<u8"), ("tokens", "<u8", (TOKENS,)),  # hashes, 0 unknown
        ("simhash", "<u8"),
        ("exact", "<u8"),  # hash of the whole text, 0 unknown
        ("bins", "<u8"),  # what needs neither the account nor its past (`features.LAYOUT`)
        ("digest", "<u4"),  # hash of the event's id
        ("murmur", "<u4"),  # hash of the account that a producer takes a partition by
        # places in the buffer, in bytes: account id, name of the plan, and text or address for what is left to do
        ("name_at", "<i8"), ("plan_at", "<i8"), ("text_at", "<i8"), ("address_at", "<i8"),
        ("name_size", "<u2"), ("plan_size", "<u2"), ("text_size", "<i4"), ("address_size", "<u2"),
        ("read", "u1"),  # ODD, or PLAIN with flags
        ("given", "u1"),  # fields of the prompt that came along with its text: bits of GIVEN
    ]
)  # fmt: skip
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


def _words(name: str) -> Any:
    return np.frombuffer(name.encode().ljust(8 * _WORDS, b"\0"), np.uint64)


@njit(cache=True)
def _slot(a, b, c):
    return np.int64(((a * _MIX ^ b) * _MIX ^ c) * _MIX >> np.uint64(57))


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
    for field in inspect.type_info(RequestEvent).fields:  # type: ignore[attr-defined]
        kind = _type_of(field.type)[0]
        objects += kind == OBJECT
        found.append((field.name, field, 0, objects if kind == OBJECT else 0))
        if kind == OBJECT:
            struct = next(each for each in field.type.types if isinstance(each, inspect.StructType))
            found += [(f"{field.name}.{inner.name}", inner, objects, 0) for inner in struct.fields]
    names = [name for name, *_ in found]
    keys = np.array([_words(name.rpartition(".")[2]) for name in names])
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
_required = sum(
    1 << _NAMES.index(name)
    for name, field in zip(RequestEvent.__struct_fields__, msgspec.structs.fields(RequestEvent), strict=True)
    if field.required
)
_REQUIRED = np.uint64(_required)
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

TOPICS = np.array([_words(name)[:2] for name in features.TOPICS])
_SHIFT = {name: np.uint64(shift) for name, (shift, _) in features.LAYOUT.items()}
_OUTCOME_AT, _ELICITATION_AT, _GRADING_AT = _SHIFT["outcome"], _SHIFT["elicitation"], _SHIFT["grading"]
_TOPIC_AT, _OUTPUT_AT, _INPUT_AT, _MODEL_AT = _SHIFT["topic"], _SHIFT["output"], _SHIFT["input"], _SHIFT["model"]
_FIRST_TURN_AT, _TOOLS_AT, _CACHED_AT = _SHIFT["first_turn"], _SHIFT["tools"], _SHIFT["cached"]
_OTHER_TOPIC = features.OTHER_TOPIC
_ANSWERED, _REFUSED, _THROTTLED, _FAILED = features.ANSWERED, features.REFUSED, features.THROTTLED, features.FAILED

_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES = _ONES * np.uint64(34), _ONES * np.uint64(92)
_SPACES = _ONES * np.uint64(32)
_DIGITS_MAX = 18  # of a number, so that it fits into 63 bits
_EXACT = 10**15  # such integers and powers of ten are doubles, so that their quotient is rounded but once
_POWERS = np.array([10.0**i for i in range(_DIGITS_MAX + 1)])


@njit(cache=True)
def _special(word, tops):
    """Mark the quotes, backslashes and controls among 8 bytes, and the ``tops``; exact up to the first mark."""
    quote, slash = word ^ _QUOTES, word ^ _BACKSLASHES
    found = ((quote - _ONES) & ~quote) | ((slash - _ONES) & ~slash) | ((word - _SPACES) & ~word)
    return (found & _TOPS) | (word & tops)


@njit(cache=True)
def _string_end(data, i):
    """Give the place of the quote that ends a plain string, -1 for a string that is not plain."""
    i = np.int64(i)
    found = _special(load64(data, i), _TOPS)
    while found == 0:
        i += 8
        found = _special(load64(data, i), _TOPS)
    i += trailing_zeros(found) >> 3
    return i if data[i] == 34 else np.int64(-1)


@njit(cache=True)
def _text_end(data, i):
    """Give the place of the quote that ends a string of any kind, -1 for none; escapes are not looked at."""
    i = np.int64(i)
    while True:
        found = _special(load64(data, i), np.uint64(0))
        if found == 0:
            i += 8
            continue
        i += trailing_zeros(found) >> 3
        if data[i] == 34:
            return i
        if data[i] != 92 or data[i + 1] < 32:
            return np.int64(-1)
        i += 2


@njit(cache=True)
def _blank(c):
    return c == 32 or c == 10 or c == 13 or c == 9


@njit(cache=True)
def _find(slots, keys, data, i, n):
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


@njit(cache=True)
def _number(data, i):
    """Read a number without exponent; give its end (-1: not plain), digits as an integer, and how many are decimals."""
    negative = data[i] == 45
    if negative:
        i += 1
    start = i
    value = np.int64(0)
    while 48 <= data[i] <= 57:
        value = value * 10 + (np.int64(data[i]) - 48)
        i += 1
        if i - start > _DIGITS_MAX:
            return -1, value, 0
    digits = i - start
    if digits == 0 or (data[start] == 48 and (digits > 1 or negative)):
        return -1, value, 0
    decimals = 0
    if data[i] == 46:
        i += 1
        start = i
        while 48 <= data[i] <= 57:
            value = value * 10 + (np.int64(data[i]) - 48)
            i += 1
            if i - start + digits > _DIGITS_MAX:
                return -1, value, 0
        decimals = i - start
        if decimals == 0:
            return -1, value, 0
    return i, -value if negative else value, decimals


@njit(cache=True)
def _real(value, decimals):
    """Give digits with so many decimals as a double; NaN if rounding might matter to a quarter."""
    real = value / _POWERS[decimals]
    if abs(value) > _EXACT and abs(4.0 * real - np.floor(4.0 * real + 0.5)) < 1e-9:
        return np.nan
    return real


@njit(cache=True)
def _hex64(data, i):
    """Give 16 hexadecimal digits as an integer, and whether that is what they are."""
    value = np.uint64(0)
    for k in range(16):
        c = data[i + k]
        if 48 <= c <= 57:
            digit = c - 48
        elif 97 <= c <= 102:
            digit = c - 87
        else:
            return value, False
        value = (value << np.uint64(4)) | np.uint64(digit)
    return value, True


@njit(cache=True)
def _parse(schema, data, i, end, at, size, number, real):
    """Read one record into the columns of its fields; give the set of those that are there, 0 if it is not plain.

    ``at`` and ``size`` are of strings (size -1: unknown), ``number`` of integers, flags and SimHashes.
    """
    slots, keys, scopes, opens, kinds, nullable, low, high, _ = schema
    seen = np.uint64(0)
    there = np.uint64(0)
    while i < end and _blank(data[i]):
        i += 1
    if data[i] != 123:
        return np.uint64(0)
    i += 1
    scope = 0
    comma, close = False, True  # what may come: a comma, the end of the object, else a key
    while True:
        while _blank(data[i]):
            i += 1
        c = data[i]
        if c == 125 and close:
            i += 1
            if scope == 0:
                break
            scope = 0
            comma, close = True, True
            continue
        if comma:
            if c != 44:
                return np.uint64(0)
            i += 1
            comma, close = False, False
            continue
        if c != 34:
            return np.uint64(0)
        stop = _string_end(data, i + 1)
        if stop < 0:
            return np.uint64(0)
        field = _find(slots, keys, data, i + 1, stop - i - 1)
        i = stop + 1
        while _blank(data[i]):
            i += 1
        if data[i] != 58:
            return np.uint64(0)
        i += 1
        while _blank(data[i]):
            i += 1
        c = data[i]
        kind = ANYTHING
        bit = np.uint64(0)
        if field >= 0 and scopes[field] == scope:
            kind = kinds[field]
            bit = np.uint64(1) << np.uint64(field)
            if seen & bit or kind == NEVER:
                return np.uint64(0)
            seen |= bit
        if c == 34:
            if kind == TEXT:
                stop = _text_end(data, i + 1)
            elif kind in (STRING, HEX, ANYTHING):
                stop = _string_end(data, i + 1)
            else:
                return np.uint64(0)
            if stop < 0:
                return np.uint64(0)
            n = stop - i - 1
            if kind in (STRING, HEX):
                if not low[field] <= n <= high[field]:
                    return np.uint64(0)
                if kind == HEX:
                    value, valid = _hex64(data, i + 1)
                    if not valid:
                        return np.uint64(0)
                    number[field] = np.int64(value)
            if kind != ANYTHING:
                at[field], size[field] = i + 1, n
                there |= bit
            i = stop + 1
        elif c == 45 or 48 <= c <= 57:
            if kind != INTEGER and kind != REAL and kind != ANYTHING:
                return np.uint64(0)
            i, digits, decimals = _number(data, i)
            if i < 0:
                return np.uint64(0)
            if kind == INTEGER:
                if decimals or not low[field] <= digits <= high[field]:
                    return np.uint64(0)
                number[field] = digits
            elif kind == REAL:
                found = _real(digits, decimals)
                if not low[field] <= found <= high[field]:  # nor is NaN
                    return np.uint64(0)
                real[field] = found
            there |= bit
        elif c == 123:
            if kind != OBJECT:
                return np.uint64(0)
            i += 1
            scope = opens[field]
            comma, close = False, True
            continue
        else:
            word = load32(data, i)
            if word == 0x6C6C756E:  # null
                if kind != ANYTHING and not nullable[field]:
                    return np.uint64(0)
                i += 4
            elif word == 0x65757274 or (word == 0x736C6166 and data[i + 4] == 101):  # true, false
                if kind != FLAG and kind != ANYTHING:
                    return np.uint64(0)
                if kind == FLAG:
                    number[field] = word == 0x65757274
                there |= bit
                i += 4 if word == 0x65757274 else 5
            else:
                return np.uint64(0)
        comma, close = True, True
    while i < end and _blank(data[i]):
        i += 1
    return there if i == end and there & _REQUIRED == _REQUIRED else np.uint64(0)


@njit(cache=True)
def _token(data, at, size, kind):
    """Give the token of a string, 0 for none."""
    if size <= 0:
        return np.uint64(0)
    found = xxh3(data, at, size, np.uint64(kind + 1))
    return found if found else np.uint64(1)


@njit(cache=True)
def _network(data, at, size, scratch):
    """Give the token of the /24 of a dotted address, 0 for what is none."""
    part, digits, dots = 0, 0, 0
    for i in range(at, at + size):
        c = data[i]
        if c == 46:
            if digits == 0 or dots == 3:
                return np.uint64(0)
            scratch[dots] = part
            dots += 1
            part, digits = 0, 0
        elif 48 <= c <= 57:
            if digits and part == 0:
                return np.uint64(0)
            part = part * 10 + (np.int64(c) - 48)
            digits += 1
            if part > 255:
                return np.uint64(0)
        else:
            return np.uint64(0)
    if dots != 3 or digits == 0:
        return np.uint64(0)
    return _token(scratch, 0, 3, NETWORK)


@njit(cache=True)
def _client(data, at, size, scratch):
    """Give the token of TLS fingerprint and user agent together; False if they are too long for this."""
    n = 0
    for field in (TLS, AGENT):
        if size[field] > 0:
            if n + size[field] + 1 > LENGTH_MAX:
                return np.uint64(0), False
            for k in range(size[field]):
                scratch[n + k] = data[at[field] + k]
            n += size[field]
        if field == TLS:
            scratch[n] = 10
            n += 1
    return _token(scratch, 0, n if n > 1 else 0, CLIENT), True


@njit(cache=True)
def _topic(data, at, size, topics):
    """Give the code of a topic's name."""
    a, b = np.uint64(0), np.uint64(0)
    if 0 < size <= 16:
        rest = np.uint64(8 * ((8 - size) & 7))
        if size <= 8:
            a = load64(data, at) << rest >> rest
        else:
            a, b = load64(data, at), load64(data, at + 8) << rest >> rest
    for code in range(topics.shape[0]):
        if topics[code, 0] == a and topics[code, 1] == b:
            return code
    return _OTHER_TOPIC


@njit(cache=True)
def _log2_bin(value):
    n = 0
    while value and n < 15:
        value >>= 1
        n += 1
    return n


@njit(cache=True)
def _share_bin(share):
    return min(1 + np.int64(share * 4.0), 4)


@njit(cache=True)
def _outcome(status, refused):
    if refused or status == 403 or status == 451:
        return _REFUSED
    if 200 <= status < 300:
        return _ANSWERED
    return _THROTTLED if status == 429 else _FAILED


@njit(cache=True)
def _bins(number, real, there, topic, model):
    bins = np.uint64(_outcome(number[STATUS], number[REFUSED])) << _OUTCOME_AT
    bins |= np.uint64(topic) << _TOPIC_AT
    if there >> np.uint64(ELICITATION) & np.uint64(1):
        bins |= np.uint64(_share_bin(real[ELICITATION])) << _ELICITATION_AT
    if there >> np.uint64(GRADING) & np.uint64(1):
        bins |= np.uint64(_share_bin(real[GRADING])) << _GRADING_AT
    bins |= np.uint64(_log2_bin(number[OUTPUT])) << _OUTPUT_AT
    bins |= np.uint64(_log2_bin(number[INPUT])) << _INPUT_AT
    bins |= np.uint64(number[TURN] == 1) << _FIRST_TURN_AT
    bins |= np.uint64(number[TOOLS] != 0) << _TOOLS_AT
    bins |= np.uint64(number[CACHED] != 0) << _CACHED_AT
    return bins | ((model & np.uint64(255)) << _MODEL_AT)


@njit(cache=True)
def scan(schema, topics, data, ends, max_bytes, rows):
    """Read the records data[:ends[0]], data[ends[0]:ends[1]], ... into ``rows`` (zeros before).

    ``data`` goes on for some bytes that are zero. A row of which nothing else is set is `ODD`.
    """
    at, number, real = np.zeros(FIELDS, np.int64), np.zeros(FIELDS, np.int64), np.zeros(FIELDS, np.float64)
    size = np.zeros(FIELDS, np.int64)
    scratch = np.zeros(LENGTH_MAX + 16, np.uint8)
    start = np.int64(0)
    for e in range(ends.size):
        end = ends[e]
        begin, start = start, end
        if begin == end or end - begin > max_bytes:
            continue
        size[:] = -1
        number[:] = schema.default
        there = _parse(schema, data, begin, end, at, size, number, real)
        if there == 0:
            continue
        client, short = _client(data, at, size, scratch)
        if not short:
            continue
        row = rows[e]
        row.read = PLAIN
        row.time, row.input, row.output = number[EVENT_TIME], number[INPUT], number[OUTPUT]
        row.created = number[CREATED]
        row.account = xxh3(data, at[ACCOUNT], size[ACCOUNT], np.uint64(0))
        row.murmur = murmur2(data, at[ACCOUNT], size[ACCOUNT])
        row.digest = xxh32(data, at[EVENT_ID], size[EVENT_ID])
        row.org = _token(data, at[ORG], size[ORG], ORGANISATION)
        row.plan = _token(data, at[PLAN_NAME], size[PLAN_NAME], PLAN)
        row.name_at, row.name_size = at[ACCOUNT], size[ACCOUNT]
        if size[PLAN_NAME] > 0:
            row.plan_at, row.plan_size = at[PLAN_NAME], size[PLAN_NAME]
        model = _token(data, at[MODEL_NAME], size[MODEL_NAME], MODEL)
        if size[IP] > 0:
            row.tokens[0] = _network(data, at[IP], size[IP], scratch)
            if row.tokens[0] == 0:
                row.read |= WITH_ADDRESS
                row.address_at, row.address_size = at[IP], size[IP]
        row.tokens[1] = client
        row.tokens[2] = _token(data, at[CARD], size[CARD], PAYMENT)
        row.tokens[3] = _token(data, at[DEVICE_ID], size[DEVICE_ID], DEVICE)
        row.tokens[4] = _token(data, at[DOMAIN], size[DOMAIN], MAIL)
        row.tokens[5] = model
        row.tokens[6] = _token(data, at[COUNTRY_CODE], size[COUNTRY_CODE], COUNTRY)
        row.tokens[7] = _token(data, at[TEMPLATE_HASH], size[TEMPLATE_HASH], TEMPLATE)
        row.tokens[8] = _token(data, at[SYSTEM_HASH], size[SYSTEM_HASH], SYSTEM)
        row.simhash = np.uint64(number[SIMHASH])
        topic = 0 if size[TOPIC] < 0 else _topic(data, at[TOPIC], size[TOPIC], topics)
        row.bins = _bins(number, real, there, topic, model)
        if size[TEXT_] >= 0:
            row.read |= WITH_TEXT
            row.text_at, row.text_size = at[TEXT_], size[TEXT_]
            given = 0
            for k, field in enumerate((SIMHASH, TEMPLATE_HASH, ELICITATION, GRADING, TOPIC)):
                given |= np.int64(there >> np.uint64(field) & np.uint64(1)) << k
            row.given = given
