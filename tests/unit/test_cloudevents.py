"""CloudEvents headers of an alert."""

import re
from importlib.resources import files

import msgspec
import pytest
from support import an_alert

from streams.contracts.cloudevents import DATA_SCHEMA, alert_headers, rfc3339

ALERT = an_alert(revision=3, status="closed", severity="critical", detected_at=1_767_225_600_042)


def test_headers_of_a_revision() -> None:
    """Every attribute of binary mode is there, in a fixed order."""
    expected = (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"c-1:3"),
        ("ce_source", b"urn:stillwatch:detector"),
        ("ce_type", b"stillwatch.case.closed.v1"),
        ("ce_time", b"2026-01-01T00:00:00.042Z"),
        ("ce_subject", b"k-1"),
        ("ce_dataschema", b"urn:stillwatch:alert-event:1"),
        ("ce_partitionkey", b"c-1"),
        ("ce_severitytext", b"CRITICAL"),
        ("ce_severitynumber", b"21"),
    )

    assert expected == alert_headers(ALERT)


def test_names_follow_the_specification() -> None:
    """Attribute names have lower-case letters and digits only, and none is longer than 20 characters."""
    names = [name.removeprefix("ce_") for name, _ in alert_headers(ALERT) if name != "content-type"]

    assert [name for name in names if re.fullmatch("[a-z0-9]{1,20}", name)] == names


def test_control_characters_of_an_account_id_do_not_reach_a_header() -> None:
    """CloudEvents strings hold no control characters, while an account id may."""
    alert = msgspec.structs.replace(ALERT, subject_id="a\x00\n\x7f😀é")

    assert "a���😀é".encode() == dict(alert_headers(alert))["ce_subject"]


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_709_164_800_999, "2024-02-29T00:00:00.999Z"),
        (-1, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_time_is_rfc3339_with_milliseconds(time_ms: int, expected: str) -> None:
    """Times are written in UTC; those that RFC 3339 cannot express are cut to its range."""
    assert expected == rfc3339(time_ms)


def test_schema_is_the_one_that_is_shipped() -> None:
    """The header names the id of the packaged schema."""
    schema = msgspec.json.decode(files("streams.contracts").joinpath("schemas/alert-event.schema.json").read_bytes())

    assert schema["$id"] == DATA_SCHEMA
