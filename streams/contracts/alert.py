"""The output contract: one revision of a case (`schemas/alert-event.schema.json`).

A field that the schema neither requires nor lets be null is ``UNSET`` when it is missing. Integral floats are integers,
as JSON Schema has it. Deviations from the schema: NaN, Infinity and lone surrogates are refused wherever they stand,
and so are integers of more than 64 bits and numbers that fit in no double in the fields that the schema names.
"""

import json
import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from streams.errors import InputError

Status = Literal["open", "updated", "merged", "closed"]
Kind = Literal["account", "cluster"]
Category = Literal["distillation", "reseller", "stolen_credential", "technique_search", "anomaly"]
Severity = Literal["low", "medium", "high", "critical"]

ADDED_MAX_ACCOUNTS = 1_000  # the schema's description: a larger change is split over revisions of one detected_at

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Probability = Annotated[float, Meta(ge=0, le=1)]


class Evidence(Struct, frozen=True):
    """One reason; the contributions of a case, in nats, add up to its ``evidence_total``."""

    indicator: str
    contribution: float
    value: Any = UNSET
    baseline: Any = UNSET
    detail: str | UnsetType = UNSET


class Accounts(Struct, frozen=True):
    """How many accounts the case has after this revision, and what the revision changes."""

    count: Int
    added: tuple[str, ...]
    removed: tuple[str, ...] = ()


class Pool(Struct, frozen=True):
    """Infrastructure that some of the case's accounts share."""

    pool_id: str
    accounts: Positive


class Exchanges(Struct, frozen=True):
    """What had leaked before the alert, and all traffic of the members up to this revision."""

    before_alert: Int
    total: Int
    output_tokens: Int | UnsetType = UNSET


class AlertEvent(Struct, frozen=True, kw_only=True):
    """One revision of a case; times in milliseconds since the Unix epoch, evidence in nats."""

    alert_id: str
    revision: Positive
    status: Status
    kind: Kind
    subject_id: str
    category: Category
    merged_into: str | None = None
    severity: Severity
    score: float
    evidence_total: float | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    p_value: Probability | None = None
    detected_at: Int
    first_seen: Int
    last_seen: Int
    accounts: Accounts
    pools: tuple[Pool, ...] = ()
    exchanges: Exchanges
    evidence: tuple[Evidence, ...]
    techniques: tuple[str, ...]
    detector: dict[str, Any] = {}


_decode = msgspec.json.Decoder(AlertEvent).decode
_encode = msgspec.json.Encoder(order="deterministic").encode  # fields as above, keys of dicts sorted


def encode_alert(alert: AlertEvent) -> bytes:
    """Encode one revision; equal alerts give equal bytes. Floats are written as given: round them before.

    Raises ValueError for a number that is not finite, which JSON does not have.
    """
    numbers = [alert.score, alert.evidence_total, alert.threshold, alert.p_value]
    numbers += [reason.contribution for reason in alert.evidence]
    if not all(math.isfinite(number) for number in numbers if isinstance(number, int | float)):
        raise ValueError(f"alert {alert.alert_id} revision {alert.revision} holds a number that is not finite")
    return _encode(alert)


def decode_alert(value: bytes) -> AlertEvent:
    """Decode one revision from any producer that keeps to the schema; raises `InputError` for what does not."""
    try:
        try:
            return _decode(value)
        except msgspec.ValidationError:  # perhaps 1.0 where an integer belongs
            return _decode(
                msgspec.json.encode(json.loads(value, parse_float=_parse_float, parse_constant=_parse_float))
            )
    except (ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"not an alert: {error}") from None


def _parse_float(text: str) -> int | float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return int(number) if number.is_integer() and abs(number) < 2**63 else number
