"""The host of a stage's operators, without Faust or a broker."""

from collections.abc import Iterable
from typing import Any

import pytest

from streams.operator import ALERTS, Batch, Checkpoint, Record
from streams.runtime.batches import Handover
from streams.runtime.host import StageHost
from streams.runtime.restore import Restored
from streams.runtime.stats import StageStats


class Failed(Exception):
    """The process would have ended."""


def fail(message: str) -> None:
    """End the test's process, so to speak."""
    raise Failed(message)


class FakeOutputs:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def send(self, records: Iterable[Record], deliveries: Any) -> None:
        for record in records:
            deliveries.sent += 1
            self.records.append(record)


class Echo:
    """An operator that sends each value on and remembers the offsets."""

    stage = "accounts"

    def __init__(self, partition: int = 0) -> None:
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = {}
        self.offsets: list[int] = []
        self.finished = False
        self.idle = 0

    def on_batch(self, batch: Batch) -> list[Record]:
        self.offsets += batch.offsets
        return [Record(ALERTS, None, b"k", value or b"") for value in batch.values]

    def on_idle(self) -> list[Record]:
        self.idle += 1
        return []

    def on_end(self) -> list[Record]:
        self.finished = True
        return [Record(ALERTS, None, b"k", b"end")]

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        return Checkpoint([], b"", self.offsets[-1] + 1) if self.offsets else None

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        return None

    def gauges(self) -> dict[tuple[str, ...], float]:
        return {}


def batch(*offsets: int, partition: int = 0) -> Batch:
    """Records whose values are their offsets."""
    return Batch(partition, list(offsets), [None] * len(offsets), [b"%d" % offset for offset in offsets])


def host(next_offset: int = 0, limits: dict[int, int] | None = None) -> tuple[StageHost, Echo, FakeOutputs]:
    """A host with one partition."""
    outputs, operator = FakeOutputs(), Echo()
    made = StageHost("accounts", outputs, StageStats("accounts"), fail, limits)  # type: ignore[arg-type]  # a fake
    made.install({0: Restored(operator, next_offset, 0)})
    return made, operator, outputs


def test_a_batch_goes_to_its_operator_and_the_output_out():
    """Offsets move on, records are counted."""
    stage, operator, outputs = host()

    stage.on_batch(Handover(batch(0, 1, 2), 0))

    assert [0, 1, 2] == operator.offsets
    assert {0: 3} == stage.next_offset
    assert [b"0", b"1", b"2"] == [record.value for record in outputs.records]
    assert (1, 3, 3) == (stage.stats.batches, stage.stats.records, stage.stats.produced)


@pytest.mark.parametrize(("offsets", "expected"), [((3, 4, 5, 6), [5, 6]), ((3, 4), []), ((5, 8), [5, 8])])
def test_what_was_processed_before_is_not_processed_again(offsets: tuple[int, ...], expected: list[int]):
    """After a seek records come again; their beginning is cut off."""
    stage, operator, _ = host(next_offset=5)

    stage.on_batch(Handover(batch(*offsets), offsets[0]))

    assert expected == operator.offsets


def test_a_lost_batch_ends_the_process():
    """A batch that follows later ones than were processed is never taken in."""
    stage, operator, _ = host(next_offset=5)

    with pytest.raises(Failed, match="records 5 to 7 of partition 0 were lost"):
        stage.on_batch(Handover(batch(8, 9), 8))
    assert [] == operator.offsets


def test_a_hole_in_the_offsets_is_no_loss():
    """Compaction and transactions leave offsets without records."""
    stage, operator, _ = host(next_offset=5)

    stage.on_batch(Handover(batch(8, 9), 5))

    assert [8, 9] == operator.offsets


