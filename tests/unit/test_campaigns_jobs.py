"""Two jobs of one family are told apart by what they ask for, or else by what they are about."""

import pytest

from streams.accounts.features import TOPIC_CODES
from streams.campaigns.jobs import PLAIN, REASONING, SUBJECTS_FROM, UNCLEAR, differ, does_another, jobs, subject_of
from streams.campaigns.shared import SharedToken
from streams.contracts.packets import HEAD, SYSTEM, TAIL, TEMPLATE

MATH, CODING = (SUBJECTS_FROM + TOPIC_CODES[name] for name in ("math", "coding"))


def prompt(token: int, kind: int = TEMPLATE, asks: int = 0, **topics: int) -> SharedToken:
    """A prompt with so many exchanges about each topic, of which some ask for reasoning."""
    shared = SharedToken(token, kind, 0)
    shared.exchanges = shared.elicit_known = shared.grading_known = sum(topics.values())
    shared.elicit = asks
    for name, exchanges in topics.items():
        shared.subjects[TOPIC_CODES[name]] = exchanges
    return shared


def parts(*prompts: SharedToken) -> dict[int, list[int]]:
    """Job -> numbers of the prompts that do it."""
    return {job: sorted(shared.token for shared in held) for job, held in jobs(prompts).items()}


def test_purposes_come_first():
    """One prompt that has answers reasoned and one that does not are two jobs, whatever they are about."""
    assert {REASONING: [1], PLAIN: [2]} == parts(prompt(1, asks=100, math=100), prompt(2, math=100))


def test_subjects_where_purposes_are_the_same():
    """Prompts about mathematics and about programs are two jobs; how prompts end goes with the larger one."""
    programs = prompt(2, coding=60, agentic=30), prompt(3, coding=50)
    found = parts(prompt(1, math=80, science=20), *programs, prompt(4, TAIL))

    assert {MATH: [1], CODING: [2, 3, 4]} == found


@pytest.mark.parametrize(
    "second",
    [
        prompt(2, math=40, coding=60),  # about the same subjects in other shares
        prompt(2, coding=39),  # too few to tell
        prompt(2, asks=30, coding=100),  # some ask for reasoning: how they do may say what it is taken to be about
        prompt(2, unknown=60, coding=40),  # mostly from clients that do not tell
        prompt(2, SYSTEM, coding=100),  # it comes with the other one
    ],
)
def test_one_job(second):
    """What may be about the same is not divided."""
    assert {} == parts(prompt(1, math=70, coding=30), second)
    assert {} == parts(second)


def test_prompts_without_a_template():
    """What opens and closes a prompt is one of two jobs, too, and counts once though it is two tokens."""
    found = parts(prompt(1, math=80), prompt(2, HEAD, coding=100), prompt(3, TAIL, coding=100))

    assert {MATH: [1], CODING: [2, 3]} == found


def test_a_small_second_subject_is_no_job():
    """A prompt with a third of the exchanges is a variant, whatever it is about."""
    assert {} == parts(prompt(1, math=200), prompt(2, coding=100))


def test_groups_that_differ():
    """Groups of the same accounts are two campaigns if either their purposes or their subjects clearly differ."""
    math, coding = prompt(1, math=100), prompt(2, coding=100)

    assert differ([math], [coding])
    assert differ([math], [prompt(3, asks=100, math=100)])
    assert not differ([math], [prompt(3, math=30, coding=30)])
    assert not differ([math], [prompt(3, unknown=100)])
    assert not differ([math], [prompt(3, coding=39)])


def test_what_a_new_prompt_does():
    """A prompt joins a family of another job unless it clearly does another one, of the kind that divided them."""
    assert (MATH, UNCLEAR) == (subject_of(prompt(1, math=60, coding=40)), subject_of(prompt(1, math=50, coding=50)))
    assert does_another(prompt(1, coding=100), MATH)
    assert not does_another(prompt(1, math=100), MATH)
    assert not does_another(prompt(1, coding=39), MATH)
    assert does_another(prompt(1, asks=100, math=100), PLAIN)
