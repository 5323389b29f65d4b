"""How offsets get from Faust to the operators: chunks, what they follow, and what must never pass."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.runtime.batches import BatchSchema, Chunk, Handover, batch_scheduler
from streams.runtime.blocks import Block, Records, block_of
from streams.runtime.transport import Consumer

ONE, TWO = TP("in", 0), TP("in", 1)


def block(*offsets: int) -> Block:
    """Records of these offsets."""
    return block_of(
        [SimpleNamespace(offset=n, key=b"k", value=b"%d" % n, timestamp=1, timestamp_type=0) for n in offsets]
    )


def records(*offsets: int) -> Records:
    """What aiokafka hands out of a partition."""
    return Records([block(*offsets)])


class FakeConsumer(Consumer):
    """The consumer without its base: `fetches` are what aiokafka hands out, `sought` is where it was sent."""

    def __init__(self, fetches: list[Mapping[TP, Records]], next_offsets: dict[int, int]) -> None:
        hooks: Any = SimpleNamespace(topic="in", next_offsets=lambda: next_offsets, on_fetch=lambda: None)
        self.hooks = hooks
        self.held = frozenset()
        self._fetching = asyncio.Lock()
        self._seeks = self._round = 0
        self._fetched, self._follows, self._reached = {}, {}, {}
        self._read_offset = {}
        self.fetches = iter(fetches)
        self.sought: list[dict[TP, int]] = []
        self.app = SimpleNamespace(consumer_generation_id=1)

    def _positions(self) -> dict[TP, int]:
        return {}

    async def _fetch(self, active_partitions: Any, timeout: float) -> Any:
        return next(self.fetches)

    async def seek_wait(self, partitions: Any) -> None:
        self.sought.append(dict(partitions))

    async def handovers(self, max_events: int = 2, hand_over: int = 1_000) -> list[Handover | None]:
        """One round of getmany; only the first ``hand_over`` chunks are converted, as when Faust breaks off."""
        fetched = await self._getmany({ONE, TWO}, 1.0)
        chunks = batch_scheduler(max_events)().iterate(fetched)
        return [self._to_message(tp, chunk).value for (tp, chunk), _ in zip(chunks, range(hand_over), strict=False)]


def test_a_chunk_has_what_faust_reads_of_a_record():
    """Offsets, keys and values in order; its own offset is the last one's."""
    chunk = Chunk(ONE, [block(3, 4), block(7)])

    found = chunk.batch
    assert (0, [3, 4, 7], [b"k"] * 3) == (found.partition, found.offsets, list(found.keys))
    assert [b"3", b"4", b"7"] == list(found.values)
    assert (7, "in", 0) == (chunk.offset, chunk.topic, chunk.partition)


def test_chunks_take_turns_and_keep_the_order_of_their_partition():
    """Round robin over partitions; none has more than the given number of records."""
    fetched = {ONE: Records([block(0), block(1, 2, 3), block(4)]), TWO: Records([block(9)])}

    chunks = [(tp, list(chunk.batch.offsets)) for tp, chunk in batch_scheduler(2)().iterate(fetched)]

    assert [(ONE, [0, 1]), (TWO, [9]), (ONE, [2, 3]), (ONE, [4])] == chunks


def test_the_schema_passes_the_handover_on():
    """Nothing is decoded, so nothing can fail before the operator sees it."""
    app = SimpleNamespace(create_event=lambda *arguments: arguments)
    message = SimpleNamespace(value="handover", headers=())

    event = asyncio.run(BatchSchema().compile(app)(message, propagate=True))

    assert (None, "handover", (), message) == event


def test_every_chunk_says_what_it_follows():
    """From the seek on the chunks form a chain, over fetches and over holes in the offsets."""

    async def run() -> list[Handover | None]:
        fetches = [{ONE: records(5, 6, 9)}, {ONE: records(20)}]
        consumer = FakeConsumer(fetches, {0: 5})
        await consumer.perform_seek()
        return [*await consumer.handovers(), *await consumer.handovers()]

    chain = [(each.follows, list(each.batch.offsets)) for each in asyncio.run(run()) if each]

    assert [(5, [5, 6]), (7, [9]), (10, [20])] == chain


