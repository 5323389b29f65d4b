"""Record batches read by places hold what aiokafka reads of them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.cells import Cells
from streams.contracts.xxh3 import PADDING
from streams.runtime.batches import Chunk, batch_of
from streams.runtime.blocks import PLACE, FetchResult, PartitionRecords, RecordBatches, unpack

TP = TopicPartition("t", 0)
HEADER = 61  # bytes of a batch before its records

Row = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
ROWS = st.lists(
    st.tuples(
        st.integers(1, 300),  # steps between offsets
        st.none() | st.binary(max_size=200),
        st.none() | st.binary(max_size=200),
        st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2),
    ),
    max_size=12,
)


def rows_of(steps: list[Row]) -> list[Row]:
    """Steps as offsets."""
    return [
        (int(offset) - 1, *row[1:]) for offset, row in zip(np.cumsum([row[0] for row in steps]), steps, strict=True)
    ]


def batch(rows: list[Row], compression: int = 0) -> bytes:
    """Encode with aiokafka, which gives each record the offset it is told."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 20)
    for offset, key, value, headers in rows:
        builder.append(offset, 1_000 + offset, key, value, headers)
    return bytes(builder.build())


def reader(data: bytes, position: int = 0) -> PartitionRecords:
    """Read as the fetcher does."""
    return PartitionRecords(TP, RecordBatches(data), None, position, None, None, True, 1)


def found(blocks: Any) -> list[tuple[int, bytes | None, bytes | None]]:
    """Offsets, keys and values as the operator gets them."""
    if not blocks:
        return []
    got = batch_of(0, blocks)
    return list(zip(got.offsets, got.keys, got.values, strict=True))


@given(ROWS, st.integers(0, 4), st.integers(0, 900), st.integers(1, 20))
def test_every_record_comes_once_and_in_order(steps: list[Row], compression: int, position: int, most: int) -> None:
    """Whatever the codec and the size of a poll; what lies before the position is left out."""
    rows = rows_of(steps)
    halves = [part for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]) if part]
    position = min([position, *(row[0] for part in halves[:1] for row in part[-1:])])  # a fetch begins where it lies
    records = reader(b"".join(batch(part, compression) for part in halves), position)

    got, size = [], most
    while size == most:  # less than that is the rest
        polled = records.take(most)
        got += found(polled)
        assert not got or got[-1][0] < records.next_fetch_offset
        size = len(polled)

    assert size < most
    assert [row[:3] for row in rows if row[0] >= position] == got


@given(ROWS.filter(bool), st.data())
def test_broken_bytes_are_refused_or_read_alike(steps: list[Row], data: st.DataObject) -> None:
    """Nothing points outside of the batch, and what aiokafka takes is taken with the same content."""
    rows = rows_of(steps)
    raw = bytearray(batch(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(HEADER, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(HEADER, len(raw)))
    places = np.empty(len(rows), PLACE)

    taken = unpack(np.frombuffer(bytes(raw), np.uint8, cut), HEADER, 0, places)

    try:
        expected = list(DefaultRecordBatch(bytes(raw[:cut])))
    except (CorruptRecordException, UnicodeDecodeError):
        expected = []
    if taken:
        for name in ("key", "value"):
            assert (HEADER < places[f"{name}_at"]).all()
            assert (places[f"{name}_at"] + places[f"{name}_size"] <= cut).all()
        columns = [Cells(raw, places[f"{name}_at"], places[f"{name}_size"]) for name in ("key", "value")]
        if expected:
            assert [(r.offset, r.key, r.value) for r in expected] == list(zip(places["offset"], *columns, strict=True))
    elif expected:
        offsets = [record.offset for record in expected]
        assert offsets != sorted(set(offsets)) or not 0 <= offsets[0] <= offsets[-1] < 1 << 31


@pytest.mark.parametrize("count", [-1, 0, 2, 4, 2**31 - 1])
def test_a_wrong_number_of_records_is_refused(count: int) -> None:
    """No memory is taken for records that the bytes cannot hold."""
    raw = bytearray(batch([(n, b"k", b"v", []) for n in range(3)]))
    raw[57:61] = count.to_bytes(4, "big", signed=True)
    records = PartitionRecords(TP, RecordBatches(bytes(raw)), None, 0, None, None, False, 1)

    with pytest.raises(CorruptRecordException):
        records.take(10)


def test_a_wrong_checksum_is_refused() -> None:
    """That is left to aiokafka."""
    raw = bytearray(batch([(0, b"k", b"value", [])]))
    raw[-3] ^= 1

    with pytest.raises(CorruptRecordException, match="CRC"):
        reader(bytes(raw)).take(10)


def test_batches_of_the_old_format_are_read() -> None:
    """A log from before Kafka 0.11 may still hold some."""
    builder = LegacyRecordBatchBuilder(1, 0, 1 << 20)
    for offset, key, value in ((0, b"k", b"v"), (1, None, b""), (2, b"", None)):
        builder.append(offset, 1_000, key, value)

    assert [(1, None, b""), (2, b"", None)] == found(reader(bytes(builder.build()), 1).take(10))


def test_a_poll_takes_no_more_records_than_it_may() -> None:
    """As aiokafka's own result: the position follows what was taken, and the rest is there at the next poll."""
    state = SimpleNamespace(paused=False, position=0, consumed_to=lambda offset: setattr(state, "position", offset))
    assignment = SimpleNamespace(active=True, state_value=lambda tp: state)
    raw = batch([(n, b"k", b"v", []) for n in range(5)])
    result = FetchResult(TP, assignment=assignment, partition_records=reader(raw), backoff=0)

    sizes = []
    while result.has_more():
        sizes.append((len(result.getall(2)), state.position))

    assert [(2, 2), (2, 4), (1, 5)] == sizes


def test_a_chunk_has_a_buffer_of_its_own() -> None:
    """It ends with padding, as compiled code loads beyond what it looks at; a chunk keeps no fetch in memory."""
    blocks = reader(batch([(n, b"k", b"%d" % n, []) for n in range(9)])).take(9)

    chunk = Chunk(TP, [blocks[0][2:4], blocks[0][7:]])

    values = chunk.batch.values
    assert isinstance(values, Cells)
    assert values.text.endswith(PADDING)
    assert len(values.text) < 60
    assert ([2, 3, 7, 8], [b"2", b"3", b"7", b"8"]) == (chunk.batch.offsets, list(values))
    assert [b"3", b"7"] == list(values[1:3])
