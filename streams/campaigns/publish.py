"""Publishing: revisions of the cases of groups and of single accounts."""

from collections import Counter
from typing import Any

from streams.campaigns.cases import Case, tokens
from streams.campaigns.group import Group
from streams.campaigns.nats import total
from streams.campaigns.state import HOUR_MS, CampaignsState
from streams.contracts.alert import Category, Evidence
from streams.operator import Record


def revise(
    state: CampaignsState, case: Case, status: Any, group: Group, items: list[Evidence], limit: float, now: int
) -> list[Record]:
    """Publish a revision of a cluster's case, with the group as its members; their own cases end in it."""
    rows = group.at.tolist()
    out = state.cases.revise(case, status, rows, items, limit, now, _pools(state, case, group), int(group.last.max()))
    return out + _join_account_cases(state, case, now)


def _pools(state: CampaignsState, case: Case, group: Group) -> list[tuple[int, list[int]]]:
    """Pools of a group: the token that names each, and its accounts.

    A token names a pool if most of those of the group who show it are in there: the one that the case named it by, else
    the one that another case did, if it joins a quarter of the pool (two campaigns use one pool), else the oldest that
    joins as many.
    """
    pools, shown, mine = group.pools, group.infrastructure, set(tokens(case))
    place = {row: i for i, (_, rows) in enumerate(pools) for row in rows}
    known: dict[int, tuple[bool, int, int]] = {}  # best name that a case gave each pool
    oldest: dict[int, tuple[bool, int, int]] = {}  # of the tokens that join a quarter of it, else of all
    for token, (held, users) in shown.items():
        if not (inside := Counter(place[row] for row in users if row in place)):
            continue
        i, n = max(inside.items(), key=lambda item: (item[1], -item[0]))
        if 2 * n <= len(users):
            continue
        few = 4 * n < len(pools[i][1])
        if token in mine or (not few and state.cases.naming[token] > 0):
            known[i] = max(known.get(i, (False, 0, 0)), (token in mine, n, -token))
        oldest[i] = min(oldest.get(i, (True, held.first, token)), (few, held.first, token))
    names = {i: token for i, (_, _, token) in oldest.items()} | {i: -token for i, (_, _, token) in known.items()}
    # one that nothing but networks in common joins, none of which is mostly its own, has no token to itself
    return [(names.get(i, founder), rows) for i, (founder, rows) in enumerate(pools)]


def close(state: CampaignsState, case: Case | None, now: int, items: list[Evidence]) -> list[Record]:
    """End a case, if there is one that is open."""
    if case is None or not case.live:
        return []
    return state.cases.revise(case, "closed", list(case.members), items, state.limit, now)


def end_in(state: CampaignsState, gone: Case, into: Case, now: int) -> list[Record]:
    """End a case in another one, which has its members already."""
    gone.merged_into = into.alert_id
    return state.cases.revise(gone, "merged", list(gone.members), [], state.limit, now)


def _join_account_cases(state: CampaignsState, case: Case, now: int) -> list[Record]:
    """Accounts' own cases of the same category end in the cluster's."""
    out: list[Record] = []
    for own in state.cases.live():
        if own.kind == "account" and own.founder in case.members and own.category == case.category:
            out += end_in(state, own, case, now)
    return out


def account_case(
    state: CampaignsState, row: int, category: Category, items: list[Evidence], limit: float, now: int
) -> list[Record]:
    """Open or update the case of a single account, unless a cluster's case of the same category names it."""
    last = int(state.table.rows[row]["last"])
    if category != "stolen_credential" and any(
        case.kind == "cluster" and case.category == category and row in case.members for case in state.cases.live()
    ):
        return []
    for case in state.cases.cases.values():
        if case.kind == "account" and case.founder == row and case.category == category and case.status != "merged":
            if case.live and not state.cases.due(case, now):
                return []
            if not case.live and last <= case.revised_at:
                return []  # nothing new
            if case.live and total(items) <= case.evidence_total + 1.0 and case.last_seen >= last - HOUR_MS:
                return []
            return state.cases.revise(case, "updated", [row], items, limit, now, None, last)
    case = state.cases.open("account", category, row, [row], None, last, now)
    return state.cases.revise(case, "open", [row], items, limit, now, None, last)
