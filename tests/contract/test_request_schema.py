"""`RequestEvent` accepts and produces what the schema allows, the listed deviations apart."""

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema_documents import ODD_VALUES, REQUEST, REQUEST_SCHEMA, paths_of_errors, unfit

from streams.contracts import request
from streams.contracts.request import Rejected, RequestEvent, decode_request, encode_request

REQUIRED = REQUEST_SCHEMA["required"]
PROPERTIES = REQUEST_SCHEMA["properties"]
NESTED = {name: schema["properties"] for name, schema in PROPERTIES.items() if "properties" in schema}
PATHS = [(name,) for name in PROPERTIES] + [(name, inner) for name, schema in NESTED.items() for inner in schema]
MAX_BYTES = 1 << 20

FULL: dict[str, Any] = {
    "event_id": "e-1",
    "event_time": 1_767_225_600_000,
    "account_id": "a-1",
    "org_id": "o-1",
    "api_key_id": None,
    "plan": "pro",
    "account_created_at": 1_760_000_000_000,
    "model": "large",
    "operation": "chat",
    "status": 429,
    "refused": True,
    "input_tokens": 10,
    "output_tokens": 0,
    "cache_read_tokens": 3,
    "latency_ms": 120,
    "stream": True,
    "temperature": 0.5,
    "tools": 2,
    "turn": 4,
    "conversation_id": "c-1",
    "client": {"ip": "192.0.2.1", "asn": 64500, "country": "NL", "user_agent": "ua", "tls_fingerprint": "t13d"},
    "identity": {"payment_fingerprint": "p", "device_fingerprint": None, "email_domain": "example.org"},
    "prompt": {
        "simhash": "0123456789abcdef",
        "template_hash": "t",
        "system_hash": "s",
        "chars": 12,
        "reasoning_elicitation": 0.25,
        "grading": 1,
        "topic": "coding",
        "language": "en",
        "text": "Was ist das?",
    },
}


@st.composite
def near_valid(draw: st.DrawFn) -> dict[str, Any]:
    """A valid event in which up to four places are replaced, removed or added."""
    document = copy.deepcopy(FULL)
    for path in draw(st.lists(st.sampled_from([*PATHS, ("extra",), ("client", "extra")]), max_size=4)):
        holder: Any = document
        for part in path[:-1]:
            holder = holder.get(part)
        if not isinstance(holder, dict):
            continue
        if draw(st.booleans()) and path[0] not in REQUIRED:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = draw(ODD_VALUES)
    return document


LAST_MS = (2**32 - 1) * 1_000  # of an event: no clock shows a later time, but a producer that sends microseconds does


def kind_of(path: str) -> Any:
    name, _, inner = path.partition(".")
    return (NESTED[name][inner] if inner else PROPERTIES[name]).get("type")


def faulty_places(document: dict[str, Any]) -> set[str]:
    """What jsonschema refuses, and what the listed deviations refuse."""
    places = {f"{name}" for name, value in document.items() if name in PROPERTIES and unfit(value, kind_of(name))}
    for name, schema in NESTED.items():
        inner = document.get(name)
        if isinstance(inner, dict):
            places |= {
                f"{name}.{key}" for key in inner if key in schema and unfit(inner[key], kind_of(f"{name}.{key}"))
            }
    time = document.get("event_time")
    if isinstance(time, int | float) and time > LAST_MS:
        places.add("event_time")
    return places | paths_of_errors(REQUEST, document)


def without(document: dict[str, Any], places: set[str]) -> dict[str, Any]:
    result = copy.deepcopy(document)
    for place in places:
        name, _, inner = place.partition(".")
        if inner:
            del result[name][inner]
        else:
            del result[name]
    return result


@settings(max_examples=1500, deadline=None)
@given(near_valid(), st.booleans())
def test_verdict_is_that_of_the_schema(document: dict[str, Any], indent: bool) -> None:
    """A required fault rejects by the schema's first faulty field; an optional one leaves the event as without it."""
    raw = json.dumps(document, indent=2 if indent else None).encode()
    places = faulty_places(document)

    actual = decode_request(raw, MAX_BYTES)

    bad_required = [name for name in REQUIRED if name in places]
    if bad_required:
        assert Rejected(f"invalid_field:{bad_required[0]}") == actual
        return
    assert isinstance(actual, RequestEvent)
    assert places == set(actual.faults)
    repaired = json.dumps(without(document, places), allow_nan=True).encode()
    assert decode_request(repaired, MAX_BYTES) == msgspec.structs.replace(actual, faults=())


@settings(max_examples=500, deadline=None)
@given(near_valid())
def test_what_is_encoded_is_valid_and_decodes_to_itself(document: dict[str, Any]) -> None:
    """Whatever is accepted encodes to JSON that the schema allows and that gives the same event without faults."""
    event = decode_request(json.dumps(document).encode(), MAX_BYTES)
    if isinstance(event, Rejected):
        return

    encoded = encode_request(event)

    assert set() == paths_of_errors(REQUEST, json.loads(encoded))
    assert msgspec.structs.replace(event, faults=()) == decode_request(encoded, MAX_BYTES)


@settings(max_examples=500, deadline=None)
@given(near_valid())
def test_both_paths_agree_where_the_fast_one_accepts(document: dict[str, Any]) -> None:
    """The slow path gives the same event as the compiled decoder for everything that the decoder accepts."""
    raw = json.dumps(document).encode()
    try:
        expected = request._decode(raw)
    except (ValueError, RecursionError):
        return

    assert expected == request._decode_field_by_field(raw)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.binary(max_size=64), st.recursive(ODD_VALUES, lambda inner: st.lists(inner, max_size=3))))
def test_never_raises(value: Any) -> None:
    """Any bytes and any JSON value give an event or a reason."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()

    assert isinstance(decode_request(raw, MAX_BYTES), RequestEvent | Rejected)


def test_every_field_of_the_schema_is_read() -> None:
    """The types have exactly the schema's fields, so that a new one in the schema cannot be forgotten."""
    expected = {name: set(schema) for name, schema in NESTED.items()} | {"": set(PROPERTIES)}

    actual = {name: set(cls.__struct_fields__) for name, cls in request._NESTED.items()}
    actual[""] = set(RequestEvent.__struct_fields__) - {"faults"}

    assert expected == actual


def test_full_document_survives_unchanged() -> None:
    """Every field of an event without defaults comes back with its value; null is the same as missing."""
    expected = {name: value for name, value in FULL.items() if value is not None}
    for name in NESTED:
        expected[name] = {key: value for key, value in FULL[name].items() if value is not None}

    event = decode_request(json.dumps(FULL).encode(), MAX_BYTES)

    assert isinstance(event, RequestEvent)
    assert expected == json.loads(encode_request(event))


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_required_field_rejects(name: str) -> None:
    """Each required field, when it is missing, is the reason given, as it is for the schema."""
    document = {key: value for key, value in FULL.items() if key != name}

    assert not REQUEST.is_valid(document)
    assert Rejected(f"missing_field:{name}") == decode_request(json.dumps(document).encode(), MAX_BYTES)
