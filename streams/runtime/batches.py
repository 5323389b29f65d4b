"""Hand Faust whole batches of one partition instead of single records.

Faust spends about 100 us on a message, whatever is in it. One message here stands for up to `batch_max_events` records,
so that this is paid once a batch: 9,600 events/s become over 100,000 (measured on Kafka 4.1, two cores).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from faust import Schema
from faust.transport.utils import DefaultSchedulingStrategy

from streams.cells import Cells
from streams.contracts.xxh3 import PADDING
from streams.operator import Batch
from streams.rows import joined
from streams.runtime.blocks import Block


class Handover(NamedTuple):
    """A batch, and the offset below which everything of its partition was handed over before."""

    batch: Batch
    follows: int


class Chunk:
    """Consecutive records of one partition, with the attributes of a record that Faust reads."""

    __slots__ = (
        "batch",
        "checksum",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(self, tp: Any, blocks: list[Block]) -> None:
        last = blocks[-1]
        self.batch = batch_of(tp.partition, blocks)
        self.topic = tp.topic
        self.partition = tp.partition
        self.offset = last.offset
        self.timestamp = last.timestamp
        self.timestamp_type = last.timestamp_type
        self.headers = ()
        self.key = None
        self.value: Handover | None = None  # set when it is handed over
        self.checksum = None
        self.serialized_key_size = 0
        self.serialized_value_size = 0


def batch_scheduler(max_events: int) -> type[DefaultSchedulingStrategy]:
    """Return Faust's round robin over partitions, each turn being a chunk of at most ``max_events`` records."""

    class BatchScheduler(DefaultSchedulingStrategy):
        @classmethod
        def map_from_records(cls, records: Mapping[Any, list[Block]]) -> Any:
            chunks = {tp: _chunks(tp, found, max_events) for tp, found in records.items()}
            return super().map_from_records(chunks)

    return BatchScheduler


def _chunks(tp: Any, blocks: list[Block], max_events: int) -> list[Any]:
    chunks: list[Chunk] = []
    parts: list[Block] = []
    room = max_events
    for block in blocks:
        start = 0
        while start < len(block):
            parts.append(block[start : start + room])
            start += len(parts[-1])
            room -= len(parts[-1])
            if not room:
                chunks.append(Chunk(tp, parts))
                parts, room = [], max_events
    return [*chunks, Chunk(tp, parts)] if parts else chunks


def batch_of(partition: int, blocks: list[Block]) -> Batch:
    """Copy blocks into one buffer."""
    pieces: list[memoryview | bytes] = []
    columns = []
    length = 0
    for block in blocks:
        places = block.places.copy()
        start = int(places["key_at"][0])
        end = int(places["value_at"][-1]) + max(0, int(places["value_size"][-1]))
        pieces.append(memoryview(block.data)[start:end])
        places["key_at"] += length - start
        places["value_at"] += length - start
        columns.append(places)
        length += end - start
    text = bytearray().join([*pieces, PADDING])
    found = joined(columns)
    offsets: Sequence[int] = range(int(found["offset"][0]), int(found["offset"][-1]) + 1)
    if len(offsets) != found.size:  # there are gaps
        offsets = found["offset"].tolist()
    keys, values = (
        Cells(text, np.ascontiguousarray(found[at]), np.ascontiguousarray(found[size]))
        for at, size in (("key_at", "key_size"), ("value_at", "value_size"))
    )
    return Batch(partition, offsets, keys, values)


class BatchSchema(Schema[Any, Any]):
    """Pass a handover on as it is: decoding is the operator's work, so that one bad record never fails its batch."""

    def compile(self, app: Any, **_: Any) -> Any:
        """Return Faust's decoding function; its errors cannot happen here."""
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, message.headers, message)

        return decode