def test_records_that_faust_drops_leave_a_hole_that_shows():
    """If Faust breaks off in the middle of a fetch, the next chunk follows more than was handed over."""

    async def run() -> list[Handover | None]:
        consumer = FakeConsumer([{ONE: records(*range(6))}, {ONE: records(6)}], {0: 0})
        await consumer.perform_seek()
        return [*await consumer.handovers(hand_over=1), *await consumer.handovers()]

    first, second = asyncio.run(run())

    assert first is not None
    assert second is not None
    assert [0, 1] == list(first.batch.offsets)
    assert 6 == second.follows


def test_what_was_fetched_before_a_seek_is_not_handed_over():
    """It is read again after the seek."""

    async def run() -> list[Handover | None]:
        consumer = FakeConsumer([{ONE: records(50)}, {ONE: records(5)}], {0: 5})
        fetched = await consumer._getmany({ONE}, 1.0)
        await consumer.perform_seek()
        stale = [consumer._to_message(tp, chunk).value for tp, chunk in batch_scheduler(2)().iterate(fetched)]
        return [*stale, *await consumer.handovers()]

    stale, fresh = asyncio.run(run())

    assert stale is None
    assert fresh is not None
    assert 5 == fresh.follows


def test_nothing_is_handed_over_before_the_first_seek():
    """Until its state is restored a partition's records are nobody's."""

    async def run() -> list[Handover | None]:
        return await FakeConsumer([{ONE: records(5)}], {}).handovers()

    assert [None] == asyncio.run(run())


def revoke(consumer: FakeConsumer) -> None:
    """What is called once the last checkpoint is written."""
    consumer._forget_fetched()


def test_nothing_is_handed_over_between_a_revocation_and_the_next_seek():
    """However often Faust fetches meanwhile: it goes on from the committed offsets, not from the operators' own."""

    async def run() -> list[Handover | None]:
        consumer = FakeConsumer([{ONE: records(n)} for n in (5, 3, 4, 5)], {0: 5})
        await consumer.perform_seek()
        before = await consumer.handovers()
        revoke(consumer)
        between = [*await consumer.handovers(), *await consumer.handovers()]
        await consumer.perform_seek()
        return [*before, *between, *await consumer.handovers()]

    before, *between, after = asyncio.run(run())

    assert [None, None] == between
    assert before is not None
    assert after is not None
    assert (5, 5) == (before.follows, after.follows)


def test_a_seek_during_which_the_partitions_are_revoked_counts_for_nothing():
    """Their records are nobody's until the next one."""

    class Revoked(FakeConsumer):
        async def seek_wait(self, partitions: Any) -> None:
            if not self.sought:
                revoke(self)
            await super().seek_wait(partitions)

    async def run() -> list[Handover | None]:
        consumer = Revoked([{ONE: records(5)}, {ONE: records(5)}], {0: 5})
        await consumer.perform_seek()
        found = await consumer.handovers()
        await consumer.perform_seek()
        return [*found, *await consumer.handovers()]

    between, after = asyncio.run(run())

    assert between is None
    assert after is not None


def test_positions_of_before_a_revocation_say_nothing_of_what_is_done():
    """What was read before it is read again."""
    consumer = FakeConsumer([], {})
    consumer._fetched, consumer._reached = {ONE: 10}, {ONE: 12}

    revoke(consumer)
    consumer._fetched = {ONE: 10}

    assert 10 == consumer.done_to(ONE, 10)


def test_the_seek_goes_where_the_operators_need_it():
    """Not to the committed offsets; offset 0 included."""

    async def run() -> FakeConsumer:
        consumer = FakeConsumer([], {0: 0, 1: 7})
        await consumer.perform_seek()
        return consumer

    assert [{ONE: 0, TWO: 7}] == asyncio.run(run()).sought


@pytest.mark.parametrize(("next_offset", "expected"), [(9, 9), (10, 12)])
def test_offsets_without_records_are_passed_once_everything_before_is_done(next_offset: int, expected: int):
    """The end of a transaction takes an offset that no operator ever sees."""
    consumer = FakeConsumer([], {})
    consumer._fetched, consumer._reached = {ONE: 10}, {ONE: 12}

    assert expected == consumer.done_to(ONE, next_offset)
