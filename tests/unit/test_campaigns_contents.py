"""What a prompt wraps is taken for work of its own only where a public list would long have repeated itself."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streams.campaigns.contents import counts, diversity, listed, unlisted, wrappers
from streams.campaigns.shared import CONTENTS_MAX, SharedToken, SharedTokens
from streams.contracts.packets import HEAD, SIGNAL, TAIL, TEMPLATE

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


def drawing(questions: int, exchanges: int) -> Any:
    """A group whose three prompts have each wrapped so many contents, drawn from as many questions."""
    drawn = random.Random(3)
    tokens = [SharedToken(frame + 1, TEMPLATE, 0) for frame in range(3)]
    for token in tokens:
        token.exchanges, token.contents = exchanges, {drawn.randrange(questions) + 1 for _ in range(exchanges)}
    return SimpleNamespace(tokens=tokens)


def test_a_few_repetitions_among_many_exchanges_are_no_list():
    """Two in a hundred are what a list repeats at its beginning, and by the thousandth exchange a tenth of that."""
    early, late, own = drawing(1_319, 100), drawing(1_319, 400), drawing(9_000, 400)
    exchanges, again, _ = counts(own.tokens)

    assert 0.018 < again / exchanges < 0.03
    assert listed(early) > 0.05
    assert listed(late) > 0.2
    assert (0.0, 1.0) == (listed(own), unlisted(own))


def test_no_exchanges_say_nothing():
    """A group whose prompts nobody has counted yet is held for neither."""
    group: Any = SimpleNamespace(tokens=[SharedToken(1, TEMPLATE, 0)])
    assert unlisted(group) == 0.0


def test_exchanges_without_content_say_nothing_of_contents():
    """Of thirty exchanges twenty tell what they wrap, each something else: no list, and as diverse as can be."""
    shared = SharedTokens(1_000)
    token = shared.link((0, 2_000, 9, 1, 1_500, 1_500, 2, TEMPLATE, 1), 0)
    signals = np.zeros(30, SIGNAL)
    signals["template"], signals["time"], signals["content"][:20] = 9, 2_000, np.arange(1, 21)
    shared.absorb(np.zeros(30, np.int32), signals)
    group: Any = SimpleNamespace(tokens=[SharedToken.load(token.dump())])

    assert (30, 20) == (token.exchanges, token.told)
    assert (20, 0, 20) == counts(group.tokens)
    assert (1.0, 0.0) == (diversity(group), listed(group))


def test_diversity_is_that_of_the_templates():
    """What else a group shares than its templates changes nothing, nor do exchanges beyond the contents remembered."""
    template = SharedToken(1, TEMPLATE, 0)
    template.exchanges, template.contents = 10 * CONTENTS_MAX, set(range(1, CONTENTS_MAX + 1))
    heads = [SharedToken(2 + i, HEAD, 0) for i in range(20)]
    group: Any = SimpleNamespace(tokens=[template, *heads])
    assert 1.0 == diversity(group)

    template.contents = {1}
    assert diversity(group) == 1 / CONTENTS_MAX


def test_contents_are_those_of_what_most_exchanges_go_through():
    """Questions that two accounts send look like templates: they hide nothing of a prompt that all of them end with."""
    ending, opening, question = (SharedToken(i + 1, kind, 0) for i, kind in enumerate((TAIL, HEAD, TEMPLATE)))
    ending.exchanges, ending.contents = 450, set(range(450))
    opening.exchanges, question.exchanges, question.contents = 440, 3, {500, 501}
    group: Any = SimpleNamespace(tokens=[question, ending, opening])

    assert [question, ending] == wrappers(group), "of what is there in the same exchange only one"
    assert (453, 1, 452) == counts(wrappers(group))
    assert 1.0 == unlisted(group)

    question.exchanges = 225
    assert [question] == wrappers(group)
