"""Deciding about groups: weigh a family again when it has grown, and open, update, merge or close its case."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from streams.campaigns.cases import CLOSE_MARGIN, WITHDRAW_MS, Case
from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.evidence import weigh as weigh_group
from streams.campaigns.families import OVERLAP, Family, Member
from streams.campaigns.group import MEMBERS_MIN, Group
from streams.campaigns.jobs import differ
from streams.campaigns.naming import named
from streams.campaigns.nats import total
from streams.campaigns.publish import close, end_in, revise
from streams.campaigns.shared import SharedToken
from streams.campaigns.state import CampaignsState
from streams.contracts.alert import Category, Evidence
from streams.operator import Record

LOOK_GROWTH = 1.1  # a group is weighed again when it has grown by a tenth ...
LOOK_AGAIN_MS = 60_000  # ... or when it has new traffic after a minute
WARM_SHARE = 0.4  # of the threshold: from here on a group has River models
# One below that and without a case needs more growth, since evidence grows with the logarithm of a group: most of them
# never come near the threshold, and were weighed at every exchange while they had fewer than ten.
COLD_GROWTH, COLD_EXCHANGES = 1.25, 3  # in exchanges, whichever is more; in accounts as the others
COLD_AGAIN_MS = 600_000
# One in between is weighed again when it has grown by a tenth, but by the clock only every three minutes: a release
# day's rush of hundreds of accounts stays there for hours, and weighing it takes 3 ms.
NEAR_SHARE, TEPID_AGAIN_MS = 0.75, 180_000
FAMILY_CATEGORIES = ("distillation", "technique_search", "anomaly")  # one may turn into another
REFUSED_MIN = 20  # exchanges
REFUSED_SHARE = 0.4  # of what accounts sent besides; of benign ones and of other campaigns hardly one in a hundred is
EVIDENCE_BUCKETS = (-5, 0, 2, 4, 6, 8, 10, 12, 15, 20)


def look(state: CampaignsState, touched: dict[int, None], now: int) -> list[Record]:
    """Act on content tokens that a tick touched: families may have come about, merged, or grown."""
    families: dict[int, None] = {}
    for token in touched:
        if (shared := state.shared.tokens.get(token)) is not None:
            looked = state.families.look(shared)
            if looked is not None:
                families[looked.founder] = None
    out = merge(state, now)
    for founder in sorted(families):
        found = state.families.families.get(founder)
        if found is None or not _grown(state, found, now):
            continue
        if _cold(state, found, now):
            found.looked_exchanges, found.looked_members = state.families.size(found)
            found.looked_at = now
            state.families.dirty[founder] = None
        else:
            out += weigh(state, found, now, for_news=True)
    return out


def _tokens(state: CampaignsState, family: Family) -> list[SharedToken]:
    return [shared for token in family.tokens if (shared := state.shared.tokens.get(token)) is not None]


def _grown(state: CampaignsState, family: Family, now: int) -> bool:
    exchanges, size = state.families.size(family)
    return size >= 2 and (
        exchanges >= family.looked_exchanges * LOOK_GROWTH
        or size >= family.looked_members * LOOK_GROWTH + 1
        or now - family.looked_at >= LOOK_AGAIN_MS
    )


def _cold(state: CampaignsState, family: Family, now: int) -> bool:
    """Tell whether a group was no case, nor close to one, when it was last weighed and has hardly grown since.

    When it is looked at does not depend on this: what is passed over is the weighing alone.
    """
    evidence = state.evidence_of.get(family.founder)
    if evidence is None or evidence >= NEAR_SHARE * state.limit or family.founder in state.case_of:
        return False
    tepid = evidence >= WARM_SHARE * state.limit
    again_ms, growth, more = (TEPID_AGAIN_MS, LOOK_GROWTH, 1) if tepid else (COLD_AGAIN_MS, COLD_GROWTH, COLD_EXCHANGES)
    exchanges, size = state.families.size(family)
    return (
        now - family.weighed_at < again_ms
        and exchanges < max(family.weighed_exchanges * growth, family.weighed_exchanges + more)
        and size < family.weighed_members * LOOK_GROWTH + 1
    )


def weigh(
    state: CampaignsState, family: Family, now: int, at_once: bool = False, for_news: bool = False
) -> list[Record]:
    """Compute a family's evidence and open, update or close its case; ``at_once`` does not wait for its next turn.

    ``for_news`` leaves the evidence of an open case as it was if nothing could be told of it yet.
    """
    tokens = _tokens(state, family)
    members = state.families.members(family)
    family.looked_exchanges, family.looked_members = state.families.size(family)
    family.looked_at = now
    family.weighed_exchanges, family.weighed_members = family.looked_exchanges, family.looked_members
    family.weighed_at = now
    state.families.dirty[family.founder] = None
    case = state.cases.cases.get(state.case_of.get(family.founder, ""))
    if len(members) < MEMBERS_MIN:
        return close(state, case, now, [])
    group = Group(state.table, state.shared, members, tokens, now)
    core = named(group)
    enough = int(core.sum()) >= MEMBERS_MIN
    part = group.take(core) if enough else group
    told = _with_the_named(state, family, group, members, core, case) if enough else group
    if for_news and case is not None and case.live and not _any_news(state, family, case, part, told, now):
        return []
    items = weigh_group(part, state.reference, state.models.get(family.founder), now)
    evidence_total = total(items)
    if family.founder not in state.evidence_of:
        state.groups_seen.append(now)
    limit = state.limit
    state.evidence_of[family.founder] = evidence_total
    state.count("evidence_bucket", next((str(b) for b in EVIDENCE_BUCKETS if evidence_total <= b), "+Inf"))
    if evidence_total >= WARM_SHARE * limit and family.founder not in state.models:
        state.models[family.founder] = ClusterModels()
    named_enough = evidence_total >= limit and enough
    partner = _partner(state, family, part) if named_enough else None
    if partner is not None and (joined := state.families.join(family, partner)) is not None:
        return merge(state, now) + weigh(state, joined, now)
    if case is None or case.status == "merged":
        if not named_enough:
            return []
        if (case := _adopt(state, family, part)) is None:
            return _open(state, family, part, items, limit, now)
        told = _with_the_named(state, family, group, members, core, case)
    return _update(state, case, part, told, items, limit, now, at_once)


def _with_the_named(
    state: CampaignsState, family: Family, group: Group, members: dict[int, Member], core: Any, case: Case | None
) -> Group:
    """Whom to name: with the core those that an open case has named, and that wrap content of their own in its prompts.

    Who is named rests on shares of the group (`naming`), which change with every account that comes: an account would
    be named, withdrawn and named again. Evidence rests on the core alone. Those stay, too, whom the case named as a
    pool's before its prompts were known (``case.pooled``), until they show these or another campaign's case has them.
    """
    if case is None or not case.live:
        return group.take(core)
    told = group.take(core | ((group.solid >= 1) & (group.fresh >= 1) & group.among(set(case.members))))
    if not case.pooled:
        return told
    rows = told.at.tolist()
    others = [state.cases.cases[alert_id] for founder, alert_id in state.case_of.items() if founder != family.founder]
    gone = {row for other in others if other.live for row in other.members.keys() - other.pooled.keys()}.union(rows)
    left = {row: None for row in case.pooled if row in case.members and row not in gone}
    if len(left) < len(case.pooled):
        case.pooled = left
        state.cases.dirty[case.alert_id] = None
    used = {row: members[row] for row in rows} | _blank(state, case.pooled, "first")
    return Group(state.table, state.shared, used, told.tokens, told.now)


def _blank(state: CampaignsState, rows: Iterable[int], last: str = "last") -> dict[int, Member]:
    """Make members of accounts that need not show what the others share; ``last`` is a column of their times."""
    found = state.table.rows
    return {row: Member(int(found["first"][row]), int(found[last][row]), 1, 0, 0) for row in rows}


def _partner(state: CampaignsState, family: Family, group: Group) -> Family | None:
    """Find a family that has an open case and much the same accounts: it and a campaign's are one."""
    rows = set(group.at.tolist())
    for founder, alert_id in state.case_of.items():
        case, other = state.cases.cases.get(alert_id), state.families.families.get(founder)
        if other is None or other is family or case is None or not case.live or not _much_the_same(rows, case):
            continue
        if not differ(group.tokens, _tokens(state, other)):
            return other
    return None


