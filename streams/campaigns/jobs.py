"""What a shared prompt is for, and families that do two jobs: two campaigns over the same accounts.

The prompts of two campaigns meet in the accounts that both use, just as the variants of one campaign's prompts do. What
tells them apart is what they ask for: one has answers reasoned, say, and the other only wants the work done; or, where
they seem to ask for the same, what they are about: mathematics, say, and programs. A campaign some of
whose variants are not recognised looks alike, so both jobs must carry much of the traffic and be a campaign each by
itself (`splits.divide`).

Cannot see: two campaigns that ask for the same about the same subjects.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from streams.accounts.features import TOPIC_CODES
from streams.campaigns.shared import SharedToken
from streams.contracts.packets import HEAD, TAIL, TEMPLATE

UNCLEAR, PLAIN, REASONING, GRADING = range(4)  # purposes
SUBJECTS_FROM = 16  # a subject as a job: so much more than its topic's code
JOB_EXCHANGES = 40  # of a token, from which on it is clear what it asks for
JOB_SHARE = 0.4  # of the family's exchanges; of one campaign's variants 13 % (of disguised ones 40 %) pass for plain
# Shares of a token's exchanges. Words that nearly ask for something pass for a request with a third of what they are
# put around (D12, tuning seeds 8 and 11: 36 and 20 %), those that do ask with nearly all.
ASKED, NOT_ASKED = 0.5, 0.4
# Total variation of what two groups' exchanges are about. Of mathematics and programs it is 0.97 to 1, however they are
# wrapped (tuning seeds 2 and 4); wrappers that name another subject must not be enough.
SUBJECTS_APART = 0.75
# A tutor is role play, a plan or a tool agentic, a rubric writing; "qa", "chat" and "other" are what nothing else is.
NAMED_BY_REQUESTS = frozenset(TOPIC_CODES[name] for name in ("roleplay", "agentic", "writing", "qa", "chat", "other"))
FRAMES = (TEMPLATE, HEAD, TAIL)  # what a campaign puts around its content; a system prompt is there as well as these


def purpose_of(shared: SharedToken) -> int:
    """What a token's exchanges ask for, as far as it is clear."""
    if shared.exchanges < JOB_EXCHANGES:
        return UNCLEAR
    if shared.elicitation >= ASKED:
        return REASONING
    if shared.judging >= ASKED:
        return GRADING
    known = 2 * min(shared.elicit_known, shared.grading_known) >= shared.exchanges
    return PLAIN if known and max(shared.elicitation, shared.judging) <= NOT_ASKED else UNCLEAR


def subject_of(shared: SharedToken) -> int:
    """What most of a token's exchanges are about, as a job, as far as it is clear."""
    most = max(shared.subjects[1:], default=0)
    if 2 * most <= shared.exchanges or not _clear(shared):
        return UNCLEAR
    return SUBJECTS_FROM + shared.subjects.index(most, 1)


def does_another(shared: SharedToken, job: int) -> bool:
    """Tell whether a token clearly does another job than this purpose, or this subject."""
    return (subject_of if job >= SUBJECTS_FROM else purpose_of)(shared) not in (UNCLEAR, job)


def differ(ours: Sequence[SharedToken], theirs: Sequence[SharedToken]) -> bool:
    """Tell whether two groups' prompts clearly ask for different things, or are about different ones."""
    purposes = {main_purpose(ours), main_purpose(theirs)} - {UNCLEAR}
    return len(purposes) > 1 or _distance(_subjects(ours), _subjects(theirs)) >= SUBJECTS_APART


def main_purpose(tokens: Iterable[SharedToken]) -> int:
    """What most exchanges of these tokens ask for, of those where it is clear."""
    sizes = [0, 0, 0, 0]
    for shared in tokens:
        if job := purpose_of(shared):
            sizes[job] += shared.exchanges
    return max(range(len(sizes)), key=sizes.__getitem__)


def jobs(tokens: Iterable[SharedToken]) -> dict[int, list[SharedToken]]:
    """Two jobs that a family's tokens do, each with much of the exchanges; empty if there are not two.

    What is unclear goes with the larger job.
    """
    held = list(tokens)
    return _two({shared.token: purpose_of(shared) for shared in held}, held) or _two(_by_subject(held), held)


def _two(job_of: dict[int, int], tokens: list[SharedToken]) -> dict[int, list[SharedToken]]:
    found: dict[int, list[SharedToken]] = {}
    for shared in tokens:
        found.setdefault(job_of.get(shared.token, UNCLEAR), []).append(shared)
    sizes = {job: _size(held) for job, held in found.items()}
    large = [job for job in sorted(found) if job != UNCLEAR and sizes[job] >= JOB_SHARE * max(1, sum(sizes.values()))]
    if len(large) != 2:
        return {}
    out = {job: found[job] for job in large}
    rest = [shared for job, held in found.items() if job not in large for shared in held]
    out[max(large, key=lambda job: (sizes[job], job))] += rest
    return out


def _size(tokens: list[SharedToken]) -> int:
    """Exchanges of tokens: a prompt's beginning and its end count only where no template does, but then both do."""
    template, head, tail = (sum(shared.exchanges for shared in tokens if shared.kind == kind) for kind in FRAMES)
    return template + max(head, tail)


def _by_subject(tokens: list[SharedToken]) -> dict[int, int]:
    """Job of each token by what it is about: as the largest one, or as the one that is the furthest from that.

    Empty if the two are not clearly apart, or are mostly about the same.
    """
    clear = [shared for shared in tokens if shared.kind in FRAMES and _clear(shared)]
    if len(clear) < 2:
        return {}
    subjects = np.array([shared.subjects[1:] for shared in clear], np.float64)
    shares = subjects / subjects.sum(axis=1, keepdims=True)
    from_largest = np.abs(shares - shares[subjects.sum(axis=1).argmax()]).sum(axis=1)
    away = np.abs(shares - shares[from_largest.argmax()]).sum(axis=1) < from_largest
    one, two = subjects[~away].sum(axis=0), subjects[away].sum(axis=0)
    if not away.any() or one.argmax() == two.argmax() or _distance(one, two) < SUBJECTS_APART:
        return {}
    main = [SUBJECTS_FROM + 1 + int(side.argmax()) for side in (one, two)]
    return {shared.token: main[side] for shared, side in zip(clear, away.tolist(), strict=True)}


def _clear(shared: SharedToken) -> bool:
    """Tell whether it can be said what a token's exchanges are about.

    Words that ask for something may name a subject by themselves, "You are a patient tutor" role play: then only such
    subjects count as no such words name.
    """
    purpose = purpose_of(shared)
    if purpose == UNCLEAR or 2 * sum(shared.subjects[1:]) <= shared.exchanges:
        return False
    return purpose == PLAIN or shared.subjects.index(max(shared.subjects[1:]), 1) not in NAMED_BY_REQUESTS


def _subjects(tokens: Iterable[SharedToken]) -> Any | None:
    """Exchanges by topic of tokens where it is clear; None if it is of none."""
    clear = [shared.subjects[1:] for shared in tokens if _clear(shared)]
    return np.sum(clear, axis=0) if clear else None


def _distance(one: Any | None, two: Any | None) -> float:
    """Total variation of two groups' subjects, 0..1; 0 if one is not known."""
    if one is None or two is None:
        return 0.0
    return float(np.abs(one / one.sum() - two / two.sum()).sum()) / 2
