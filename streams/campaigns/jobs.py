"""What a shared prompt is for, and families that do two jobs: two campaigns over the same accounts.

The prompts of two campaigns meet in the accounts that both use, just as the variants of one campaign's prompts do. What
tells them apart is what they ask for: one has answers reasoned, say, and the other only wants the work done. A campaign
some of whose variants are not recognised looks alike, so both jobs must carry much of the traffic and be a campaign
each by itself (`splits.divide`).

Cannot see: two campaigns that ask for the same.
"""

from collections.abc import Iterable

from streams.campaigns.shared import SharedToken
from streams.contracts.packets import TEMPLATE

UNCLEAR, PLAIN, REASONING, GRADING = range(4)
JOB_EXCHANGES = 40  # of a token, from which on it is clear what it asks for
JOB_SHARE = 0.4  # of the family's exchanges; of one campaign's variants 13 % (of disguised ones 40 %) pass for plain
ASKED, NOT_ASKED = 0.5, 0.1  # shares of a token's exchanges


def job_of(shared: SharedToken) -> int:
    """What a token's exchanges ask for, as far as it is clear."""
    if shared.exchanges < JOB_EXCHANGES:
        return UNCLEAR
    if shared.elicitation >= ASKED:
        return REASONING
    if shared.judging >= ASKED:
        return GRADING
    known = 2 * min(shared.elicit_known, shared.grading_known) >= shared.exchanges
    return PLAIN if known and max(shared.elicitation, shared.judging) <= NOT_ASKED else UNCLEAR


def main_job(tokens: Iterable[SharedToken]) -> int:
    """What most exchanges of these tokens ask for, of those where it is clear."""
    sizes = [0, 0, 0, 0]
    for shared in tokens:
        if job := job_of(shared):
            sizes[job] += shared.exchanges
    return max(range(len(sizes)), key=sizes.__getitem__)


def jobs(tokens: Iterable[SharedToken]) -> dict[int, list[SharedToken]]:
    """Two jobs that a family's tokens do, each with much of the exchanges; empty if there are not two.

    What is unclear goes with the larger job.
    """
    found: dict[int, list[SharedToken]] = {}
    for shared in tokens:
        found.setdefault(job_of(shared), []).append(shared)
    sizes = {job: sum(t.exchanges for t in held if t.kind == TEMPLATE) for job, held in found.items()}
    large = [job for job in sorted(found) if job != UNCLEAR and sizes[job] >= JOB_SHARE * max(1, sum(sizes.values()))]
    if len(large) != 2:
        return {}
    out = {job: found[job] for job in large}
    rest = [shared for job, held in found.items() if job not in large for shared in held]
    out[max(large, key=lambda job: (sizes[job], job))] += rest
    return out
