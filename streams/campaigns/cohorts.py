"""Cohorts: accounts whose prompts might all be one account's, dealt out.

A router that deals a list of prompts out over its accounts makes them exchangeable: what one of them asks, how much and
at which hours differs from what another does by chance only. People and programs are not like that, each has subjects,
volumes and hours of its own. This finds campaigns in which no two prompts share any wording (paraphrases, a list of
human questions); the wording itself is what `streams.campaigns.families` looks at.

Prompts are compared by the mean of their SimHashes' bits, an embedding of an account's prompts as in a kernel
two-sample test: arXiv 2606.05725 tests windows of traffic that way, here accounts are first put together by it.

Cannot see: accounts that mix the list with much other traffic, a list dealt out by subject, accounts of fewer than
`PROMPTS_MIN` prompts, and prompts without a SimHash.
"""

import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from streams.campaigns.dealt import dealt_to, evenness, well_known
from streams.campaigns.evidence import weigh_apart
from streams.campaigns.explanations import one_network
from streams.campaigns.families import Member
from streams.campaigns.group import MEMBERS_MIN, Group
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedTokens
from streams.campaigns.table import AccountTable
from streams.compiled import compiled_with_arrays
from streams.contracts.alert import Evidence
from streams.contracts.packets import DEVICE, NETWORK, PAYMENT

PROMPTS_MIN = 8  # of an account: with fewer, any two are alike
ACCOUNTS_MIN = 12
IDLE_MS = 86_400_000
SAMPLE = 512  # accounts of a main topic that are compared with each other, another sample at each look
SEED_MIN = 4  # accounts alike in a sample from which a cohort is grown
SEEDS_MAX = 24  # of a sample
POOL_MIN = 3  # accounts that infrastructure joins
STRANGERS_MIN = 0.5
POOL_PART = 0.25  # of the largest pool's size
NETWORKS_MIN = 2  # in common with others of the group, or a card or a device
JOINED_SHARE = 0.4
ALIKE = 2.5  # deviations; measured on dealt-out sets: 95 % of pairs are below
FAR = 8.0  # deviations within which an outsider counts as near
SKEWED = 0.8  # log deviation of volumes at which accounts are certainly not dealt to
TIMES_MAX = 8.0  # as many exchanges as the median account, or so much fewer: the rest is another life


@compiled_with_arrays
def _pairs(means: Any, spread: Any, prompts: Any, alike: float) -> Any:
    """Tell which pairs of accounts are alike: squared distance against what chance makes of it."""
    n = prompts.size
    found = np.zeros((n, n), np.bool_)
    noises = spread / (prompts - 1).reshape(-1, 1)
    for i in range(n):
        for j in range(i):
            distance, expected, square = 0.0, 0.0, 0.0
            for k in range(64):
                noise = noises[i, k] + noises[j, k]
                step = means[i, k] - means[j, k]
                distance += step * step
                expected += noise
                square += noise * noise
            if distance - expected <= alike * math.sqrt(2.0 * square):
                found[i, j] = found[j, i] = True
    return found


@compiled_with_arrays
def _deviations(means: Any, prompts: Any, centre: Any, far: float) -> Any:
    """How far accounts are from the centre of a cohort, in deviations of what chance makes of it.

    Beyond ``far`` the sum is left as it is, unfinished: most accounts are nowhere near.
    """
    expected, square = 0.0, 0.0
    for k in range(64):
        noise = max(1.0 - centre[k] * centre[k], 0.02)
        expected += noise
        square += noise * noise
    spread = math.sqrt(2.0 * square)
    found = np.empty(prompts.size, np.float64)
    for i in range(prompts.size):
        most = (expected + far * spread) / prompts[i]
        distance = 0.0
        for k in range(64):
            step = means[i, k] - centre[k]
            distance += step * step
            if distance > most:
                break
        found[i] = (distance * prompts[i] - expected) / spread
    return found


class Cohort(NamedTuple):
    """Accounts that are alike.

    ``apart`` is their share of the accounts that are near, ``joined`` the share of them that infrastructure joins: if
    that is `JOINED_SHARE` or more, the others are left out.
    """

    founder: int  # hash of the account that was seen first
    group: Group
    apart: float
    joined: float


