"""Decoding of single awkward records."""

import json

import pytest

from streams.contracts.request import Prompt, Rejected, RequestEvent, decode_request, encode_request

MAX_BYTES = 4096
EVENT = '"event_id":"e","event_time":1,"account_id":"a","model":"m","input_tokens":2,"output_tokens":3'
PLAIN = RequestEvent("e", 1, "a", "m", 2, 3)


def decode(fields: str) -> RequestEvent | Rejected:
    return decode_request(f"{{{EVENT},{fields}}}".encode("utf-8", "surrogateescape"), MAX_BYTES)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" " * (MAX_BYTES + 1), "too_large"),
        (b" ", "broken_json"),
        (b"{", "broken_json"),
        (b"\xff\xfe{\x00}\x00", "broken_json"),
        (b'{"event_id":"e"', "broken_json"),
        (b"[" * MAX_BYTES, "broken_json"),
        (f'{{{EVENT},"tools":01}}'.encode(), "broken_json"),
        (b"null", "not_an_object"),
        (b"7", "not_an_object"),
        (b'["event_id"]', "not_an_object"),
        (b"{}", "missing_field:event_id"),
        (b'{"event_id":null}', "invalid_field:event_id"),
        (f'{{{EVENT},"event_id":"\\ud800"}}'.encode(), "invalid_field:event_id"),
        (f'{{{EVENT},"event_time":-1}}'.encode(), "invalid_field:event_time"),
        (f'{{{EVENT},"event_time":NaN}}'.encode(), "invalid_field:event_time"),
        (f'{{{EVENT},"event_time":9223372036854775808}}'.encode(), "invalid_field:event_time"),
        (f'{{{EVENT},"event_time":1e400}}'.encode(), "invalid_field:event_time"),
        (f'{{{EVENT},"event_time":{"9" * 3000}}}'.encode(), "invalid_field:event_time"),
        (f'{{{EVENT},"event_time":1789030800000000}}'.encode(), "invalid_field:event_time"),  # microseconds
        (f'{{{EVENT},"account_id":""}}'.encode(), "invalid_field:account_id"),
        (f'{{{EVENT},"account_id":"{"x" * 129}"}}'.encode(), "invalid_field:account_id"),
        (f'{{{EVENT},"output_tokens":true}}'.encode(), "invalid_field:output_tokens"),
    ],
)
def test_unusable_record_has_its_reason(value: bytes | None, reason: str) -> None:
    """A fault in a required field or in the whole record rejects it with a short reason."""
    assert Rejected(reason) == decode_request(value, MAX_BYTES)


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ('"status":null', ("status",)),
        ('"status":9223372036854775808', ("status",)),
        ('"client":[1]', ("client",)),
        ('"temperature":NaN', ("temperature",)),
        ('"temperature":-Infinity', ("temperature",)),
        ('"temperature":1e400', ("temperature",)),
        ('"plan":"\\ud800"', ("plan",)),
        ('"plan":"\udcff"', ("plan",)),
        ('"tools":-1,"turn":0,"refused":1', ("refused", "tools", "turn")),
        (f'"tools":{"9" * 3000}', ("tools",)),
    ],
)
def test_faulty_optional_field_is_unknown(fields: str, faults: tuple[str, ...]) -> None:
    """The event is as without the field, and the fault is named."""
    event = decode(fields)

    assert isinstance(event, RequestEvent)
    assert faults == event.faults
    assert encode_request(PLAIN) == encode_request(event)


def test_over_long_user_agent_leaves_the_rest_of_the_client() -> None:
    """A fault inside an object makes only that one field unknown."""
    event = decode(f'"client":{{"ip":"192.0.2.1","user_agent":"{"x" * 513}","asn":64500.0}}')

    assert isinstance(event, RequestEvent)
    assert ("client.user_agent",) == event.faults
    assert event.client is not None
    assert ("192.0.2.1", 64500, None) == (event.client.ip, event.client.asn, event.client.user_agent)


@pytest.mark.parametrize(("text", "expected"), [("1.0", 1), ("1e3", 1000), ("-0.0", 0), ("1E2", 100)])
def test_integral_float_is_an_integer(text: str, expected: int) -> None:
    """JSON has one kind of number, so 1.0 counts as 1."""
    event = decode(f'"tools":{text}')

    assert isinstance(event, RequestEvent)
    assert (expected, int, ()) == (event.tools, type(event.tools), event.faults)


def test_last_of_two_equal_keys_counts() -> None:
    """A duplicate key takes the last value, even if the first was faulty or in escapes."""
    first = decode('"tools":"x","tools":4,"to\\u006fls":5')
    second = decode('"client":{"ip":"192.0.2.1"},"client":{"country":"NL"}')

    assert isinstance(first, RequestEvent)
    assert isinstance(second, RequestEvent)
    assert second.client is not None
    assert (5, (), None, "NL") == (first.tools, first.faults, second.client.ip, second.client.country)


@pytest.mark.parametrize("value", ["[]", '["x"]', '"x"', "null"])
def test_a_senders_own_faults_field_is_ignored(value: str) -> None:
    """The list of faults is ours alone and never written."""
    assert decode(f'"faults":{value}') == PLAIN


def test_unread_fields_may_hold_anything() -> None:
    """Unknown fields are skipped, however deep, long or odd they are."""
    assert decode('"extra":1e400,"other":"\\ud83d\\ude00","more":' + "[" * 200 + "]" * 200) == PLAIN


def test_prompt_text_does_not_show_in_repr() -> None:
    """What is printed or logged by accident holds no prompt text."""
    event = RequestEvent("e", 1, "a", "m", 2, 3, prompt=Prompt(text="my secret plan", topic="chat"))

    assert "secret" not in repr(event)
    assert "secret" in json.loads(encode_request(event))["prompt"]["text"]
