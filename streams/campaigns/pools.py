"""Deciding about pools: resellers, and hydras behind proxies."""

from streams.campaigns import proxies, relays
from streams.campaigns.cases import CLOSE_MARGIN, Case
from streams.campaigns.evidence import total, weigh
from streams.campaigns.group import Group
from streams.campaigns.publish import close, end_in, join_account_cases, revise
from streams.campaigns.state import CampaignsState
from streams.contracts.alert import Category, Evidence
from streams.operator import Record


def look_for_relays(state: CampaignsState, now: int) -> list[Record]:
    """Weigh pools that may resell."""
    out: list[Record] = []
    for founder, group in relays.pools(state.table, state.shared, now):
        out += _pool(state, "reseller", founder, group, relays.weigh(group, now), now)
    return out


def look_behind_proxies(state: CampaignsState, now: int) -> list[Record]:
    """Weigh pools that may be one campaign; those that a family's case has come to cover end in it."""
    out: list[Record] = []
    for case in [state.cases.cases[alert_id] for alert_id in state.pool_cases.values()]:
        if case.live and case.category == "distillation":
            out += _into_family(state, case, now)
    covered = {
        row
        for case in state.cases.live()
        if case.category == "distillation" and case.alert_id not in state.pool_cases.values()
        for row in case.members
    }
    for founder, group in proxies.pools(state.table, state.shared, state.families, covered, now):
        out += _pool(state, "distillation", founder, group, weigh(group, state.reference, None, now), now)
    return out


def _into_family(state: CampaignsState, pool: Case, now: int) -> list[Record]:
    """End a pool's case in that of the campaign which names most of its accounts."""
    for case in state.cases.live():
        if case.kind != "cluster" or case.category != pool.category or case.alert_id not in state.case_of.values():
            continue
        if 2 * len(case.members.keys() & pool.members.keys()) >= len(pool.members):
            return end_in(state, pool, case, now)
    return []


def _pool(
    state: CampaignsState, category: Category, founder: int, group: Group, items: list[Evidence], now: int
) -> list[Record]:
    limit = state.limit
    rows = set(group.at.tolist())
    case = _known(state, category, rows)
    if case is not None:
        if total(items) < limit - CLOSE_MARGIN:
            return close(state, case, now, items)
        if rows != set(case.members) and state.cases.due(case, now):
            return revise(state, case, "updated", group, items, limit, now)
        return []
    if total(items) < limit:
        return []
    case = state.cases.open("cluster", category, founder, sorted(rows), founder, int(group.last.max()), now)
    state.pool_cases[founder] = case.alert_id
    out = revise(state, case, "open", group, items, limit, now)
    return out + join_account_cases(state, sorted(rows), case, now)


def _known(state: CampaignsState, category: Category, rows: set[int]) -> Case | None:
    """The same pool as before: the open case that has most of these accounts."""
    known = [each for alert_id in state.pool_cases.values() if (each := state.cases.cases[alert_id]).live]
    known.sort(key=lambda c: (-len(rows & set(c.members)), c.opened_at, c.alert_id))
    for case in known:
        if case.category == category and 2 * len(rows & set(case.members)) >= min(len(rows), len(case.members)):
            return case
    return None
