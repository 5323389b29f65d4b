"""What is done by the clock of event time: expire, rebuild, close what has gone quiet, learn what stayed clean."""

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np

from streams.campaigns.group import PUBLIC_MAIL_ACCOUNTS
from streams.campaigns.groups import WARM_SHARE, weigh
from streams.campaigns.publish import close
from streams.campaigns.reference import CLEAN_MS, WINDOWS_PER_HOUR
from streams.campaigns.singles import forget_watches, look_for_scrapers
from streams.campaigns.splits import split
from streams.campaigns.state import HOUR_MS, CampaignsState
from streams.contracts.packets import CLIENT, HEAD, NETWORK, TAIL
from streams.operator import Record

ANYBODYS = {NETWORK, CLIENT, HEAD, TAIL}  # say little of who belongs together, unless a family is made of them
# Accounts that are held here at most, by those that all partitions of stage accounts may hold. It must be more, so that
# whom this stage forgets early was forgotten there before, and is introduced anew when it comes back.
ROOM = 1.25
GROUP_CLEAN_MS = 24 * HOUR_MS  # and a group after so long


def close_quiet(state: CampaignsState, now: int) -> list[Record]:
    """Close cases whose traffic has ended, or of whose accounts nothing has been found for so long."""
    out: list[Record] = []
    after_ms = state.settings.campaigns.close_after_ms
    for case in state.cases.live():
        last, quiet_ms = case.last_seen, after_ms
        family = state.families.families.get(case.founder) if case.kind == "cluster" else None
        if case.kind == "account":
            quiet_ms = max(after_ms, 3 * HOUR_MS)  # scrapers are looked for, and cases renewed, by the hour
        elif family is not None and case.alert_id not in state.pool_cases:
            last = max((t.last for k in family.tokens if (t := state.shared.tokens.get(k))), default=last)
        if last < now - quiet_ms:
            case.last_seen = max(case.last_seen, last)
            out += close(state, case, now, [])
    return out


def hourly(state: CampaignsState, now: int) -> list[Record]:
    """Let what is old expire, weigh the cases that are left again, look for scrapers, and learn."""
    out: list[Record] = []
    state.groups_seen = [time for time in state.groups_seen if time > now - 24 * HOUR_MS]
    forget_watches(state, now)
    limits = state.settings.accounts
    out += _expire(
        state, now, (now - limits.infrastructure_ttl_ms, now - limits.content_ttl_ms, now - limits.near_prompt_ttl_ms)
    )
    _forget_cases(state, now)
    _evict(state, now)
    for case in state.cases.live():
        if case.kind == "cluster" and case.alert_id not in state.pool_cases:
            family = state.families.families.get(case.founder)
            if family is not None:
                out += weigh(state, family, now)
    out += look_for_scrapers(state, now)
    _learn(state, now)
    return out


def _expire(state: CampaignsState, now: int, before: tuple[int, int, int]) -> list[Record]:
    """Forget what nobody has shown since these times: infrastructure, content, near prompts."""
    if not (changed := state.shared.expire(*before)):
        return []
    state.families.forget(changed)
    return split(state, now)


def make_room(state: CampaignsState, now: int) -> list[Record]:
    """Forget accounts early where there are too many: as in stage accounts, those that are the least loss go first.

    What is shared and not seen for the longest goes too if that is not enough; members of cases always stay.
    """
    table, limits = state.table, state.settings.accounts
    most = int(ROOM * limits.max_accounts * state.settings.kafka.request_partitions)
    if len(table) <= most:
        return []
    out: list[Record] = []
    left = len(table) - most + most // 8
    for again in (False, True):
        rows = np.flatnonzero(table.used["exchanges"])
        last = table.used["last"][rows]
        if again:
            horizon = int(np.partition(last, min(left, last.size - 1))[min(left, last.size - 1)])
            out += _expire(state, now, (horizon, horizon, horizon))
        magnitude = np.minimum(np.frexp(table.used["exchanges"][rows])[1], 4)
        order = rows[np.lexsort((last, magnitude))]
        gone = list(islice(_unnamed(state, order.tolist()), left))
        _let_go(state, gone, "accounts_evicted_early")
        if (left := left - len(gone)) <= 0:
            break
    return out


def _longest_ms(state: CampaignsState) -> int:
    """Life of the longest-lived thing that an account may still be needed for."""
    limits = state.settings.accounts
    longest = max(limits.ttl_ms, limits.infrastructure_ttl_ms, limits.content_ttl_ms, limits.near_prompt_ttl_ms)
    return longest + state.settings.time.tick_ms  # a tick may reach beyond a mark


