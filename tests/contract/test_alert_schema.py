"""`AlertEvent` accepts and produces what the schema allows, the listed deviations apart."""

import copy
import json
import math
from typing import Any, get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from schema_documents import ALERT, ALERT_SCHEMA, ODD_VALUES, paths_of_errors, unfit

from streams.contracts import alert
from streams.contracts.alert import AlertEvent, decode_alert, encode_alert
from streams.errors import InputError

PROPERTIES = ALERT_SCHEMA["properties"]
MINIMAL: dict[str, Any] = {
    "alert_id": "c-1",
    "revision": 1,
    "status": "open",
    "kind": "cluster",
    "subject_id": "k-1",
    "category": "distillation",
    "severity": "high",
    "score": 0.5,
    "detected_at": 1_767_225_600_000,
    "first_seen": 1_767_225_000_000,
    "last_seen": 1_767_225_599_000,
    "accounts": {"count": 1, "added": ["a-1"]},
    "exchanges": {"before_alert": 3, "total": 4},
    "evidence": [{"indicator": "grading", "contribution": -1.5}],
    "techniques": ["AML.T0024.002"],
}
FULL: dict[str, Any] = MINIMAL | {
    "merged_into": "c-2",
    "evidence_total": 12.25,
    "threshold": 12.25,
    "p_value": 0.001,
    "accounts": {"count": 1, "added": ["a-1"], "removed": ["a-2"]},
    "pools": [{"pool_id": "p-1", "accounts": 1}],
    "exchanges": {"before_alert": 3, "total": 4, "output_tokens": 900},
    "evidence": [
        {"indicator": "elicitation", "contribution": 13.75, "value": 0.9, "baseline": None, "detail": "9 of 10"},
        {"indicator": "grading", "contribution": -1.5, "value": {"b": 1, "a": [2]}},
    ],
    "detector": {"version": "1", "config": "abc"},
}
HOLDERS: list[tuple[str | int, ...]] = [(), ("accounts",), ("exchanges",), ("pools", 0), ("evidence", 0)]
PATHS = [
    (*path, key) for path in HOLDERS for key in (*PROPERTIES, "count", "added", "removed", "before_alert", "total")
]
PATHS += [("pools", 0, "pool_id"), ("evidence", 0, "contribution"), ("evidence", 0, "value"), ("accounts", "added", 0)]
PATHS += [("evidence", 0, "indicator"), ("evidence", 0, "detail"), ("exchanges", "output_tokens"), ("pools", 0)]


@st.composite
def near_valid(draw: st.DrawFn) -> dict[str, Any]:
    """A valid alert in which up to three places are replaced, removed or added."""
    document = copy.deepcopy(draw(st.sampled_from([MINIMAL, FULL])))
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=3)):
        holder: Any = document
        for part in path[:-1]:
            holder = holder.get(part) if isinstance(holder, dict) else holder[part] if holder else None
            if not isinstance(holder, dict | list):
                break
        if isinstance(holder, list) and holder and path[-1] == 0:
            holder[0] = draw(ODD_VALUES)
        elif isinstance(holder, dict):
            if draw(st.integers(0, 3)) == 0:
                holder.pop(path[-1], None)
            else:
                enum = PROPERTIES.get(path[-1], {}).get("enum", [])
                holder[path[-1]] = draw(st.one_of(ODD_VALUES, st.sampled_from(enum)) if enum else ODD_VALUES)
    return document


def unnamed_and_huge(document: Any, schema: dict[str, Any]) -> bool:
    """Tell whether a number out of range stands where the schema names no type: it may pass or not."""
    if isinstance(document, dict):
        known = schema.get("properties", {})
        return any(unnamed_and_huge(value, known.get(key, {})) for key, value in document.items())
    if isinstance(document, list):
        return any(unnamed_and_huge(value, schema.get("items", {})) for value in document)
    is_number = isinstance(document, int | float) and document == document and document not in (math.inf, -math.inf)
    return "type" not in schema and "enum" not in schema and is_number and unfit(document, "integer")


def deviates(document: Any, schema: dict[str, Any]) -> bool:
    """Tell whether a document holds what is refused beyond the schema: see the module under test."""
    if isinstance(document, dict):
        known = schema.get("properties", {})
        return any(deviates(value, known.get(key, {})) for key, value in document.items())
    if isinstance(document, list):
        return any(deviates(value, schema.get("items", {})) for value in document)
    return unfit(document, schema.get("type"))


@settings(max_examples=1500, deadline=None)
@given(near_valid())
def test_verdict_is_that_of_the_schema(document: dict[str, Any]) -> None:
    """What the schema allows decodes and encodes to a document the schema allows; everything else is refused."""
    assume(not unnamed_and_huge(document, ALERT_SCHEMA))
    expected = ALERT.is_valid(document) and not deviates(document, ALERT_SCHEMA)
    try:
        decoded = decode_alert(json.dumps(document).encode())
    except InputError:
        assert not expected
        return

    assert expected
    encoded = encode_alert(decoded)
    assert set() == paths_of_errors(ALERT, json.loads(encoded))
    assert decoded == decode_alert(encoded)


@pytest.mark.parametrize("document", [MINIMAL, FULL])
def test_every_field_survives(document: dict[str, Any]) -> None:
    """Each field of the schema is read and written back; what is missing stays missing or is the empty value."""
    actual = json.loads(encode_alert(decode_alert(json.dumps(document).encode())))

    empty = {"merged_into": None, "p_value": None, "pools": [], "detector": {}}
    accounts = {"removed": []} | document["accounts"]
    assert empty | document | {"accounts": accounts} == actual


def test_fields_and_enums_are_those_of_the_schema() -> None:
    """The types have exactly the schema's fields, in its order, and its enums."""
    assert tuple(PROPERTIES) == AlertEvent.__struct_fields__
    for name, literal in [
        ("status", alert.Status),
        ("kind", alert.Kind),
        ("category", alert.Category),
        ("severity", alert.Severity),
    ]:
        assert tuple(PROPERTIES[name]["enum"]) == get_args(literal)
    for name, cls in [("accounts", alert.Accounts), ("exchanges", alert.Exchanges)]:
        assert tuple(PROPERTIES[name]["properties"]) == cls.__struct_fields__
    for name, item in [("pools", alert.Pool), ("evidence", alert.Evidence)]:
        assert tuple(PROPERTIES[name]["items"]["properties"]) == item.__struct_fields__
