"""Pools that search for prompts which get past the guards: accounts that infrastructure joins, mostly refused.

Before a campaign somebody tries thousands of techniques, a different one in each request, and scales up the few that
work. No two tries need have any wording in common, so what joins the accounts is what they come from. A team that tests
guards for a living belongs to one organisation.

Cannot see: a search by accounts without anything in common, or one whose refusals are not told apart from answers.
"""

import math

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
ANYTHING = 1, 0.0  # of `Group.joined`: one network in common is enough
USUAL_MIN = 0.5  # accounts joined by chance, where none of the others are
CHANCE_NATS = 1.0, 4.0  # Chernoff's bound for so many, Poisson, from no say to all of it
NO_REASON = ("I12", "benign.no_purpose", "benign.site", "benign.tool")  # for refusals, or told already


def pool(table: AccountTable, shared: SharedTokens, now: int) -> tuple[int, Group, float] | None:
    """Find all mostly refused accounts that infrastructure joins with another one, if they are enough.

    Returns the token that founds the pool, the accounts, and how many of as many others are joined.
    """
    used = table.used
    active = now - used["last"] < IDLE_MS
    refused = active & (used["refused"] >= REFUSED_MIN) & (used["refused"] >= REFUSED_SHARE * used["exchanges"])
    rows = np.flatnonzero(refused)
    if rows.size < POOL_MIN:
        return None
    group = group_of(table, shared, rows.tolist(), now)
    # some of a search's accounts pay by one card, others by another, and where few are candidates one network will do
    found = group.joined(*ANYTHING)
    joined = [row for _, inside in found for row in inside]
    if len(joined) < POOL_MIN:
        return None
    others = np.flatnonzero(active & ~refused & (used["exchanges"] >= REFUSED_MIN))
    sample = others[np.argsort(used["hash"][others], kind="stable")][: rows.size]  # by their hash: at random
    pools = group_of(table, shared, sorted(sample.tolist()), now).joined(*ANYTHING)
    usual = sum(len(inside) for _, inside in pools) * (rows.size / max(1, sample.size)) ** 2  # pairs grow like that
    return min(founder for founder, _ in found), group.take(np.isin(group.at, joined)), min(usual, float(rows.size))


def weigh(group: Group, usual: float, reference: Reference, now: int) -> list[Evidence]:
    """Evidence that a pool searches for a way past the guards, in nats; of as many others ``usual`` are joined.

    A large provider has many accounts that are refused for reasons of their own, and some of these have a network in
    common: where no more have than of others, that they are all refused says only how they were chosen.
    """
    n = len(group)
    usual = max(USUAL_MIN, usual)
    no_chance = ramp(n * math.log(n / usual) - (n - usual), *CHANCE_NATS) if n > usual else 0.0
    refused, exchanges = int(group.rows["refused"].sum()), int(group.exchanges.sum())
    share = refused / exchanges
    largest = group.owners().most_common(1)[0][1] / len(group)
    fresh = float(group.rows["near_new"].sum()) / exchanges
    items = [
        evidence("I9", 6.0 * ramp(share, 0.2, 0.5) * ramp(refused, 5, 20) * no_chance, round(share, 4), 0.03,
                 f"{refused} of {exchanges} prompts refused"),
        evidence("I2", 2.0 * ramp(fresh, 0.5, 0.9), round(fresh, 4), 0.5, "share of prompts unlike their own before"),
        evidence("I12", 4.0 * (1.0 - ramp(largest, 0.3, 0.7)) * ramp(n, 3, 10) * no_chance, n, round(usual, 1),
                 "strangers, each mostly refused, that a pool of networks, cards and devices joins"),
        *(item for item in weigh_apart(group, reference, now) if item.indicator not in NO_REASON),
    ]  # fmt: skip
    return [item for item in items if item.contribution]
