"""Ids of accounts, packed."""

import pytest

from streams.campaigns.names import Names

IDS = ["a", "", "x" * 24, "x" * 25, "zürich", "zero\0", "b\0c", "user@mail.example"]


def test_any_id_comes_back():
    """Long ids, ids with other characters, and ids that end with a zero."""
    names = Names()
    names.extend(IDS)
    names.extend([""] * 2_000)
    for row, name in enumerate(IDS):
        names[row + 1_500] = name

    assert IDS == names[: len(IDS)] == names[1_500 : 1_500 + len(IDS)]
    assert len(IDS) + 2_000 == len(names)


@pytest.mark.parametrize("names", [[], ["", "a", "x" * 24], *([each, "a"] for each in IDS)])
def test_names_come_back_however_they_are_appended(names):
    """Many at once that are all short and plain, which are copied as one array, and with another among them."""
    packed = Names()
    packed.extend(["first"])
    packed.extend(names)

    assert ["first", *names] == list(packed)


def test_a_row_is_given_to_somebody_else():
    """Nothing of the former id is left, whichever of the two is longer."""
    names = Names()
    names.extend([""])
    for name in [*IDS, *reversed(IDS)]:
        names[0] = name

        assert [name] == list(names)