def cohorts(table: AccountTable, shared: SharedTokens, covered: set[int], now: int) -> list[Cohort]:
    """Candidate cohorts.

    ``covered`` are accounts that a case of another kind names already.
    """
    used = table.used
    mask = (used["prompts"] >= PROMPTS_MIN) & (now - used["last"] < IDLE_MS)
    if covered:
        mask[list(covered)] = False
    at = np.flatnonzero(mask)
    if at.size < ACCOUNTS_MIN:
        return []
    rows = used[at]
    prompts = rows["prompts"].astype(np.float64)
    means = rows["bits"] / prompts[:, None]
    volumes = np.log(rows["exchanges"].astype(np.float64))
    topics = rows["topics"].argmax(axis=1)
    with np.errstate(over="ignore"):
        drawn = np.argsort((rows["hash"] ^ np.uint64(now)) * np.uint64(0x9E3779B97F4A7C15), kind="stable")
    free = np.ones(at.size, bool)
    out = []
    for topic in np.unique(topics).tolist():
        sample = drawn[topics[drawn] == topic][:SAMPLE]
        for seed in _seeds(means[sample], prompts[sample], volumes[sample]):
            found = _grow(means, prompts, volumes, sample[seed], free)
            if found is None:
                continue
            inside, near = found
            free[inside] = False
            group = group_of(table, shared, at[inside].tolist(), now)
            pooled = _pooled(group)
            # an account of few prompts is like many others, so the better known half tells
            known = group.rows["prompts"] >= np.median(group.rows["prompts"])
            joined = float(np.isin(group.at[known], pooled).mean())
            whole = group
            if joined >= JOINED_SHARE and len(pooled) >= ACCOUNTS_MIN:
                group = group.take(_tied(group, pooled))
                group = group.take(_tied(group, _pooled(group)))  # who had joined a firm to the pool may be gone now
                if len(group) < MEMBERS_MIN:  # each has one network in common, and for that nobody is named
                    continue
            if (fits := dealt_to(group)).sum() >= ACCOUNTS_MIN:
                group = group.take(fits)
            if joined >= JOINED_SHARE and len(group) >= ACCOUNTS_MIN:
                group = whole.take(well_known(whole, group, pooled) | np.isin(whole.at, group.at))
            first = min(range(len(group)), key=lambda i: (int(group.first[i]), int(group.rows["hash"][i])))
            out.append(Cohort(int(group.rows["hash"][first]), group, len(inside) / (len(inside) + near), joined))
    return out


def group_of(table: AccountTable, shared: SharedTokens, rows: list[int], now: int) -> Group:
    """A group of which all traffic counts."""
    used = table.rows[rows]
    columns = (used[name].tolist() for name in ("first", "last", "exchanges"))
    members = {row: Member(first, last, n, 0, 0) for row, first, last, n in zip(rows, *columns, strict=True)}
    return Group(table, shared, members, [], now)


def _usual(volumes: Any, of: Any = slice(None)) -> Any:
    """Which volumes (log) are of the order of the median of some."""
    return np.abs(volumes - np.median(volumes[of])) < math.log(TIMES_MAX)


def _seeds(means: Any, prompts: Any, volumes: Any) -> list[Any]:
    """Sets of accounts of a sample that are alike, the largest first; no account is in two."""
    if prompts.size < SEED_MIN:
        return []
    alike = _pairs(means, 1.0 - means**2, prompts, ALIKE)
    left = np.ones(prompts.size, bool)
    out = []
    for _ in range(SEEDS_MAX):
        counts = (alike & left).sum(axis=1) * left
        best = int(counts.argmax())
        if counts[best] + 1 < SEED_MIN:
            break
        seed = np.flatnonzero((alike[best] & left) | (np.arange(prompts.size) == best))
        left[seed] = False
        seed = seed[_usual(volumes[seed])]
        if seed.size and volumes[seed].std() < SKEWED:  # where two loads are far apart nobody has the usual one
            out.append(seed)
    return out


