"""State and offsets that a restore finds."""

import pytest
from confluent_kafka import OFFSET_INVALID, TopicPartition

from streams.operator import MARKER_KEY
from streams.runtime.checkpoint import name_of
from streams.runtime.restore import _together

OLDER, LATER = b"a marker", b"the marker of the next checkpoint"


@pytest.mark.parametrize(
    ("committed", "name", "offset", "marker", "expected"),
    [
        (OFFSET_INVALID, None, None, None, True),
        (OFFSET_INVALID, None, 7, LATER, True),  # a group whose offsets have expired
        (7, name_of(LATER), 7, LATER, True),
        (7, name_of(LATER), 7, OLDER, False),
        (7, name_of(LATER), 6, OLDER, False),
        (7, name_of(LATER), None, None, False),
        (7, name_of(OLDER), 8, LATER, True),
        (7, None, 7, LATER, True),  # set by a tool
        (7, "by hand", 7, LATER, True),
    ],
)
def test_state_of_an_older_checkpoint_is_not_believed(committed, name, offset, marker, expected):
    """Beside committed offsets counts the state of their checkpoint or of a later one, also if offsets are the same."""
    place = TopicPartition("llm.requests", 0, committed, *([] if name is None else [name]))

    assert expected == _together(place, offset, {} if marker is None else {MARKER_KEY: marker})
