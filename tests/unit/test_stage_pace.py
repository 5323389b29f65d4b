"""How often a stage takes a checkpoint: every second while that is cheap, more seldom while it is not."""

import pytest

from streams.runtime.stage import CAPTURE_SHARE_BEHIND, LONGEST_PAUSE_S, pause_s


def test_a_cheap_checkpoint_comes_again_within_the_second():
    """At low load nothing changes: the timer's second is the longer pause."""
    assert pause_s(0.005, more=False) <= 1.0


def test_a_dear_checkpoint_costs_a_hundredth_of_the_time():
    """Holding processing up for 40 ms buys 4 s of work."""
    assert pytest.approx(4.0) == pause_s(0.04, more=False)


def test_no_pause_is_longer_than_a_crash_may_repeat():
    """However dear, within 10 s there is one."""
    assert LONGEST_PAUSE_S == pause_s(3.0, more=False) == pause_s(3.0, more=True)


def test_what_is_left_over_is_written_soon():
    """Changes that did not fit hold back what a restart may skip: they may cost ten times as much."""
    assert pytest.approx(0.25 / CAPTURE_SHARE_BEHIND) == pause_s(0.25, more=True)