def _forget_cases(state: CampaignsState, now: int) -> None:
    """Let go of cases that ended so long ago that nothing could reopen them."""
    if not (gone := set(state.cases.forget(now - _longest_ms(state)))):
        return
    state.case_of = {founder: alert_id for founder, alert_id in state.case_of.items() if alert_id not in gone}
    state.pool_cases = {alert_id: None for alert_id in state.pool_cases if alert_id not in gone}


def _evict(state: CampaignsState, now: int) -> None:
    """Forget accounts unseen for longer than stage accounts remembers them, unless something still names them.

    An account that comes back is new there as well, and introduces itself again.
    """
    table = state.table
    old = (table.used["exchanges"] > 0) & (table.used["last"] < now - _longest_ms(state))
    rows = np.flatnonzero(old).tolist()
    if not rows:
        return
    _let_go(state, list(_unnamed(state, rows)), "accounts_evicted")


def _unnamed(state: CampaignsState, rows: list[int]) -> Iterator[int]:
    """Yield those of the rows that nothing else refers to."""
    shared, telling, needed = state.shared, state.families.common.telling_of, state.cases.needed()
    for row in rows:
        if (
            all(row not in held for held in shared.held_by)
            and row not in telling
            and row not in state.watches
            and row not in needed
        ):
            yield row


def _let_go(state: CampaignsState, rows: list[int], counter: str) -> None:
    if rows:
        state.cases.release(rows)
        state.table.evict(np.array(rows, np.int64))
        state.count(counter, n=len(rows))


def _learn(state: CampaignsState, now: int) -> None:
    """Let accounts and groups into the reference against which nothing was held for some time."""
    reference, shared, families = state.reference, state.shared.tokens, state.families.families
    rows = state.table.used
    active = np.flatnonzero((rows["last"] > now - HOUR_MS) & (rows["first"] <= now - CLEAN_MS))
    state.table.suspect(np.array(sorted(_suspicious(state)), np.int64), now)
    kept_out = rows["suspected"] >= (now - CLEAN_MS) // HOUR_MS
    named = [row for case in state.cases.cases.values() for row in case.named]
    kept_out[np.array(named, np.int64)] = True
    state.quarantined = float(kept_out[active].mean()) if active.size else None
    step = max(1, active.size // WINDOWS_PER_HOUR)
    for row in active[::step].tolist():
        if kept_out[row]:
            state.count("model_skip", "half_space_trees")
        elif reference.learn_account(rows[row], now, _clusters(state, row)):
            state.count("model_learn", "half_space_trees")
        else:
            state.count("model_capped", "half_space_trees")
    for founder, nats in state.evidence_of.items():
        if founder not in families or nats >= WARM_SHARE * state.limit or state.case_of.get(founder):
            continue
        root = shared.get(founder)
        if root is not None and now - HOUR_MS < root.first + GROUP_CLEAN_MS <= now:
            reference.learn_group(root.elicitation >= 0.5, root.judging >= 0.5)
            state.count("model_learn", "beta")
    if reference.turn(now):
        state.count("reference_swaps")


def _clusters(state: CampaignsState, row: int) -> list[int]:
    """What an account has in common with others, as hashes: itself, its owner, its tokens and their families."""
    account, shared = state.table.rows[row], state.shared
    found = [int(account["hash"])]
    if org := int(account["org"]):
        found.append(org)
    elif (mail := int(account["mail"])) and state.table.mail_accounts[mail] <= PUBLIC_MAIL_ACCOUNTS:
        found.append(mail)
    *others, near = shared.held_by
    for key in chain(*(held.get(row, ()) for held in others)):
        if (token := shared.tokens.get(key)) is not None:
            if token.family:
                found.append(token.family)
            if token.kind not in ANYBODYS:
                found.append(key)
    found += near.get(row, ())  # they make no family, and of a busy account there are thousands
    return found


def _suspicious(state: CampaignsState) -> set[int]:
    """Rows of accounts in warm groups, open cases and watches."""
    found = {
        row
        for founder, nats in state.evidence_of.items()
        if nats >= WARM_SHARE * state.limit and (family := state.families.families.get(founder)) is not None
        for token in family.tokens
        if (shared := state.shared.tokens.get(token)) is not None
        for row in shared.members
    }
    return found | {row for case in state.cases.live() for row in case.members} | set(state.watches)