def _any_news(state: CampaignsState, family: Family, case: Case, part: Group, told: Group, now: int) -> bool:
    """Tell whether an open case may be revised now, closed for want of evidence, or joined with another one."""
    return (
        now - case.revised_at >= WITHDRAW_MS
        or (state.cases.due(case, now) and _changed(case, part, told))
        or _partner(state, family, part) is not None
    )


def _changed(case: Case, part: Group, told: Group) -> bool:
    return category_of(part) != case.category or set(told.at.tolist()) != case.members.keys()


def _adopt(state: CampaignsState, family: Family, group: Group) -> Case | None:
    """Take over the oldest open case of a pool with much the same accounts: its prompts are now known, too."""
    rows = set(group.at.tolist())
    for alert_id in state.pool_cases:
        case = state.cases.cases[alert_id]
        if case.live and case.category in FAMILY_CATEGORIES and _much_the_same(rows, case):
            del state.pool_cases[alert_id]
            state.case_of[family.founder] = alert_id
            case.founder = family.founder
            case.pooled = dict.fromkeys(case.members)
            state.cases.dirty[alert_id] = None
            return case
    return None


def _much_the_same(rows: set[int], case: Case) -> bool:
    known = case.members.keys() - case.pooled.keys()
    return len(rows & known) >= max(MEMBERS_MIN, OVERLAP * min(len(rows), len(known)))


