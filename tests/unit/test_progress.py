"""Which partitions wait for which while catching up."""

import pytest

from streams.runtime.progress import Progress, too_far_ahead

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
