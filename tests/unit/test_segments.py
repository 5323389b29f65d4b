"""An append-only log as numbered state records."""

import numpy as np
import pytest

from streams.errors import StateError
from streams.segments import SEGMENT_BYTES, SegmentLog

ROW = np.dtype([("value", "<i8"), ("time", "<i8")])
LIMIT = SEGMENT_BYTES // ROW.itemsize


def rows(start: int, n: int, time: int = 0) -> np.ndarray:
    out = np.empty(n, ROW)
    out["value"], out["time"] = np.arange(start, start + n), time
    return out


class Topic:
    """A compacted topic: the last value of each key."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def write(self, records: list[tuple[bytes, bytes | None]]) -> int:
        for key, value in records:
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = value
        return len(records)

    def read(self) -> tuple[SegmentLog, list[int]]:
        log = SegmentLog(b"x", ROW)
        return log, log.restore(self.records)["value"].tolist()


def test_rows_come_back_in_order():
    """What was appended is restored in the order it was appended, over many records and checkpoints."""
    log, topic = SegmentLog(b"x", ROW), Topic()
    n = 0
    for size in (1, LIMIT - 1, 2 * LIMIT + 5, 3, LIMIT):
        log.append(rows(n, size))
        n += size
        topic.write(log.checkpoint(-1))
    assert list(range(n)) == topic.read()[1]
    assert n == log.rows


def test_full_records_are_written_once():
    """A checkpoint writes the newest record and those that became full, and nothing if nothing is new."""
    log, topic = SegmentLog(b"x", ROW), Topic()
    log.append(rows(0, 3 * LIMIT + 1))
    assert 4 == topic.write(log.checkpoint(-1))
    log.append(rows(0, 1))
    assert 1 == topic.write(log.checkpoint(-1))
    assert [] == log.checkpoint(-1)


def test_old_records_are_deleted():
    """Full records that end before the horizon get a tombstone; the open one stays."""
    log, topic = SegmentLog(b"x", ROW), Topic()
    for time in (10, 20, 30):
        log.append(rows(time, LIMIT, time))
    log.append(rows(40, 2, 40))
    topic.write(log.checkpoint(-1))
    topic.write(log.checkpoint(25))
    assert 2 == len(topic.records)
    assert LIMIT + 2 == log.rows == len(topic.read()[1])


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1])
def test_goes_on_after_a_restore(size):
    """A restored log appends where the old one stopped, whether or not its last record was full."""
    log, topic = SegmentLog(b"x", ROW), Topic()
    log.append(rows(0, size))
    topic.write(log.checkpoint(-1))
    again, _ = topic.read()
    again.append(rows(size, 5))
    topic.write(again.checkpoint(-1))
    assert list(range(size + 5)) == topic.read()[1]


def test_a_log_is_replaced_in_several_steps():
    """Rows come after those they replace, and at the end the old records go; the log goes on from there."""
    log, topic = SegmentLog(b"x", ROW), Topic()
    log.append(rows(0, 2 * LIMIT + 7))
    topic.write(log.checkpoint(-1))
    first = log.close()
    log.append(rows(100, 5))
    topic.write(log.checkpoint(-1))
    assert [*range(2 * LIMIT + 7), *range(100, 105)] == topic.read()[1]
    log.append(rows(105, 1))
    topic.write([*log.drop(first), *log.checkpoint(-1)])
    assert list(range(100, 106)) == topic.read()[1]
    assert 6 == log.rows


def test_a_closed_record_is_known_after_a_restore():
    """A record that was closed before it was full can be dropped, and ages, as the others."""
    log, topic = SegmentLog(b"x", ROW), Topic()
    log.append(rows(0, 7, 10))
    topic.write(log.checkpoint(-1))
    log.close()
    log.append(rows(7, 2, 30))
    topic.write(log.checkpoint(-1))
    again, found = topic.read()
    assert list(range(9)) == found
    assert [(b"x000000000000", None)] == again.checkpoint(20)
    assert 2 == again.rows


def test_malformed_record():
    """Bytes that are no whole rows are a `StateError`."""
    with pytest.raises(StateError, match="malformed"):
        SegmentLog(b"x", ROW).restore({b"x000000000000": b"12345"})
