"""What a prompt wraps is taken for work of its own only where a public list would long have repeated itself."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from streams.campaigns.contents import unlisted
from streams.campaigns.shared import SharedToken
from streams.contracts.packets import TEMPLATE

LISTS = 1_000  # runs of a list


def runs(frames: int, exchanges: int, questions: int, seed: int) -> list[float]:
    """Say of one run of a list, in so many frames, how surely it is none, after every tenth exchange."""
    drawn = random.Random(seed)
    tokens = [SharedToken(frame + 1, TEMPLATE, 0) for frame in range(frames)]
    group: Any = SimpleNamespace(tokens=tokens)
    said = []
    for sent in range(1, exchanges + 1):
        token = drawn.choice(tokens)
        token.exchanges += 1
        token.contents.add(drawn.randrange(questions) + 1)
        if sent % 10 == 0:
            said.append(unlisted(group))
    return said


@pytest.mark.parametrize("frames", [1, 4])
def test_a_public_list_hardly_ever_passes_for_work_of_its_own(frames):
    """GSM8K's 1,319 test questions, asked in any order by anybody: Ville's inequality allows one such list in 2,000."""
    most = [max(runs(frames, 500, 1_319, seed)) for seed in range(LISTS)]
    assert sum(said == 1.0 for said in most) <= 2, "lists that got to the whole weight"
    assert sum(said > 0.5 for said in most) <= LISTS // 100, "lists that got to half of it"


@pytest.mark.parametrize(("frames", "exchanges"), [(1, 190), (4, 400)])
def test_work_of_its_own_shows_once_a_list_would_have_repeated_itself(frames, exchanges):
    """Of a million different texts hardly one comes twice, and a list of 1,500 would have repeated ten or more."""
    certain = [runs(frames, exchanges, 1_000_000, seed)[-1] for seed in range(50)]
    assert sorted(certain)[10] == 1.0, certain
    assert all(said < 1.0 for said in runs(frames, exchanges // 2, 1_000_000, 0)), "too soon"


def test_no_exchanges_say_nothing():
    """A group whose prompts nobody has counted yet is held for neither."""
    group: Any = SimpleNamespace(tokens=[SharedToken(1, TEMPLATE, 0)])
    assert unlisted(group) == 0.0