def test_records_of_other_partitions_and_after_the_close_are_left_alone():
    """They are read again by whoever has the partition next."""
    stage, operator, outputs = host()

    stage.on_batch(Handover(batch(0, partition=3), 0))
    stage.closed = True
    stage.on_batch(Handover(batch(0), 0))

    assert [] == operator.offsets
    assert [] == outputs.records
    assert {0: 0} == stage.next_offset


def test_the_end_of_input_is_told_once_and_nothing_after_it_is_read():
    """--drain: what is produced later belongs to the next run."""
    stage, operator, outputs = host(limits={0: 3})

    stage.end_input(0, 2)
    assert not operator.finished
    stage.on_batch(Handover(batch(0, 1, 2, 3, 4), 0))
    stage.end_input(0, stage.next_offset[0])
    stage.end_input(0, stage.next_offset[0])

    assert [0, 1, 2] == operator.offsets
    assert stage.finished()
    assert 1 == [record.value for record in outputs.records].count(b"end")


def test_what_comes_after_the_limit_is_no_loss():
    """--drain of a topic that is still written to: records after its end are left alone, however they are cut."""
    stage, operator, _ = host(limits={0: 3})

    stage.on_batch(Handover(batch(0, 1, 2, 3), 0))
    stage.on_batch(Handover(batch(4, 5), 4))

    assert [0, 1, 2] == operator.offsets
    assert {0: 3} == stage.next_offset


def test_a_limit_behind_offsets_without_records_is_reached():
    """The input may end with those of a transaction, and the batch that follows tells that nothing is left."""
    stage, operator, _ = host(limits={0: 3})

    stage.on_batch(Handover(batch(0, 1), 0))
    stage.on_batch(Handover(batch(3, 4), 2))
    stage.end_input(0, stage.next_offset[0])

    assert [0, 1] == operator.offsets
    assert operator.finished


def test_a_restored_operator_that_is_finished_is_not_told_again():
    """Its end is part of its state."""
    stage, operator, outputs = host(limits={0: 0})
    operator.finished = True

    stage.end_input(0, 0)

    assert [] == outputs.records


def test_idleness_is_declared_once_until_the_next_record():
    """A pause is told once, and again after more records."""
    stage, operator, _ = host()

    stage.declare_idle(0)
    stage.declare_idle(0)
    assert 0.0 == stage.quiet_s(0)
    stage.on_batch(Handover(batch(0), 0))
    stage.declare_idle(0)

    assert 2 == operator.idle


def test_a_checkpoint_waits_for_the_output_before_it_and_not_for_later_output():
    """Each capture closes the count of what was sent; what comes after counts for the next."""
    stage, _, _ = host()
    stage.on_batch(Handover(batch(0, 1), 0))

    capture = stage.capture(None)
    stage.on_batch(Handover(batch(2), 2))

    assert capture is not None
    assert 2 == capture.deliveries.sent
    assert not capture.deliveries.wait(0)
    for _ in range(2):
        capture.deliveries.on_delivery(None, None)
    assert capture.deliveries.wait(0)


def test_an_undelivered_record_ends_the_process():
    """Its input must not be committed."""

    class Refused:
        def str(self) -> str:
            return "Broker: too large"

    class Message:
        def topic(self) -> str:
            return "llm.alerts"

    stage, _, _ = host()
    stage.on_batch(Handover(batch(0), 0))
    capture = stage.capture(None)

    assert capture is not None
    with pytest.raises(Failed, match=r"Output to llm\.alerts cannot be delivered: Broker: too large"):
        capture.deliveries.on_delivery(Refused(), Message())  # type: ignore[arg-type]  # fakes


def test_nothing_changed_is_no_checkpoint():
    """No empty transactions."""
    stage, _, _ = host()

    assert stage.capture(None) is None


def test_partitions_that_moved_away_are_forgotten():
    """Counters stay, operators do not."""
    stage, _, _ = host()
    stage.clear()

    stage.on_batch(Handover(batch(0), 0))

    assert {} == stage.operators
    assert stage.capture(None) is None
    assert () == stage.stats.assigned
