"""Which exchanges of a tick are looked at one by one, and the table that these are looked up in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.accounts.features import LAYOUT
from streams.campaigns.singles import _matter
from streams.campaigns.state import UNWATCHED, Levels
from streams.campaigns.table import CHUNK_ROWS, DAY_MS, AccountTable
from streams.campaigns.watches import MATTERS, TRIGGER, TRIGGER_WITH, Watch
from streams.contracts.packets import SIGNAL, Introduction
from streams.errors import StateError
from streams.state import pack, unpack

LIMIT = 10.0
LEVELS = st.sampled_from([UNWATCHED, 0.0, 9.9, LIMIT, 11.0])
BINS = st.lists(st.sampled_from([int(bits) for bits in (TRIGGER, TRIGGER_WITH, MATTERS, 1)]), max_size=3)


@given(st.lists(LEVELS, min_size=1, max_size=8), st.lists(st.tuples(st.integers(0, 7), BINS)))
def test_what_matters(levels, exchanges):
    """As masks over whole columns have it: what may begin a watch or change one, and all of who is at the limit."""
    levels, rows = np.array(levels, np.float32), np.array([row for row, _ in exchanges], np.int32) % len(levels)
    signals = np.zeros(len(exchanges), SIGNAL)
    signals["bins"] = [sum(set(bits)) for _, bits in exchanges]
    bins, level = signals["bins"], levels[rows]
    expected = ((bins & TRIGGER) != 0) & ((bins & TRIGGER_WITH) != 0)
    expected |= (level > UNWATCHED) & ((bins & MATTERS) != 0)
    expected |= level >= LIMIT

    assert np.flatnonzero(expected).tolist() == _matter(signals, rows, levels, LIMIT).tolist()


def test_levels_reach_every_row():
    """There is a level for each row of the table, however it has grown."""
    levels = Levels()
    levels.set(3, 5.0)

    found = levels.upto(100_000)

    assert 100_000 <= found.size
    assert 5.0 == found[3]
    assert UNWATCHED == found[99_999]


def test_the_last_introduction_counts():
    """Of several introductions of one account in a tick the last stays, and mail domains are counted once."""
    table = AccountTable()

    table.introduce(
        [Introduction(1, 1, 7, "a", 5, "pro", 10, 3), Introduction(2, 2, 7, "a", 6, "Free", 11 * DAY_MS, 4)]
    )

    assert [(7, 6, 4, 11, 1)] == [tuple(map(int, table.used[0][["hash", "org", "mail", "created", "plan"]]))]
    assert {4: 1} == {mail: n for mail, n in table.mail_accounts.items() if mail and n}


@pytest.mark.parametrize(("created_ms", "held"), [(0, 0), (-1, 0), (DAY_MS, 1), (2**62, 65_535)])
def test_an_age_out_of_range_is_held_at_the_limit(created_ms: int, held: int):
    """The day on which an account was made fits in 16 bits, whatever a request says of it."""
    table = AccountTable()

    table.introduce([Introduction(1, 1, 7, "a", 5, "pro", created_ms, 3)])

    assert held == table.used[0]["created"]


def test_small_counters_stop_at_their_limit():
    """Visits and countries stop where their numbers end, and never begin again at nothing."""
    table = AccountTable()
    at = table.insert(np.array([7], np.uint64))
    row = table.used[0]
    row["visits"], row["countries"], row["exchanges"] = 65_535, 255, 70_000
    exchange = np.zeros(1, SIGNAL)
    exchange["time"] = 1
    exchange["bins"] = (9 << LAYOUT["gap"][0]) | (1 << LAYOUT["new_country"][0])

    table.absorb(at, exchange)

    assert (65_535, 255, 70_001) == tuple(int(table.used[0][name]) for name in ("visits", "countries", "exchanges"))


def test_a_checkpoint_has_the_chunks_that_changed():
    """New accounts, introductions and exchanges mark the chunk of their row, and no other."""
    table, hashes = AccountTable(), np.arange(1, 3 * CHUNK_ROWS, dtype=np.uint64)

    def changed():
        return [chunk for chunk, _ in table.checkpoint()]

    table.insert(hashes)
    assert [0, 1, 2] == changed()
    table.absorb(table.insert(hashes[CHUNK_ROWS : CHUNK_ROWS + 1]), np.zeros(1, SIGNAL))
    assert [1] == changed()
    table.introduce([Introduction(1, 1, 1, "a", 0, "", 0, 0)])
    assert [0] == changed()
    table.insert(hashes[:1] + hashes[-1])
    assert [2] == changed()
    for _ in range(2):
        table.suspect(np.array([3, CHUNK_ROWS]), 7 * 3_600_000)
    assert [0, 1] == changed()
    table.suspect(np.array([3, CHUNK_ROWS + 1]), 7 * 3_600_000)
    assert [1] == changed(), "nothing new is said of the first"


@pytest.mark.parametrize(
    ("field", "value"), [("trust", 1e300), ("trust", float("nan")), ("trust", -0.1), ("rate", 0.0)]
)
def test_watch_with_an_impossible_past_is_refused(field, value):
    """A stored watch whose evidence would be no number of nats does not become one of the state."""
    good = Watch(row=1, start=2, before=3, rate=0.5, trust=1.0)
    bad = Watch(row=1, start=2, before=3, rate=0.5, trust=1.0)
    setattr(bad, field, value)

    assert good == unpack(pack(good), Watch)
    with pytest.raises(StateError, match="Watch"):
        unpack(pack(bad), Watch)
