"""Waiting for all sources, dropping repeats, and going on after a restore."""

import numpy as np
import pytest

from streams.contracts.packets import ENDED, IDLE, NO_TIME, RUNNING
from streams.ticks import TickBuffer

ITEM = np.dtype([("offset", "<i8"), ("time", "<i8")])
TICK_MS = 1_000


class Feeder:
    """A buffer with a counter of input records."""

    def __init__(self, sources: int = 2) -> None:
        self.buffer = TickBuffer(sources, TICK_MS)

    def add(self, source, items, watermark, last=None, status=RUNNING):
        """Add a record of (offset, time) items."""
        column = np.array(items, ITEM)
        last = last if last is not None else max((time for _, time in items), default=NO_TIME)
        self.buffer.add(self.buffer.next_offset, source, watermark, last, status, [column])

    def act(self):
        """Take what is due, as sorted pairs; None if nothing is."""
        until = self.buffer.due()
        if until is None:
            return None
        taken = self.buffer.take(until)
        return sorted(item for column in taken for item in column.tolist())


def test_waits_for_the_slowest_source():
    """A tick is over once the watermark of every source has passed its end."""
    feed = Feeder()
    feed.add(0, [(1, 500)], 9_000)
    assert feed.act() is None
    feed.add(1, [(1, 700)], 1_000)
    assert feed.act() == []  # ticks up to 0 are over: nothing in them
    feed.add(1, [], 1_001, last=700)
    assert [(1, 500), (1, 700)] == feed.act()
    assert 1_000 == feed.buffer.done


def test_end_belongs_to_the_tick():
    """A tick is (start, end]: an item at its end is in it, one a millisecond later in the next."""
    feed = Feeder(1)
    feed.add(0, [(1, 1_000), (2, 1_001)], 1_002)
    assert [(1, 1_000)] == feed.act()
    assert 1 == len(feed.buffer)


def test_repeated_items_are_dropped():
    """Items at or below the highest offset seen of their source are repeats, however the records were cut."""
    feed = Feeder(1)
    feed.add(0, [(1, 100), (2, 200)], 300)
    feed.add(0, [(2, 200), (3, 300)], 400)
    feed.add(0, [(1, 100)], 400)
    feed.add(0, [(4, 400)], 5_000)
    assert [(1, 100), (2, 200), (3, 300), (4, 400)] == feed.act()
    assert 2 == feed.buffer.repeated


def test_offsets_of_sources_are_their_own():
    """What one source has sent says nothing about the other's offsets."""
    feed = Feeder()
    feed.add(0, [(9, 100)], 5_000)
    feed.add(1, [(1, 200)], 5_000)
    assert [(1, 200), (9, 100)] == feed.act()


def test_idle_source_holds_nobody_up():
    """An idle source does not count; when it comes back, what it sends for a tick that is over moves to the next."""
    feed = Feeder()
    feed.add(1, [], NO_TIME, status=IDLE)
    feed.add(0, [(1, 500)], 3_500)
    assert [(1, 500)] == feed.act()
    feed.add(1, [(1, 600)], 3_600)
    feed.add(0, [], 9_000, last=500)
    assert feed.act() is None  # up to 3,000, which is acted on
    feed.add(1, [], 9_000, last=600)
    assert [(1, 3_001)] == feed.act()
    assert 1 == feed.buffer.forced


def test_end_of_input_closes_the_last_tick_and_no_later_one():
    """Once all have ended, the tick that holds the largest time is over, whatever the watermarks are."""
    feed = Feeder()
    feed.add(0, [(1, 4_200)], 10, status=ENDED)
    assert not feed.buffer.ended
    feed.add(1, [(1, 100)], 10, status=ENDED)
    assert [(1, 100), (1, 4_200)] == feed.act()
    assert (True, 5_000) == (feed.buffer.ended, feed.buffer.done)


def test_no_input_ends_too():
    """Sources that end without an item leave nothing due."""
    feed = Feeder()
    feed.add(0, [], NO_TIME, status=ENDED)
    feed.add(1, [], NO_TIME, status=ENDED)
    assert feed.buffer.ended
    assert feed.buffer.due() is None


def restored(old: TickBuffer, sources: int = 2) -> Feeder:
    feed = Feeder(sources)
    feed.buffer.restore(old.position())
    return feed


def test_restore_goes_on_at_the_oldest_waiting_record():
    """After a restore the oldest record with waiting items comes again; what was acted on is not acted on twice."""
    feed = Feeder()
    feed.add(0, [(1, 100)], 200)
    feed.add(0, [(2, 900), (3, 1_500)], 1_600)
    feed.add(1, [(1, 950)], 1_100)
    assert [(1, 100), (1, 950), (2, 900)] == feed.act()

    again = restored(feed.buffer)
    assert 1 == again.buffer.next_offset
    again.add(0, [(2, 900), (3, 1_500)], 1_600)
    again.add(1, [(1, 950)], 1_100)
    assert again.act() is None
    again.add(0, [], 3_000, last=1_500)
    again.add(1, [], 3_000, last=950)
    assert [(3, 1_500)] == again.act()
    assert 0 == again.buffer.forced


def test_position_of_a_buffer_that_reads_again():
    """A checkpoint taken while a restored buffer is still reading again forgets nothing that its state holds."""
    feed = Feeder()
    feed.add(0, [(1, 1_500)], 1_600)
    feed.add(0, [(2, 900)], 1_600)
    feed.add(1, [(1, 950)], 1_100)
    assert [(1, 950), (2, 900)] == feed.act()

    again = restored(feed.buffer)
    again.add(0, [(1, 1_500)], 1_600)
    third = restored(again.buffer)
    third.add(0, [(1, 1_500)], 1_600)
    third.add(0, [(2, 900)], 1_600)
    third.add(1, [(1, 950)], 3_000)
    third.add(0, [], 3_000, last=1_500)
    assert [(1, 1_500)] == third.act()


def test_position_of_an_empty_buffer():
    """With nothing waiting, a restore goes on with the next record and knows what was seen."""
    feed = Feeder()
    feed.add(0, [(5, 100)], 2_000)
    feed.add(1, [(7, 100)], 2_000)
    feed.act()
    again = restored(feed.buffer)
    assert 2 == again.buffer.next_offset
    again.add(0, [(5, 100), (6, 2_500)], 9_000)
    again.add(1, [(7, 100)], 9_000)
    assert [(6, 2_500)] == again.act()
    assert 2 == again.buffer.repeated


@pytest.mark.parametrize("sources", [1, 4])
def test_other_number_of_sources(sources):
    """A position of another number of sources restores what both have."""
    feed = Feeder()
    feed.add(0, [(5, 100)], 2_000)
    again = restored(feed.buffer, sources)
    assert sources == len(again.buffer.sources)
