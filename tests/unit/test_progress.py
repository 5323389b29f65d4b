"""Which partitions wait for which while catching up, and when a stage counts as stuck."""

import pytest

from streams.runtime.progress import Progress, too_far_ahead
from streams.runtime.stats import StageStats
from streams.runtime.worker import Watched

MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        pytest.param({0: Progress(100), 1: Progress(200)}, {}, set(), id="close together"),
        pytest.param({0: Progress(0), 1: Progress(MINUTE_MS)}, {}, set(), id="just as far as allowed"),
        pytest.param({0: Progress(0), 1: Progress(MINUTE_MS + 1)}, {}, {1}, id="too far ahead of ours"),
        pytest.param({1: Progress(9e9)}, {0: Progress(0)}, {1}, id="too far ahead of another worker's"),
        pytest.param({1: Progress(9e9)}, {0: Progress(0, idle=True)}, set(), id="the slow one is idle"),
        pytest.param({1: Progress(9e9)}, {}, {1}, id="nothing is known of the other"),
        pytest.param({1: Progress(9e9)}, {0: Progress()}, {1}, id="the other has read nothing yet"),
        pytest.param({1: Progress(9e9)}, {0: Progress(None, idle=True)}, set(), id="the other is empty"),
        pytest.param({0: Progress(9e9), 1: Progress()}, {}, {0}, id="ours has read nothing yet"),
        pytest.param({0: Progress(9e9)}, {0: Progress(0), 1: Progress(9e9)}, set(), id="what we published is outdated"),
    ],
)
def test_too_far_ahead(own: dict[int, Progress], others: dict[int, Progress], expected: set[int]):
    """Only what is more than the limit ahead of the slowest with something to read, and never the slowest itself."""
    assert expected == too_far_ahead(own, others, 2, MINUTE_MS)


def test_a_stage_is_stuck_when_records_wait_and_no_batch_is_finished():
    """A batch, an empty lag or an unfinished restore start the count anew."""
    stats, watched = StageStats("accounts"), Watched()
    stats.ready, stats.assigned, stats.lag = True, (0, 1), {0: 5, 1: 0}

    seen = [watched.stuck_s(stats, 100.0), watched.stuck_s(stats, 130.0)]
    stats.batches += 1
    seen += [watched.stuck_s(stats, 140.0), watched.stuck_s(stats, 170.0)]
    stats.lag = {0: 0, 1: 0}
    seen += [watched.stuck_s(stats, 180.0)]
    stats.lag = {0: 1}
    seen += [watched.stuck_s(stats, 190.0)]
    stats.ready = False
    seen += [watched.stuck_s(stats, 300.0)]

    assert [0.0, 30.0, 0.0, 30.0, 0.0, 10.0, 0.0] == seen


def test_a_stage_that_is_held_back_is_not_stuck():
    """Partitions too far ahead of the others have nothing to do; one that is not held counts."""
    stats, watched = StageStats("accounts"), Watched()
    stats.ready, stats.assigned, stats.lag, stats.held = True, (0, 1), {0: 5, 1: 5}, frozenset({0, 1})
    watched.stuck_s(stats, 0.0)

    all_held = watched.stuck_s(stats, 100.0)
    stats.held = frozenset({1})

    assert 0.0 == all_held
    assert 50.0 == watched.stuck_s(stats, 150.0)
