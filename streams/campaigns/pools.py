"""Deciding about pools: resellers, searches for techniques, hydras behind proxies, and cohorts."""

import numpy as np

from streams.campaigns import cohorts, customers, proxies, relays, searches
from streams.campaigns.cases import CLOSE_MARGIN, WITHDRAW_MS, Case
from streams.campaigns.evidence import weigh
from streams.campaigns.explanations import apart
from streams.campaigns.group import Group
from streams.campaigns.groups import FAMILY_CATEGORIES, WARM_SHARE, merge
from streams.campaigns.nats import total
from streams.campaigns.publish import close, end_in, revise
from streams.campaigns.state import CampaignsState
from streams.contracts.alert import Category, Evidence
from streams.contracts.packets import SYSTEM
from streams.operator import Record

SYSTEM_ACCOUNTS_MIN = 8
SYSTEM_ACCOUNTS_MAX = 5_000  # a popular harness's has more, and no pool is half of that
SYSTEM_POOLED_SHARE = 0.5  # joined by cards, devices or networks; of campaigns' accounts 80 %
SYSTEM_APART = 0.5  # of `apart`: three in ten share cards or devices. Of benign prompts 4 % at most (tuning seed 71)

Found = tuple[int, Group, list[Evidence]]  # founding token, accounts, evidence


def look_for_relays(state: CampaignsState, now: int) -> list[Record]:
    """Weigh pools that may resell."""
    found = [
        (founder, group, relays.weigh(group, now)) for founder, group in relays.pools(state.table, state.shared, now)
    ]
    if (early := customers.pool(state.table, state.shared, now)) is not None:
        founder, group, common = early
        kept = _kept(state, group, "reseller", now)
        # whom the first customers seemed to have in common with the pool, and who has had none since, leaves
        kept = kept.take(customers.served(kept.rows))
        if len(kept):  # each of three measures leaves half of them, all three perhaps nobody
            _take_in(state, found, (founder, kept, customers.weigh(group, common)), now)
    return _settle(state, "reseller", found, now)


def _take_in(state: CampaignsState, found: list[Found], other: Found, now: int) -> None:
    """Add a pool to those found by another rule; if one is much the same, they are one, with the stronger evidence."""
    rows = set(other[1].at.tolist())
    for i, (founder, group, items) in enumerate(found):
        known = set(group.at.tolist())
        if 2 * len(rows & known) >= min(len(rows), len(known)):
            both = cohorts.group_of(state.table, state.shared, sorted(rows | known), now)
            both.last = np.minimum(both.last, max(group.last.max(), other[1].last.max()))
            found[i] = (founder, both, max(items, other[2], key=total))
            return
    found.append(other)


def look_for_searches(state: CampaignsState, now: int) -> list[Record]:
    """Weigh pools that may search for a way past the guards."""
    found: list[Found] = []
    if (pool := searches.pool(state.table, state.shared, now)) is not None:
        founder, group, usual = pool
        if 2 * len(_covered(state).intersection(group.at.tolist())) < len(group):
            found.append((founder, group, searches.weigh(group, usual, state.reference, now)))
    return _settle(state, "technique_search", found, now)


def look_at_system_prompts(state: CampaignsState, now: int) -> list[Record]:
    """Make families of system prompts that mostly accounts of a pool show.

    An app's users, who all wrap new content in its system prompt, have nothing else in common, an agency's clients one
    card, and a class one network. Without a purpose of its own such a prompt is else no content to group by.
    """
    # 90 us for twenty accounts: a second for ten thousand apps, every ten minutes
    prompts = [t for t in state.shared.counted if t.kind == SYSTEM and not t.family]
    for prompt in sorted(prompts, key=lambda t: (t.first, t.token)):
        if SYSTEM_ACCOUNTS_MIN <= len(prompt.members) <= SYSTEM_ACCOUNTS_MAX:
            group = cohorts.group_of(state.table, state.shared, sorted(prompt.members), now)
            if len(group.paid | group.pooled) >= SYSTEM_POOLED_SHARE * len(group) and apart(group) < SYSTEM_APART:
                state.families.begin(prompt)
    return merge(state, now)


def _covered(state: CampaignsState) -> set[int]:
    """Accounts that open cases of families name."""
    return {
        row
        for case in state.cases.live()
        if case.category in FAMILY_CATEGORIES and case.alert_id not in state.pool_cases
        for row in case.members
    }


def look_behind_proxies(state: CampaignsState, now: int) -> list[Record]:
    """Weigh pools that may be one campaign; those that a family's case has come to cover end in it."""
    out: list[Record] = []
    for case in [state.cases.cases[alert_id] for alert_id in state.pool_cases]:
        if case.live and case.category in FAMILY_CATEGORIES:
            out += _into_family(state, case, now)
    covered = _covered(state)
    found = [
        (founder, _kept(state, group, "distillation", now), weigh(group, state.reference, None, now))
        for founder, group in proxies.pools(state.table, state.shared, state.families, covered, now)
    ]
    found += [
        (
            cohort.founder,
            _kept(state, cohort.group, "distillation", now),
            cohorts.weigh(cohort, state.reference, now),
        )
        for cohort in cohorts.cohorts(state.table, state.shared, covered, now)
    ]
    return out + _settle(state, "distillation", found, now)


def _kept(state: CampaignsState, group: Group, category: Category, now: int) -> Group:
    """A pool with those whom its case names already: an account that pauses, or stands out by chance, stays.

    Whom a family's case has come to name does not: what joined him with the pool was chance.
    """
    rows, covered = set(group.at.tolist()), _covered(state)
    for case in [state.cases.cases[alert_id] for alert_id in state.pool_cases]:
        alike = 2 * len(rows & case.members.keys()) >= min(len(rows), len(case.members))
        if case.live and case.category == category and alike:
            rows |= case.members.keys() - covered
    if len(rows) == len(group):
        return group
    kept = cohorts.group_of(state.table, state.shared, sorted(rows), now)
    kept.last = np.minimum(kept.last, group.last.max())  # whatever else they do does not keep the case open
    return kept


