"""When a worker counts as stuck, and what it says has stood still."""

import pytest

from streams.runtime.liveness import Liveness, Watched
from streams.runtime.stats import HostStats, StageStats

LIMIT_S = 60.0


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


def working() -> tuple[HostStats, StageStats, StageStats]:
    """Two stages with records that wait."""
    stages = [StageStats(name, ready=True, assigned=(0,), lag={0: 5}) for name in ("accounts", "tokens")]
    return HostStats(stages={each.stage: each for each in stages}), stages[0], stages[1]


@pytest.mark.parametrize("waited_s", [0, 30, 58])
def test_a_batch_that_hangs_is_told_as_such_whoever_would_notice_first(waited_s: int):
    """The loop's last beat and the records that wait in both stages are older than the batch that holds all up."""
    stats, accounts, _ = working()
    liveness = Liveness(LIMIT_S)
    began = 1_000.0 + waited_s
    before = {liveness.reason(stats, 1_000.0 + each, 1_000.0 + each) for each in range(waited_s)}
    accounts.batch_began = began
    reasons = [liveness.reason(stats, began - 0.2, began + 0.5 + each) for each in range(70)]

    assert before <= {""}
    assert "accounts: a batch has not been finished for 60 s; the event loop hangs in it." == next(
        filter(None, reasons)
    )
    assert accounts.stuck


def test_a_loop_that_stands_still_outside_of_batches_is_told_as_such():
    """No batch is under way, and no timer runs."""
    stats, accounts, _ = working()
    liveness = Liveness(LIMIT_S)

    reasons = [liveness.reason(stats, 1_000.0, 1_000.5 + each) for each in range(70)]

    assert "The event loop has stood still for 60 s, in no batch." == next(filter(None, reasons))
    assert not accounts.stuck


def test_a_stage_that_gets_no_batch_is_told_as_such():
    """The loop runs and the other stage works, but records of one wait."""
    stats, accounts, tokens = working()
    liveness = Liveness(LIMIT_S)

    reasons = []
    for now in range(1_000, 1_070):
        accounts.batches += 1
        accounts.batch_began = now - 0.01  # one is always under way
        reasons.append(liveness.reason(stats, now - 0.1, float(now)))

    assert "tokens: no batch was finished for 61 s though records wait." == next(filter(None, reasons))
    assert (False, True) == (accounts.stuck, tokens.stuck)