def _grow(means: Any, prompts: Any, volumes: Any, seed: Any, free: Any) -> tuple[Any, int] | None:
    """All accounts that are alike with a seed, and how many others are near; None if they are too few."""
    inside = seed[free[seed]]
    for _ in range(2):
        if inside.size < SEED_MIN:
            return None
        centre = np.average(means[inside], axis=0, weights=prompts[inside])
        far = _deviations(means, prompts, centre, FAR)
        inside = np.flatnonzero((far <= ALIKE) & _usual(volumes, inside) & free)
    if inside.size < ACCOUNTS_MIN or volumes[inside].std() >= SKEWED:
        return None
    known = prompts >= np.median(prompts[inside]) / 2
    return inside, int(np.count_nonzero((far > ALIKE) & (far <= FAR) & known))


def _pooled(group: Group) -> list[int]:
    """Rows of strangers that infrastructure joins; a firm, a campus or a household that asks the same is left out."""
    pools = [
        inside
        for _, inside in group.pools
        if len(inside) >= POOL_MIN and _strangers(group.take(np.isin(group.at, inside))) >= STRANGERS_MIN
    ]
    most = max(map(len, pools), default=0)
    return [row for inside in pools if len(inside) >= POOL_PART * most for row in inside]


def _tied(group: Group, pooled: list[int]) -> Any:
    """Mask of the pooled accounts that share a card, a device or several networks with others of the group.

    One network is not enough to be named: a residential proxy leads through homes, and people live in them.
    """
    networks: Counter[int] = Counter()
    paid: set[int] = set()
    for token, rows in group.infrastructure.values():
        if token.kind == NETWORK:
            networks.update(rows)
        elif token.kind in (PAYMENT, DEVICE):
            paid.update(rows)
    return np.isin(group.at, [row for row in pooled if row in paid or networks[row] >= NETWORKS_MIN])


def _strangers(group: Group) -> float:
    """0..1: how far neither an employer nor a campus explains that people of one subject come together."""
    return (1.0 - ramp(_largest(group), 0.3, 0.7)) * (1.0 - ramp(one_network(group), 0.3, 0.6))


def _largest(group: Group) -> float:
    """Share of the accounts that belong to one owner."""
    return group.owners().most_common(1)[0][1] / len(group)


def weigh(cohort: Cohort, reference: Reference, now: int) -> list[Evidence]:
    """Evidence that a cohort copies the model, in nats."""
    _, group, apart, joined = cohort
    load, hours = evenness(group)
    n, volume = len(group), float(np.median(group.exchanges))
    active = int(np.count_nonzero(group.rows["hours"].sum(axis=0)))
    even_load = ramp(3.5 - load, 0, 1.5) * ramp(volume, 10, 20)
    even_hours = ramp(1.8 - hours, 0, 0.5) * ramp(active, 3, 8)
    # a quota evens people's loads out as well, and a short visit by all of them their hours; a router does both
    dealt = 5.0 * min(even_load, even_hours) * ramp(n, 6, 24)
    deviation = float(np.log(group.exchanges).std())
    split = 2.0 * ramp(0.9 - deviation, 0, 0.6) * ramp(volume, 5, 10)
    items = [
        evidence("I3", (3.0 + 1.5 * ramp(math.log(n), 2.5, 3.7)) * ramp(apart, 0.5, 0.9), round(apart, 4), 0.5,
                 f"{n} accounts whose prompts could all be one's; {apart:.0%} of what is near"),
        evidence("I29", max(dealt, split) - 2.0 * ramp(load, 8, 20), round(load, 4), 10.0,
                 f"load over accounts: log deviation {deviation:.2f}, index of dispersion {load:.1f} (1: dealt out)"),
        evidence("I10", dealt - 2.0 * ramp(hours, 6, 12), round(hours, 4), 5.0,
                 f"hours of the day over accounts: chi-square by degree of freedom {hours:.1f} (1: dealt out)"),
        evidence("I12", 9.0 * ramp(joined, 0.3, 0.65) * _strangers(group), round(joined, 4), 0.15,
                 f"{joined:.0%} of those with one subject share a pool of networks, cards and devices"),
        *(item for item in weigh_apart(group, reference, now) if item.indicator != "I12"),
    ]  # fmt: skip
    return [item for item in items if item.contribution]
