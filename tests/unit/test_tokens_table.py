"""Who shares a token, and how many."""

import numpy as np
import token_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.tokens.link import COUNTED, LINKED, RENEWED, SHARED, TOKEN, get, put
from streams.tokens.table import TokenTable

LIFE_MS = (10_000, 50_000)
CAPS = (4, 100)
NOTHING = 0

Item = tuple[int, int, int, int, int]  # token, account, time, first, kind


def absorb(table: TokenTable, items: list[Item]) -> list[tuple[int, int, int, int]]:
    """Show sightings; returns code, degree, founder and founder's first time for each."""
    token, account, time, first, kind = (np.array(column) for column in zip(*items, strict=True))
    found = token_tables.absorb(
        table, token.astype(np.uint64), account.astype(np.uint64), time, first.astype(np.uint8), kind.astype(np.uint8)
    )
    return list(zip(*(column.tolist() for column in found), strict=True))


def test_second_account_links_both():
    """The first account of a token is nothing yet, the second tells who was first, later ones only themselves."""
    table = TokenTable(LIFE_MS, CAPS)
    found = absorb(table, [(9, 1, 100, 1, 0), (9, 2, 200, 1, 0), (9, 3, 300, 1, 0)])
    assert [(NOTHING, 1, 0, 0), (LINKED, 2, 1, 100), (LINKED, 3, 0, 0)] == found
    assert (1, 1) == (len(table), table.shared)


def test_renewals():
    """A renewal travels on once the token is shared, and makes no degree."""
    table = TokenTable(LIFE_MS, CAPS)
    assert [NOTHING, NOTHING] == [code for code, *_ in absorb(table, [(9, 1, 100, 1, 0), (9, 1, 200, 0, 0)])]
    found = absorb(table, [(9, 2, 300, 1, 0), (9, 1, 400, 0, 0)])
    assert [(LINKED, 2), (RENEWED, 2)] == [(code, degree) for code, degree, *_ in found]


def test_cap():
    """Above its cap only the count of a token travels, at each doubling."""
    table = TokenTable(LIFE_MS, CAPS)
    found = absorb(table, [(9, account, account, 1, 0) for account in range(1, 18)])
    codes = [code for code, *_ in found]
    assert [NOTHING, LINKED, LINKED, LINKED] == codes[:4]
    assert {8: COUNTED, 16: COUNTED} == {i: code for i, code in enumerate(codes[4:], 5) if code}


def test_life():
    """A token unseen for the life of its kind begins anew."""
    table = TokenTable(LIFE_MS, CAPS)
    absorb(table, [(9, 1, 0, 1, 0), (8, 1, 0, 1, 1)])
    found = absorb(table, [(9, 2, 10_001, 1, 0), (8, 2, 10_001, 1, 1)])
    assert [(NOTHING, 1, 0, 0), (LINKED, 2, 1, 0)] == found


def plain(items: list[Item]) -> list[tuple[int, int, int, int]]:
    """Say the rules with a dict."""
    held: dict[int, list[int]] = {}  # token -> founder, first, last, degree
    out = []
    for token, account, time, first, kind in items:
        entry = held.get(token)
        if entry is None or time - entry[2] > LIFE_MS[kind]:
            held[token] = [account, time, time, 1]
            out.append((NOTHING, 1, 0, 0))
            continue
        entry[2] = max(entry[2], time)
        code = founder = since = 0
        if not first or account == entry[0]:
            code = RENEWED if 2 <= entry[3] <= CAPS[kind] else NOTHING
        else:
            entry[3] += 1
            if entry[3] <= CAPS[kind]:
                code = LINKED
                if entry[3] == 2:
                    founder, since = entry[0], entry[1]
            elif entry[3].bit_count() == 1:
                code = COUNTED
        out.append((code, entry[3], founder, since))
    return out


item = st.tuples(st.integers(1, 12), st.integers(1, 8), st.integers(0, 150_000), st.integers(0, 1))


