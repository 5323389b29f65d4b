"""The published JSON Schemas, and documents near their edges."""

import copy
import json
import math
from importlib.resources import files
from typing import Any

import jsonschema
from hypothesis import strategies as st

REQUEST_SCHEMA = json.loads(files("streams.contracts").joinpath("schemas/request-event.schema.json").read_text())
ALERT_SCHEMA = json.loads(files("streams.contracts").joinpath("schemas/alert-event.schema.json").read_text())
REQUEST = jsonschema.Draft202012Validator(REQUEST_SCHEMA)
ALERT = jsonschema.Draft202012Validator(ALERT_SCHEMA)

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.sampled_from([-1, 0, 1, 2, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**30, 10**400]),
    st.sampled_from([0.0, -0.0, 1.0, 1e3, 0.5, 1.5, -0.5, 1e18, 9.3e18, 2.0**63, 1e300, math.nan, math.inf, -math.inf]),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["", "x" * 16, "x" * 17, "x" * 64, "x" * 65, "x" * 128, "x" * 129, "é" * 512, "é" * 513]),
    st.sampled_from(["😀" * 128, "😀" * 129, "x" * 253, "x" * 254, "\ud800", "a\udfff", "\x00", '"\\/\n']),
    st.sampled_from(["0123456789abcdef", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0", "0" * 15 + "\n"]),
    st.sampled_from([[], {}, [1], {"ip": 1}, {"text": "a"}, [[[]]], {"count": 1}]),
).map(copy.deepcopy)


def paths_of_errors(validator: jsonschema.Draft202012Validator, document: Any) -> set[str]:
    """Name the places that a schema refuses, such as ``client.ip``; a missing field is named where it is missing."""
    return {".".join(str(part) for part in error.absolute_path) for error in validator.iter_errors(document)}


def unfit(value: Any, kind: Any) -> bool:
    """Tell whether a value is refused beyond the schema: the listed deviations."""
    kinds = kind if isinstance(kind, list) else [kind]
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if "integer" in kinds:
        return not -(2**63) <= value < 2**63  # NaN too
    try:
        return not math.isfinite(float(value))
    except OverflowError:
        return True
