"""The compiled way in gives the same row as the decoder, or leaves the record to it."""

import json
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_request_schema import FULL, near_valid

from streams.accounts.columns import Reader
from streams.accounts.fields import SCHEMA
from streams.accounts.scan import EVENT, ODD, TOPICS, scan
from streams.cells import Cells
from streams.contracts.request import RequestEvent, decode_request
from streams.contracts.xxh3 import PADDING
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan

MAX_BYTES = 1 << 16
PLACES = ("name_at", "name_size", "plan_at", "plan_size", "text_at", "text_size", "address_at", "address_size", "given")
NUMBERS = [name for name in EVENT.names if name not in PLACES]
RAW = json.dumps(FULL).encode()


def scanned(raw: bytes) -> bool:
    """Tell whether the compiled way takes a record."""
    rows = np.zeros(1, EVENT)
    scan(SCHEMA, TOPICS, np.frombuffer(raw + PADDING, np.uint8), np.array([0]), np.array([len(raw)]), MAX_BYTES, rows)
    return bool(rows["read"][0] != ODD)


def cells_of(raws: list[bytes | None]) -> Cells:
    """The values of keyed records in one buffer."""
    cells = Cells.of([each for raw in raws for each in (b'"}, key', raw)])
    return Cells(cells.text, cells.at[1::2].copy(), cells.size[1::2].copy())


def check(raws: list[bytes | None]) -> None:
    """Hold each row against that of the decoder."""
    reader = Reader(MAX_BYTES)
    events, _ = reader.read(range(len(raws)), raws)
    apart = reader.read(range(len(raws)), cells_of(raws))[0]  # as they come from Kafka, with other bytes in between
    assert [events.rows[name].tolist() for name in NUMBERS] == [apart.rows[name].tolist() for name in NUMBERS]
    expected = [(i, decode_request(raw, MAX_BYTES)) for i, raw in enumerate(raws)]
    good = [(i, event) for i, event in expected if isinstance(event, RequestEvent)]
    assert [i for i, _ in good] == events.offset.tolist()
    for k, (_, event) in enumerate(good):
        row = reader.row_of(event)
        assert [row[name].tolist() for name in NUMBERS] == [events.rows[k][name].tolist() for name in NUMBERS]
        assert (event.account_id, (event.plan or "")[:32]) == (events.name(k), events.plan(k))


@settings(max_examples=500, deadline=None)
@given(st.lists(near_valid(), min_size=1, max_size=3), st.booleans(), st.booleans())
def test_documents(documents: list[dict[str, Any]], indent: bool, ascii_only: bool) -> None:
    """Whatever valid and nearly valid documents hold, the rows are those of the decoder."""
    texts = [json.dumps(document, indent=1 if indent else None, ensure_ascii=ascii_only) for document in documents]
    check([text.encode("utf-8", "surrogatepass") for text in texts])


@settings(max_examples=3000, deadline=None)
@given(st.data())
def test_mutations(data: st.DataObject) -> None:
    """Bytes changed, dropped, added or moved anywhere in a record never make the two disagree."""
    raw = RAW
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        span = data.draw(st.integers(0, 12))
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=3))
        raw = raw[:at] + piece + raw[at + span :]
    check([raw, RAW, raw[: data.draw(st.integers(0, len(raw)))], raw])


PIECES = [
    *(b'"', b"\\", b"{", b"}", b",", b":", b" ", b"\n", b"\0", b"\x7f", b"\x80", b"\xff", b"[", b"]", b"-", b"0", b"."),
    *(b"null", b"true", b"false", b"nul", b'"ip":', b'"client":{', b'"faults":[]', b"\\u0041", b"1e3", b"9" * 19),
    *(b'"text":"\\ud800"', b'"plan":null,', b'"model":"x",', b"255.1.2.3", b"::1", b"{}", b",,", b"x" * 250),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("client", {"ip": ip}) for ip in ("1.2.3.4", "1.2.3", "01.2.3.4", "256.1.1.1", "1.2.3.4.5", "::1", "")),
        *(("client", {"ip": ip}) for ip in ("::ffff:1.2.3.4", "1..2.3", "1.2.3.", "0.0.0.0", "1.2.3.4 ", "00.0.0.0")),
        *(("client", {"tls_fingerprint": "t" * n, "user_agent": "u" * m}) for n, m in ((0, 0), (128, 111), (128, 112))),
        *(("prompt", {"reasoning_elicitation": x}) for x in (0, 0.25, 0.24999999999999997, 0.3333333333333333, 1e-5)),
        *(("prompt", {"grading": x}) for x in (0.75, 0.7499999999999999, 0.9999999999999999, 0.1 + 0.2, 5e-324, 1.0)),
        *(("prompt", {"topic": name}) for name in ("", "coding", "other", "unknown", "translation", "translationn")),
        *(("prompt", {"text": text}) for text in ("", "Why?", 'Say "why"\n' * 9, "heißt das? 为什么", "\U0001f600")),
        *(("prompt", {"text": "Why?", "simhash": "0" * 15 + "a"}), ("prompt", {"text": "x", "template_hash": ""})),
        *(("status", code) for code in (199, 200, 299, 300, 403, 429, 451, 500, -1)),
        *(("output_tokens", 2**k + d) for k in (0, 1, 5, 14, 15, 31, 32, 59) for d in (-1, 0)),
        *(("org_id", "x" * n) for n in (0, 1, 3, 4, 8, 9, 16, 17, 128)),
        *(("turn", 1), ("turn", 2), ("refused", True), ("tools", 3), ("cache_read_tokens", 7)),
        *(("account_created_at", -5), ("account_created_at", None)),
    ],
)  # fmt: skip
def test_values(name: str, value: Any) -> None:
    """Values at the edges of what the compiled way takes give the same row."""
    check(
        [json.dumps({**FULL, name: value}).encode(), json.dumps(FULL | {name: value}, separators=(",", ":")).encode()]
    )


def test_nothing_and_too_much() -> None:
    """Records that are missing, empty or too large are left to the decoder, among others that are not."""
    check([None, b"", RAW, RAW + b" " * MAX_BYTES, b" " + RAW + b"\r\n", RAW])


@pytest.mark.parametrize("prompts", ["fingerprints", "text"])
def test_ordinary_records_are_plain(prompts: str) -> None:
    """What a gateway sends takes the compiled way, and none of it comes out different."""
    simulation = Simulation(Plan(seed=1, accounts=300, hours=2.0, prompts=prompts))
    lines = [event.value for event in islice(simulation, 2_000)]
    assert [True] * len(lines) == list(map(scanned, lines))
    check(list(lines))


@example(RAW)
@given(st.binary(max_size=80))
def test_a_record_ends_where_it_ends(tail: bytes) -> None:
    """What follows in the buffer is no part of a record, whatever it is."""
    reader = Reader(MAX_BYTES)
    for cut in (len(RAW), len(RAW) - 1):
        rows = reader.read(range(2), [RAW[:cut], tail])[0]
        assert (0 in rows.offset.tolist()) == (cut == len(RAW))