def category_of(group: Group) -> Category:
    """What a group does."""
    exchanges = sum(token.exchanges for token in group.tokens)
    refused = sum(token.refused for token in group.tokens)
    if exchanges >= REFUSED_MIN and refused >= 0.5 * exchanges:
        return "technique_search"
    # what got past the guards is in use now, but these accounts tried much else before; who is banned tries the same
    own = max(({kind: _sum(group, kind) for kind in {token.kind for token in group.tokens}}).values(), default=(0, 0))
    exchanges, refused = (
        int(group.rows[n].sum()) - used for n, used in zip(("exchanges", "refused"), own, strict=True)
    )
    if refused >= REFUSED_MIN and refused >= REFUSED_SHARE * exchanges:
        return "technique_search"
    asked = sum(token.elicit + token.grading for token in group.tokens)
    known = sum(max(token.elicit_known, token.grading_known) for token in group.tokens)
    work = int(np.count_nonzero(group.fresh >= 3))
    return "distillation" if asked >= 0.3 * known or work >= 2 else "anomaly"


def _sum(group: Group, kind: int) -> tuple[int, int]:
    """Exchanges of a group's tokens of a kind, and the refused ones among them."""
    tokens = [token for token in group.tokens if token.kind == kind]
    return sum(token.exchanges for token in tokens), sum(token.refused for token in tokens)


def _open(
    state: CampaignsState, family: Family, group: Group, items: list[Evidence], limit: float, now: int
) -> list[Record]:
    rows = group.at.tolist()
    category = category_of(group)
    case = state.cases.open("cluster", category, family.founder, rows, family.founder, int(group.last.max()), now)
    state.case_of[family.founder] = case.alert_id
    return revise(state, case, "open", group, items, limit, now)


def _update(
    state: CampaignsState,
    case: Case,
    part: Group,
    told: Group,
    items: list[Evidence],
    limit: float,
    now: int,
    at_once: bool,
) -> list[Record]:
    """Revise or close a case; ``part`` is whom evidence and category rest on, ``told`` whom to name."""
    if not case.live:
        fresh = int(told.last.max()) > case.revised_at
        return revise(state, case, "updated", told, items, limit, now) if fresh and total(items) >= limit else []
    if total(items) < limit - CLOSE_MARGIN:
        return close(state, case, now, items) if at_once or now - case.revised_at >= WITHDRAW_MS else []
    if not (at_once or state.cases.due(case, now)) or not _changed(case, part, told):
        return []
    case.category = category_of(part)
    return revise(state, case, "updated", told, items, limit, now)


def merge(state: CampaignsState, now: int) -> list[Record]:
    """Cases of families that became one: the older survives and takes the other's members."""
    out: list[Record] = []
    into_of = {absorbed: survivor for survivor, absorbed in state.families.merged}
    for survivor, absorbed in state.families.merged:
        while survivor in into_of:  # absorbed as well, later in the same tick
            survivor = into_of[survivor]
        models = state.models.pop(absorbed, None)
        if models is not None and survivor not in state.models:
            state.models[survivor] = models
        if (nats := state.evidence_of.pop(absorbed, None)) is not None:
            state.evidence_of.setdefault(survivor, nats)
        gone = state.cases.cases.get(state.case_of.pop(absorbed, ""))
        if gone is None:
            continue
        into = state.cases.cases.get(state.case_of.get(survivor, ""))
        if into is None or not into.live:
            # the family goes on under the older token, the case under its own id
            state.case_of[survivor] = gone.alert_id
            gone.founder = survivor
            state.cases.dirty[gone.alert_id] = None
        elif gone.live:
            if gone.opened_at < into.opened_at:
                gone, into = into, gone
                state.case_of[survivor] = into.alert_id
                into.founder = survivor
            out += _take_over(state, into, gone, state.families.families[survivor], now)
    state.families.merged.clear()
    return out


def _take_over(state: CampaignsState, into: Case, gone: Case, family: Family, now: int) -> list[Record]:
    members = state.families.members(family)
    # some no longer show the family's tokens
    members |= _blank(state, (row for row in {**into.members, **gone.members} if row not in members))
    group = Group(state.table, state.shared, members, _tokens(state, family), now)
    group = group.take(np.isin(group.at, list({**into.members, **gone.members})))
    items = weigh_group(group, state.reference, state.models.get(family.founder), now)
    into.pooled |= {row: None for row in gone.pooled if row in gone.members}
    out = revise(state, into, "updated", group, items, state.limit, now)
    return out + end_in(state, gone, into, now)