def _into_family(state: CampaignsState, pool: Case, now: int) -> list[Record]:
    """End a pool's case in that of the campaign which names most of its accounts; it takes those that none names."""
    for case in state.cases.live():
        if case.kind != "cluster" or case.alert_id not in state.case_of.values():
            continue
        if 2 * len(case.members.keys() & pool.members.keys()) >= len(pool.members):
            theirs = [other for other in state.cases.live() if other.alert_id in state.case_of.values()]
            taken = {row for other in theirs for row in other.members}
            new = {row: None for row in pool.members if row not in taken}
            group = cohorts.group_of(state.table, state.shared, sorted({**case.members, **new}), now)
            case.pooled |= new
            return revise(state, case, "updated", group, [], state.limit, now) + end_in(state, pool, case, now)
    return []


def _settle(state: CampaignsState, category: Category, found: list[Found], now: int) -> list[Record]:
    """Give every pool the case it had before, end cases whose pools became one, and open new ones.

    A case goes on in the pool with most of the accounts that it named when it opened. The oldest case of a pool
    survives, and the others end in it. Two rules may find much the same accounts: whoever is mostly inside a pool that
    has a case opens none.
    """
    mine: list[list[Case]] = [[] for _ in found]
    rows = [set(group.at.tolist()) for _, group, _ in found]
    stands = [total(items) >= state.limit - CLOSE_MARGIN for _, _, items in found]
    for _, group, items in found:
        if total(items) >= WARM_SHARE * state.limit:
            state.table.suspect(group.at, now)
    held = [case for alert_id in state.pool_cases if (case := state.cases.cases[alert_id]).category == category]
    for case in held:
        known = _known_by(case)
        alike = [i for i, each in enumerate(rows) if 2 * len(each & known) >= min(len(each), len(known))]
        if alike and case.status != "merged":
            opening = set(case.opening)
            # an ended case may only go on in what is busy again; of two rules that find the same of it, in the one that
            # keeps it open, then in the one that finds more
            best = max(
                alike,
                key=lambda i: (
                    case.live or int(found[i][1].last.max()) > case.revised_at,
                    len(rows[i] & opening),
                    len(rows[i] & case.members.keys()),
                    stands[i],
                    len(rows[i]),
                    -i,
                ),
            )
            mine[best].append(case)
    quiet = now - state.settings.campaigns.close_after_ms
    out: list[Record] = []
    taken = [rows[i] for i, cases in enumerate(mine) if any(case.live for case in cases)]
    # who leaves a case does so before another case names him
    for i in sorted(range(len(found)), key=lambda i: not any(case.live for case in mine[i])):
        (founder, group, items), cases = found[i], mine[i]
        live = [case for case in cases if case.live]
        ended = [case for case in cases if not case.live]
        if live:
            out += _go_on(state, min(live, key=_age), live, group, items, now)
        elif total(items) < state.limit or int(group.rows["last"].max()) < quiet:
            continue  # what is quiet would be closed at once
        elif any(2 * len(rows[i] & other) >= len(rows[i]) for other in taken):
            continue
        elif ended:
            again = _reopen(state, max(ended, key=lambda case: case.revised_at), group, items, now)
            out += again
            taken += [rows[i]] if again else []
        else:
            out += _open(state, category, founder, group, items, now)
            taken.append(rows[i])
    return out


def _known_by(case: Case) -> set[int]:
    """Accounts that tell whether a pool is the one a case is about: its members.

    Of a case that has ended it is those that it began with, as long as any of them is held: whoever came near towards
    its end, and made it too weak to stand, is not what it was about.
    """
    return set(case.members if case.live or not case.opening else case.opening)


def _age(case: Case) -> tuple[int, str]:
    return case.opened_at, case.alert_id


def _go_on(
    state: CampaignsState, case: Case, live: list[Case], group: Group, items: list[Evidence], now: int
) -> list[Record]:
    out: list[Record] = []
    limit = state.limit
    if total(items) < limit - CLOSE_MARGIN:
        for each in live:
            if now - each.revised_at >= WITHDRAW_MS:
                out += close(state, each, now, items)
        return out
    rows, last = set(group.at.tolist()), int(group.last.max())
    if last - case.last_seen >= state.settings.campaigns.close_after_ms // 48:  # found again: it is not over
        case.last_seen = last
        state.cases.dirty[case.alert_id] = None
    if len(live) > 1:
        rows |= {row for each in live for row in each.members}
        whole = cohorts.group_of(state.table, state.shared, sorted(rows), now)
        out += revise(state, case, "updated", whole, items, limit, now)
        for each in live:
            if each is not case:
                out += end_in(state, each, case, now)
    elif rows != set(case.members) and state.cases.due(case, now):
        out += revise(state, case, "updated", group, items, limit, now)
    return out


def _reopen(state: CampaignsState, case: Case, group: Group, items: list[Evidence], now: int) -> list[Record]:
    """A pool whose case was closed is busy again."""
    if int(group.last.max()) <= case.revised_at:
        return []
    return revise(state, case, "updated", group, items, state.limit, now)


def _open(
    state: CampaignsState, category: Category, founder: int, group: Group, items: list[Evidence], now: int
) -> list[Record]:
    rows = group.at.tolist()
    case = state.cases.open("cluster", category, founder, rows, founder, int(group.last.max()), now)
    state.pool_cases[case.alert_id] = None
    return revise(state, case, "open", group, items, state.limit, now)
