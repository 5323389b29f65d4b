"""Pools that search for prompts which get past the guards: accounts that infrastructure joins, mostly refused.

Before a campaign somebody tries thousands of techniques, a different one in each request, and scales up the few that
work. No two tries need have any wording in common, so what joins the accounts is what they come from. A team that tests
guards for a living belongs to one organisation.

Cannot see: a search by accounts without anything in common, or one whose refusals are not told apart from answers.
"""

import numpy as np

from streams.campaigns.cohorts import group_of
from streams.campaigns.evidence import weigh_apart
from streams.campaigns.group import Group
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.alert import Evidence

REFUSED_MIN = 2  # of an account: one refusal is anybody's
REFUSED_SHARE = 0.3
POOL_MIN = 5
IDLE_MS = 86_400_000
NO_REASON = ("I12", "benign.no_purpose", "benign.site")  # for refusals, or told already


def pools(table: AccountTable, shared: SharedTokens, now: int) -> list[tuple[int, Group]]:
    """Candidate: (token that founds it, all mostly refused accounts that infrastructure joins with another one)."""
    used = table.used
    mask = (used["refused"] >= REFUSED_MIN) & (used["refused"] >= REFUSED_SHARE * used["exchanges"])
    rows = np.flatnonzero(mask & (now - used["last"] < IDLE_MS))
    if rows.size < POOL_MIN:
        return []
    group = group_of(table, shared, rows.tolist(), now)
    found = group.joined(1, 0.0)  # hardly any benign account is a candidate, so one network will do
    if sum(len(inside) for _, inside in found) < POOL_MIN:
        return []
    # some of a search's accounts pay by one card, others by another: pairs of the few who are refused are no chance
    founder = min(founder for founder, _ in found)
    return [(founder, group.take(np.isin(group.at, [row for _, inside in found for row in inside])))]


def weigh(group: Group, reference: Reference, now: int) -> list[Evidence]:
    """Evidence that a pool searches for a way past the guards, in nats."""
    refused, exchanges = int(group.rows["refused"].sum()), int(group.exchanges.sum())
    share = refused / exchanges
    largest = group.owners().most_common(1)[0][1] / len(group)
    fresh = float(group.rows["near_new"].sum()) / exchanges
    items = [
        evidence("I9", 6.0 * ramp(share, 0.2, 0.5) * ramp(refused, 5, 20), round(share, 4), 0.03,
                 f"{refused} of {exchanges} prompts refused"),
        evidence("I2", 2.0 * ramp(fresh, 0.5, 0.9), round(fresh, 4), 0.5, "share of prompts unlike their own before"),
        evidence("I12", 4.0 * (1.0 - ramp(largest, 0.3, 0.7)) * ramp(len(group), 3, 10), len(group), 2,
                 "strangers, each mostly refused, that a pool of networks, cards and devices joins"),
        *(item for item in weigh_apart(group, reference, now) if item.indicator not in NO_REASON),
    ]  # fmt: skip
    return [item for item in items if item.contribution]
