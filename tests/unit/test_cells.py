"""Byte strings in one buffer are a sequence like any other."""

from hypothesis import given
from hypothesis import strategies as st

from streams.cells import Cells
from streams.contracts.xxh3 import PADDING


@given(st.lists(st.none() | st.binary(max_size=5)), st.integers(-9, 9), st.integers(-9, 9))
def test_they_are_what_went_in(values: list[bytes | None], start: int, stop: int) -> None:
    """Empty ones and none at all are told apart; a part has the same buffer."""
    cells = Cells.of(values)

    assert values == list(cells) == [cells[i] for i in range(len(values))]
    assert values[start:stop] == list(cells[start:stop])
    assert cells.text is cells[start:stop].text
    assert cells.text.endswith(PADDING)
    assert [values.count(each) for each in (None, b"", b"\0")] == [cells.count(each) for each in (None, b"", b"\0")]
