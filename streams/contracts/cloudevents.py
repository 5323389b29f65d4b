"""CloudEvents 1.0 attributes of an alert, as Kafka record headers (binary content mode).

The value of the record is the alert itself; each attribute is a header with the prefix ``ce_``. Besides the core
attributes there are the documented extensions ``partitionkey`` and ``severitytext`` with ``severitynumber``.
Source: CloudEvents 1.0.2 and its Kafka protocol binding; severity numbers are those of OpenTelemetry's log levels.
"""

import re
from datetime import UTC, datetime, timedelta

from streams.contracts.alert import AlertEvent, Severity

SOURCE = "urn:stillwatch:detector"
DATA_SCHEMA = "urn:stillwatch:alert-event:1"
SEVERITY_NUMBERS: dict[Severity, int] = {"low": 9, "medium": 13, "high": 17, "critical": 21}  # INFO, WARN, ERROR, FATAL

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999: RFC 3339 has no later one
_NOT_ALLOWED = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")  # in a CloudEvents string


def alert_headers(alert: AlertEvent) -> tuple[tuple[str, bytes], ...]:
    """Give the headers of the record that carries ``alert``; equal alerts have equal headers, in this order."""
    attributes = (
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", f"{alert.alert_id}:{alert.revision}"),
        ("ce_source", SOURCE),
        ("ce_type", f"stillwatch.case.{alert.status}.v1"),
        ("ce_time", rfc3339(alert.detected_at)),
        ("ce_subject", _NOT_ALLOWED.sub("\ufffd", alert.subject_id)),
        ("ce_dataschema", DATA_SCHEMA),
        ("ce_partitionkey", alert.alert_id),
        ("ce_severitytext", alert.severity.upper()),
        ("ce_severitynumber", str(SEVERITY_NUMBERS[alert.severity])),
    )
    return tuple((name, value.encode()) for name, value in attributes)


def rfc3339(time_ms: int) -> str:
    """Write milliseconds since the epoch as RFC 3339 in UTC; times outside the years 1970 to 9999 are cut to them.

    >>> rfc3339(1_767_225_600_042)
    '2026-01-01T00:00:00.042Z'
    """
    moment = _EPOCH + timedelta(milliseconds=min(max(time_ms, 0), _MAX_MS))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
