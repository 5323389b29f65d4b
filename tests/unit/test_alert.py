"""Encoding of one revision of a case."""

import math

import msgspec
import pytest
from support import an_alert

from streams.contracts.alert import Evidence, decode_alert, encode_alert
from streams.errors import InputError

ALERT = an_alert(
    evidence=(Evidence("template reuse", 1.25, value={"b": 1, "a": 2}),),
    techniques=("AML.T0024.002",),
    detector={"version": "1", "digest": "ab"},
)


def test_equal_alerts_give_equal_bytes() -> None:
    """The order in which a dictionary was filled does not show."""
    other = msgspec.structs.replace(
        ALERT,
        evidence=(Evidence("template reuse", 1.25, value={"a": 2, "b": 1}),),
        detector={"digest": "ab", "version": "1"},
    )

    assert encode_alert(ALERT) == encode_alert(other)


def test_bytes_are_as_published() -> None:
    """Field order and number format are part of what replays compare."""
    expected = (
        b'{"alert_id":"c-1","revision":1,"status":"open","kind":"cluster","subject_id":"k-1",'
        b'"category":"distillation","merged_into":null,"severity":"high","score":0.75,"p_value":null,'
        b'"detected_at":1767225600000,"first_seen":1767225000000,"last_seen":1767225599000,'
        b'"accounts":{"count":1,"added":["a-1"],"removed":[]},"pools":[],"exchanges":{"before_alert":3,"total":4},'
        b'"evidence":[{"indicator":"template reuse","contribution":1.25,"value":{"a":2,"b":1}}],'
        b'"techniques":["AML.T0024.002"],"detector":{"digest":"ab","version":"1"}}'
    )

    assert expected == encode_alert(ALERT)


@pytest.mark.parametrize(
    "change",
    [{"score": math.nan}, {"threshold": math.inf}, {"p_value": math.nan}, {"evidence": (Evidence("x", -math.inf),)}],
)
def test_number_that_is_not_finite_is_a_programming_error(change: dict[str, object]) -> None:
    """It would become null in JSON and break the schema, so it raises instead."""
    with pytest.raises(ValueError, match="not finite"):
        encode_alert(msgspec.structs.replace(ALERT, **change))


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"alert_id":NaN}'])
def test_what_is_no_alert_raises_one_error(value: bytes) -> None:
    """Any bytes that are no alert raise the error for unusable input."""
    with pytest.raises(InputError, match="not an alert"):
        decode_alert(value)


def test_integral_float_is_an_integer() -> None:
    """A producer in another language may write 2.0 for 2."""
    value = encode_alert(ALERT).replace(b'"revision":1,', b'"revision":2.0,')

    assert (2, int) == (decode_alert(value).revision, type(decode_alert(value).revision))
