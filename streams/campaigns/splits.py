"""Families that fell apart because memberships expired: one part goes on, the others begin anew."""

from streams.campaigns.cases import Case
from streams.campaigns.families import Family
from streams.campaigns.groups import weigh
from streams.campaigns.state import CampaignsState
from streams.operator import Record


def split(state: CampaignsState, now: int) -> list[Record]:
    """Put the parts of broken families back as families of their own, and act on those that had an open case.

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