@settings(deadline=None)
@given(st.lists(item, min_size=1, max_size=200), st.integers(1, 60))
def test_like_a_dict(items, step):
    """In batches of any size, and restored between any two of them from its rows, the table is like a dict."""
    items = [(*each, each[0] % 2) for each in sorted(items, key=lambda each: each[2])]
    expected = plain(items)
    table, rows = TokenTable(LIFE_MS, CAPS), []
    found = []
    for start in range(0, len(items), step):
        part = items[start : start + step]
        found += absorb(table, part)
        rows.append(table.rows(np.array([each[0] for each in part], np.uint64)))
        table = TokenTable(LIFE_MS, CAPS)
        table.load(np.concatenate(rows))
    assert expected == found


def test_a_table_that_grows_is_like_a_dict():
    """So it is when it has grown many times."""
    random = np.random.default_rng(4)
    n = 60_000
    time = np.sort(random.integers(0, 50_000, n))
    token = random.integers(1, 30_000, n)
    columns = (token, random.integers(1, 9, n), time, random.integers(0, 2, n), token % 2)
    items = list(zip(*(column.tolist() for column in columns), strict=True))
    table, found = TokenTable(LIFE_MS, CAPS), []
    for start in range(0, n, 1_000):
        found += absorb(table, items[start : start + 1_000])
    assert plain(items) == found


times = st.integers(0, 2**62)


@settings(deadline=None)
@given(
    times, st.integers(-9_000, (2**31 - 1) * 1_000), st.integers(0, 2**33), st.integers(1, 2**32 - 1), st.integers(0, 9)
)
def test_a_slot_holds_times_exactly(last, later, gap, degree, kind):
    """A slot gives back what was put into it, to the ms, for 68 years; of first times those up to 49 days before."""
    slot = np.zeros(1, TOKEN)[0]
    first = max(0, last - gap)
    put(slot, kind, first, last, degree)
    assert (degree > 1) == bool(slot["rest"] & SHARED)
    expected = last if degree > 1 else max(first, last - 2**32 + 1)
    assert (kind, expected, last, degree) == get(slot, max(0, last + later))


def test_first_time_of_a_founder_who_went_on_alone():
    """Whoever shows a token alone for long and is then joined showed it first when he did, to the ms."""
    table = TokenTable([10**9], [500])
    absorb(table, [(9, 1, 1_234, 1, 0)])
    for i in range(1, 10):
        absorb(table, [(9, 1, i * 250_000_000 + i, 0, 0)])
    assert [(LINKED, 2, 1, 1_234)] == absorb(table, [(9, 2, 2_250_000_999, 1, 0)])


def test_grows_and_forgets():
    """The table holds what is alive, not all that ever was."""
    table = TokenTable(LIFE_MS, CAPS)
    for i in range(40):
        absorb(table, [(1 + i * 3_000 + j, 1, i * 20_000, 1, 0) for j in range(3_000)])
    assert len(table) < 30_000
    assert len(table) == len(table.rows(table.tokens()))


def test_a_token_that_is_gone_is_in_no_checkpoint():
    """A token that expired and was forgotten since it was touched leaves no empty row behind."""
    table = TokenTable(LIFE_MS, CAPS)
    absorb(table, [(9, 1, 100, 1, 0)])
    for first in (10, 10_010):  # the table grows before it looks at the time of what comes
        absorb(table, [(token, 1, 1_000_000, 1, 0) for token in range(first, first + 10_000)])

    assert [10] == table.rows(np.array([9, 10], np.uint64))["token"].tolist()


def test_a_flood_of_tokens_pushes_itself_out():
    """At the budget, tokens that nobody shares are forgotten, the oldest first; what is shared stays."""
    table = TokenTable(LIFE_MS, CAPS, max_bytes=1_000_000)
    shared = np.arange(1, 101, dtype=np.uint64)

    def show(token, account, time):
        one = np.ones(token.size, np.uint8)
        token_tables.absorb(table, token, account, np.full(token.size, time), one, one)
        assert table.nbytes <= 1_000_000

    for account in (1, 2):
        show(shared, np.full(100, account, np.uint64), 1_000)
    for start in range(0, 100_000, 1_000):
        token = np.arange(start, start + 1_000, dtype=np.uint64) + np.uint64(10**6)
        show(token, token, 1_000 + start // 10)
    assert 100_100 - len(table) == table.evicted_early
    assert 100 == table.shared
    assert 10_900 == table.rows(table.tokens())["time"].max()
