"""Kafka's record batches read as columns of places, without an object for a record.

aiokafka makes a record object, two byte strings and two or three numbers of every record, which the stages put together
again at once: 2 us an event. What it does for a whole batch (checksum, transactions, positions) is left to it.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# Types of what is compiled are inferred by numba.

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from aiokafka import codec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.compiled import compiled

PLACE = np.dtype(
    [("offset", "<i8"), ("key_at", "<i8"), ("key_size", "<i8"), ("value_at", "<i8"), ("value_size", "<i8")]
)  # a size of -1: none (any negative number, in a record)

# of a record batch: bytes before what its length counts; where its fields are
_BEFORE_LENGTH, _LENGTH_AT, _FORMAT_AT, _COUNT_AT, _RECORDS_AT = 12, 8, 16, 57, 61
_LEAST_RECORD = 7  # bytes, each of its fields being one
_DECODERS = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}


@compiled
def _varint(data, i, end):
    """Read a zigzag number; give it and the place after it, which is -1 if it does not end before ``end``."""
    value, shift = np.uint64(0), np.uint64(0)
    while i < end and shift < np.uint64(64):
        byte = np.uint64(data[i])
        i += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), i
        shift += np.uint64(7)
    return np.int64(0), np.int64(-1)


@compiled
def unpack(data, i, base, places):
    """Find the records of data[i:], their offsets being above ``base``; False if they are not well formed."""
    end, last = np.int64(data.size), np.int64(-1)
    for n in range(places.size):
        length, i = _varint(data, i, end)
        if i < 0 or not 0 <= length <= end - i:
            return False
        stop = i + length
        _, i = _varint(data, i + 1, stop)  # after the attributes: the time
        if i < 0:
            return False
        delta, i = _varint(data, i, stop)
        if i < 0 or not last < delta < 1 << 31:
            return False
        last = delta
        key_size, i = _varint(data, i, stop)
        if i < 0 or key_size > stop - i:
            return False
        place = places[n]
        place.offset, place.key_at, place.key_size = base + delta, i, max(key_size, -1)
        value_size, i = _varint(data, i + max(key_size, 0), stop)
        if i < 0 or value_size > stop - i:
            return False
        place.value_at, place.value_size = i, max(value_size, -1)
        headers, i = _varint(data, i + max(value_size, 0), stop)
        if i < 0 or headers < 0 or (headers == 0 and i != stop):
            return False
        i = stop  # nobody reads headers
    return i == end


def warm_up() -> None:
    """Compile or load `unpack`: in the first fetch it would hold up the member's heartbeats."""
    unpack(np.frombuffer(bytes(1), np.uint8), 0, 0, np.empty(0, PLACE))


class Block:
    """Some consecutive records of one record batch."""

    __slots__ = ("data", "places", "timestamp", "timestamp_type")

    def __init__(self, data: bytes, places: Any, timestamp: int, timestamp_type: int) -> None:
        self.data, self.places, self.timestamp, self.timestamp_type = data, places, timestamp, timestamp_type

    def __len__(self) -> int:
        return int(self.places.size)

    def __getitem__(self, part: slice) -> "Block":
        return Block(self.data, self.places[part], self.timestamp, self.timestamp_type)

    @property
    def offset(self) -> int:
        """The last one; aiokafka takes a block for a record."""
        return int(self.places["offset"][-1])


def block_of(records: Sequence[Any]) -> Block:
    """Put records together that aiokafka has read."""
    data, places, at = [], np.empty(len(records), PLACE), 0
    for n, record in enumerate(records):
        key, value = record.key or b"", record.value or b""
        sizes = [-1 if found is None else len(found) for found in (record.key, record.value)]
        places[n] = record.offset, at, sizes[0], at + len(key), sizes[1]
        data += [key, value]
        at += len(key) + len(value)
    return Block(b"".join(data), places, records[-1].timestamp, records[-1].timestamp_type)


class RecordBatch:
    """One of aiokafka's, whose one record is a block."""

    def __init__(self, batch: Any, data: bytes, start: int, end: int) -> None:
        self._batch, self._data, self._start, self._end = batch, data, start, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # what is in a control batch

    def __iter__(self) -> Iterator[Block]:
        batch, data, start = self._batch, self._data, self._start
        if data[start + _FORMAT_AT] < 2:  # of Kafka before 0.11
            if records := list(batch):
                yield block_of(records)
            return
        count = int.from_bytes(data[start + _COUNT_AT : start + _RECORDS_AT], "big", signed=True)
        at, end = start + _RECORDS_AT, self._end
        if batch.compression_type:
            data = bytes(_DECODERS[batch.compression_type](data[at:end]))
            at, end = 0, len(data)
        if not 0 <= count <= (end - at) // _LEAST_RECORD:
            raise CorruptRecordException(f"A batch of {end - at} bytes says that it holds {count} records")
        places = np.empty(count, PLACE)
        if not unpack(np.frombuffer(data, np.uint8, end), at, batch.base_offset, places):
            raise CorruptRecordException(f"The records of the batch at {batch.base_offset} are not well formed")
        if count:
            yield Block(data, places, batch.max_timestamp, batch.timestamp_type)


class RecordBatches:
    """What was fetched of one partition."""

    def __init__(self, data: bytes) -> None:
        self._batches, self._data, self._at = MemoryRecords(data), data, 0

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return bool(self._batches.has_next())

    def size_in_bytes(self) -> int:
        """Size of all."""
        return len(self._data)

    def next_batch(self) -> RecordBatch | None:
        """Return the next one."""
        batch, start = self._batches.next_batch(), self._at
        if batch is None:
            return None
        length = int.from_bytes(self._data[start + _LENGTH_AT : start + _BEFORE_LENGTH], "big")
        self._at = start + _BEFORE_LENGTH + length
        return RecordBatch(batch, self._data, start, self._at)


class Records(list[Block]):
    """Blocks of one partition; as for aiokafka, its length is that of all their records."""

    def __len__(self) -> int:
        return sum(map(len, self))


class PartitionRecords(fetcher.PartitionRecords):
    """aiokafka's reader of what was fetched, by blocks."""

    _rest: Block | None = None  # of a block that did not go whole into the last poll

    def _consumer_record(self, tp: Any, record: Block) -> Block:
        """Leave out what lies before the position: a fetch begins with the batch that holds it."""
        first = int(np.searchsorted(record.places["offset"], self.next_fetch_offset))
        return record[first:] if first else record

    def take(self, most: int) -> Records:
        """Return the next blocks, all that is left if they are less than ``most`` records."""
        found = Records()
        while most > 0 and (block := self._rest or next(self, None)) is not None:
            found.append(block[:most])
            self._rest = block[most:] if len(block) > most else None
            most -= len(block)
            self.next_fetch_offset = found[-1].offset + 1
        return found


class FetchResult(fetcher.FetchResult):
    """aiokafka's partition in a poll, by blocks."""

    _partition_records: Any

    def getall(self, max_records: int) -> Records:
        """Return what there is, at most so many records."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return Records()
        records: PartitionRecords = self._partition_records
        found = records.take(max_records)
        self._update_position()
        if len(found) < max_records:
            self._partition_records = None
        return found
