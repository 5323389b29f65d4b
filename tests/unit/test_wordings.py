"""What the lexicon is learned from, what is learned, and how well that does on other prompts."""

import numpy as np
import pytest
from scipy import sparse

from streams.contracts.lexicon import FILES, load_document
from streams.evaluate.wordings import Wording, wordings
from streams.evaluate.wordings.exam import groups, shares
from streams.evaluate.wordings.learn import ORDINARY, Task, candidates, learn, occurrences, weights
from streams.simulator.texts import corpus

# Some ten below what was measured, which streams/contracts/README.md has.
LEAST_KNOWN = {"exam, reasoning, English": 0.7, "exam, grading, English": 0.7}
MOST_ORDINARY = 0.04


def test_what_is_asked_was_not_learned():
    """No prompt of the exam or the development set is among the training prompts, nor in both."""
    training, development, exam = (
        {wording.prompt for wording in wordings(name)} for name in ("training", "development", "exam")
    )
    assert not training & exam
    assert not training & development
    assert not development & exam


@pytest.mark.parametrize("group", LEAST_KNOWN)
def test_unseen_requests_are_known(group: str):
    """Most requests in wordings that nothing was learned from are known for what they are, and for nothing else."""
    found = dict(zip(("reasoning", "grading"), shares(groups()[group]), strict=True))
    purpose = group.split(", ")[1]
    assert found.pop(purpose) >= LEAST_KNOWN[group]
    assert all(share <= MOST_ORDINARY for share in found.values()), found


def test_ordinary_prompts_are_left_alone():
    """Hardly any ordinary prompt that nothing was learned from passes for a request for reasoning or grades."""
    every = groups()
    ordinary = {name: every[name] for name in ("exam, none, English", "exam, none, other languages", *ORDINARY)}
    found = {name: shares(prompts) for name, prompts in ordinary.items()}
    assert not {name: pair for name, pair in found.items() if max(pair) > MOST_ORDINARY}
    assert np.mean(list(found.values())) < MOST_ORDINARY / 4


def test_a_phrase_counts_half_in_code():
    """What is learned from is what the fingerprint counts: a phrase once, and half of it inside quotes and code."""
    rows = occurrences(["lay bare", "how"], ["Lay bare how, and lay bare how.", '"lay bare"', "neither"])
    assert rows.toarray().tolist() == [[1.0, 1.0], [0.5, 0.0], [0.0, 0.0]]


def test_phrases_of_several_prompts_are_candidates():
    """A phrase of four prompts is a candidate, whatever its case and marks; one of two prompts is not."""
    texts = ("Lay BARE it's 12", "lay-bare its 7!", "Lay bare once", "once", "LAY (bare)")
    prompts = [Wording("none", text) for text in texts]
    assert candidates(prompts) == ["bare", "lay", "lay bare", "|"]


def test_weights_part_those_who_ask():
    """Who asks has a phrase of weight, and whoever does not one below 0; none is needed after those by hand."""
    rows = sparse.csr_matrix(np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]] * 20))
    asks = np.array([True, True, False, False] * 20)
    asked, both, ordinary = weights(Task(rows, np.zeros(80), asks))
    assert asked > 0.7
    assert abs(both) < 0.3
    assert ordinary < 0.0
    assert not weights(Task(rows, np.where(asks, 2.0, -1.0), asks)).any()


def test_packaged_phrases_are_what_is_learned():
    """The file is what the program makes of the training prompts, but for the last digits of another processor."""
    packaged_phrases, learned = load_document(FILES[1]), learn()
    for class_, phrases in learned.items():
        theirs = packaged_phrases["learned"][class_]
        either = phrases.keys() | theirs.keys()
        apart = [one for one in either if abs(phrases.get(one, 0.0) - theirs.get(one, 0.0)) > 0.06]
        assert len(apart) <= len(either) / 100, sorted(apart)[:10]


def test_public_sets_have_two_halves():
    """Every set is large enough that the half nothing is learned from says something."""
    assert all(len(corpus(name)[1::2]) > 100 for name in ORDINARY)
