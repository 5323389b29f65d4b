"""Event time of one source partition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.accounts.clock import CONFIRM_EVENTS, CONFIRM_EVENTS_ALONE, PartitionClock
from streams.config import Time
from streams.contracts.packets import NO_TIME

T = 1_789_030_800_000
FAR_MS = 600_000
LATENESS_MS = 5_000
YEAR_MS = 365 * 86_400_000


def started(at: int = T) -> PartitionClock:
    """Return a clock whose watermark is ``at``."""
    clock = PartitionClock(Time(lateness_ms=LATENESS_MS, far_ahead_ms=FAR_MS))
    for account in (1, 2, 1):
        clock.begin(at, account)
    assert clock.watermark == at
    return clock


def effective(clock: PartitionClock, *times: int, accounts: str = "") -> list[int]:
    """Take in events of the given accounts, a letter each; without any, all are of one."""
    names = np.array([ord(name) for name in accounts or "a" * len(times)], np.uint64)
    found: list[int] = clock.effective(np.array(times, np.int64), names).tolist()
    return found


def test_watermark_follows_the_largest_time():
    """The watermark is the largest event time so far minus the lateness, whatever comes after it."""
    clock = started()
    effective(clock, T + 20_000, T + 16_000)
    assert T + 20_000 - LATENESS_MS == clock.watermark


def test_watermark_never_goes_back():
    """Until events have passed the start by the lateness, the watermark stays where it began."""
    clock = started()
    effective(clock, T + 1, T + LATENESS_MS)
    assert T == clock.watermark


def test_late_event():
    """An event older than the watermark gets the watermark as its time, one at the watermark is not late."""
    clock = started()
    found = effective(clock, T + 20_000, T + 15_000, T + 14_999, T - YEAR_MS)
    assert [T + 20_000, T + 15_000, T + 15_000, T + 15_000] == found
    assert 2 == clock.late


def test_event_may_be_late_within_a_batch():
    """Lateness is judged record by record, not batch by batch."""
    clock = started()
    assert [T + 1, T + 60_000, T + 55_000] == effective(clock, T + 1, T + 60_000, T + 2)


def test_far_ahead_waits_for_confirmation():
    """One clock far ahead moves nothing; its event counts at the watermark plus the limit."""
    clock = started()
    assert [T + FAR_MS, T + 1] == effective(clock, T + YEAR_MS, T + 1)
    assert (T, 1) == (clock.watermark, clock.far)


def test_not_far_at_the_limit():
    """An event exactly the limit ahead moves the watermark at once."""
    clock = started()
    assert [T + FAR_MS] == effective(clock, T + FAR_MS)
    assert T + FAR_MS - LATENESS_MS == clock.watermark


def test_three_of_two_accounts_confirm():
    """Three in a row of two accounts move the watermark to the smallest of them; the third counts at its own time."""
    clock = started()
    times = (T + YEAR_MS + 7, T + YEAR_MS, T + YEAR_MS + 9)
    found = effective(clock, *times, accounts="aab")
    assert [T + FAR_MS, T + FAR_MS, T + YEAR_MS + 9] == found
    assert T + YEAR_MS == clock.watermark


def test_one_account_needs_ten():
    """One account alone is believed after ten in a row."""
    clock = started()
    effective(clock, *[T + YEAR_MS] * (CONFIRM_EVENTS_ALONE - 1))
    assert T == clock.watermark
    effective(clock, T + YEAR_MS)
    assert T + YEAR_MS == clock.watermark


def test_a_nearer_event_breaks_the_row():
    """What is far ahead must come in a row: an ordinary event between them starts the count anew."""
    clock = started()
    for name in "abcdef":
        effective(clock, T + YEAR_MS, T + 1, accounts=name + name)
    assert T == clock.watermark


def test_row_spans_batches():
    """Confirmation does not care where batches are cut."""
    clock = started()
    for name in "aab":
        effective(clock, T + YEAR_MS, accounts=name)
    assert T + YEAR_MS == clock.watermark


def test_confirmed_jump_may_be_followed_by_another():
    """After the jump, the limit is counted from the new watermark."""
    clock = started()
    effective(clock, *[T + YEAR_MS] * 3, accounts="abc")
    assert [T + YEAR_MS + FAR_MS] == effective(clock, T + 3 * YEAR_MS)


def test_begins_after_confirmation():
    """Before there is a watermark events wait for the same confirmation, so the first clock is not believed alone."""
    clock = PartitionClock(Time())
    assert not clock.begin(T + YEAR_MS, 1)
    assert not clock.begin(T, 2)
    assert clock.begin(T + 5, 2)
    assert T == clock.watermark
    assert [T + FAR_MS, T, T + 5] == clock.first_times(np.array([T + YEAR_MS, T, T + 5])).tolist()


def test_begins_with_one_account():
    """At most nine events wait, even if one account sends them all."""
    clock = PartitionClock(Time())
    assert [False] * (CONFIRM_EVENTS_ALONE - 1) + [True] == [clock.begin(T + i, 1) for i in range(CONFIRM_EVENTS_ALONE)]


def test_end_of_input_confirms_the_beginning():
    """The end of input believes what waits."""
    clock = PartitionClock(Time())
    clock.begin(T, 1)
    clock.confirm()
    assert T == clock.watermark


def test_nothing_to_confirm():
    """Without events there is no watermark to believe in."""
    clock = PartitionClock(Time())
    clock.confirm()
    assert NO_TIME == clock.watermark


def plain(clock: PartitionClock, events: list[tuple[int, str]]) -> list[int]:
    """Say the rules once more, one event at a time and with nothing but their words."""
    out = []
    watermark, row = clock.watermark, []
    for time, account in events:
        if time - watermark > FAR_MS:
            row.append((time, account))
            accounts = {name for _, name in row}
            if len(row) >= (CONFIRM_EVENTS if len(accounts) > 1 else CONFIRM_EVENTS_ALONE):
                watermark = min(time for time, _ in row)
                row = []
            out.append(min(time, watermark + FAR_MS))
            continue
        row = []
        out.append(max(time, watermark))
        watermark = max(watermark, time - LATENESS_MS)
    return [*out, watermark]


steps = st.sampled_from([-YEAR_MS, -10_000, -6_000, -4_000, 0, 1, 3_000, 599_000, FAR_MS, FAR_MS + 6_000, YEAR_MS])


@given(st.lists(st.tuples(steps, st.sampled_from("ab")), max_size=60), st.data())
def test_rules_hold_however_batches_are_cut(events, data):
    """Cut anywhere, the clock does what the rules say, and its state goes through a dump."""
    events = [(T + i * 500 + step, name) for i, (step, name) in enumerate(events)]
    cuts = sorted({0, len(events), *data.draw(st.lists(st.integers(0, len(events)), max_size=5))})
    clock = started()
    expected = plain(clock, events)
    found = []
    for start, stop in itertools.pairwise(cuts):
        part = events[start:stop]
        found += effective(clock, *(time for time, _ in part), accounts="".join(name for _, name in part))
        again = PartitionClock(Time(lateness_ms=LATENESS_MS, far_ahead_ms=FAR_MS))
        again.load(clock.dump())
        clock = again
    assert expected == [*found, clock.watermark]


@pytest.mark.parametrize("time", [0, 1, 2**62])
def test_absurd_times(time):
    """The smallest and the largest times overflow nothing."""
    clock = started()
    assert [max(T, min(time, T + FAR_MS))] == effective(clock, time)
