"""Families that fall apart, because memberships expired or because they do two jobs: one part goes on, others begin."""

from collections.abc import Mapping

from streams.campaigns.cases import Case
from streams.campaigns.evidence import weigh as weigh_group
from streams.campaigns.families import Family
from streams.campaigns.group import MEMBERS_MIN, Group
from streams.campaigns.groups import weigh
from streams.campaigns.jobs import jobs
from streams.campaigns.naming import named
from streams.campaigns.nats import total
from streams.campaigns.shared import SharedToken
from streams.campaigns.state import CampaignsState
from streams.operator import Record


def divide(state: CampaignsState, now: int) -> list[Record]:
    """Divide families with an open case that do two jobs, if either would be a case by itself.

    Until then they are one case, which the evidence of both opens earlier.
    """
    found = state.families.families
    done: dict[int, int] = {}
    for founder, alert_id in list(state.case_of.items()):
        family, case = found.get(founder), state.cases.cases.get(alert_id)
        if family is None or case is None or not case.live or len(family.tokens) < 2:
            continue
        parts = jobs(t for token in family.tokens if (t := state.shared.tokens.get(token)) is not None)
        if parts and all(_enough(state, part, now) for part in parts.values()):
            state.families.divide(family, list(parts.values()))
            done |= {shared.token: job for job, part in parts.items() for shared in part}
    return split(state, now, done)


def _enough(state: CampaignsState, tokens: list[SharedToken], now: int) -> bool:
    """Tell whether the users of tokens would be a case by themselves."""
    members = state.families.members_of(tokens)
    if len(members) < MEMBERS_MIN:
        return False
    group = Group(state.table, state.shared, members, tokens, now)
    core = named(group)
    if int(core.sum()) < MEMBERS_MIN:
        return False
    return total(weigh_group(group.take(core), state.reference, None, now)) >= state.limit


def split(state: CampaignsState, now: int, job_of: Mapping[int, int] | None = None) -> list[Record]:
    """Put the parts of broken families back as families of their own, and act on those that had an open case.

    ``job_of`` says what job a token's part does, if that is why they are parts.

    The part with most of the accounts that the case named when it opened keeps the case, which loses the others'
    accounts; every other part opens a case of its own if its evidence reaches the threshold.
    """
    out: list[Record] = []
    for family, parts in state.families.broken:
        old = family.founder
        models, nats = state.models.pop(old, None), state.evidence_of.pop(old, None)
        if not parts:  # the case stays with the name: the campaign may come back
            continue
        alert_id = state.case_of.pop(old, "")
        case = state.cases.cases.get(alert_id)
        kept = _keeper(state, parts, case)
        going_on = state.families.found(kept, family)
        founder = going_on.founder
        if models is not None:
            state.models[founder] = models
        if nats is not None:
            state.evidence_of[founder] = nats
        if case is not None:
            state.case_of[founder] = alert_id
            case.founder = founder
            state.cases.dirty[alert_id] = None
        new = [state.families.found(part, None) for part in parts if part is not kept]
        for each in (going_on, *new):
            each.job = (job_of or {}).get(each.founder, each.job)
        if new and case is not None and case.live:
            out += _act(state, [going_on, *new], now)
    state.families.broken.clear()
    return out


def _keeper(state: CampaignsState, parts: list[list[int]], case: Case | None) -> list[int]:
    """The part that the case goes on with; the oldest where it does not say."""
    if case is None:
        return parts[0]
    opening = set(case.opening)
    accounts = [{row for token in part for row in state.shared.tokens[token].members} for part in parts]
    return parts[max(range(len(parts)), key=lambda i: (len(accounts[i] & opening), len(accounts[i]), -i))]


def _act(state: CampaignsState, families: list[Family], now: int) -> list[Record]:
    """The first loses members before the others open."""
    out: list[Record] = []
    for family in families:
        out += weigh(state, family, now, at_once=True)
    return out
