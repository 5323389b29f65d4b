"""What is remembered of one account, and how an event changes it, compiled."""

from typing import Any

import numpy as np

from streams.accounts import features
from streams.accounts.habits import ACCEPTED, DUPLICATE
from streams.compiled import compiled

VISITS_MAX = 200  # visits
PLACES = 4  # how many of an account's networks and clients are counted: office, home, a server, a phone
USUAL_VISITS = 3  # a stolen key's probe and the start of its burst are two visits
VISIT_PAUSE_MS = 240_000
# half of a hash tells the few places of one account apart: two are taken for one once in 700 million accounts
USUAL = [("values", "<u4", (PLACES,)), ("visits", "u1", (PLACES,))]

ROW = np.dtype(
    [
        ("applied", "<i8"),  # offset of the last record that is part of this state
        ("last_time", "<i8"), ("org", "<u8"), ("mail", "<u8"), ("created_at", "<i8"), ("plan", "<u8"),
        # those that most visits come from, with their votes
        ("network", USUAL), ("client", USUAL),
        ("count", "<u4"),
    ]
)  # fmt: skip

# what became of an event
TAKEN = np.dtype(
    [
        ("outcome", "u1"),  # SKIPPED, DUPLICATE or ACCEPTED
        ("fresh", "u1"),  # 1: the account was away for its lifetime and begins anew with this event
        ("newly_dirty", "u1"),  # 1: it made a clean row dirty
        ("introduced", "u1"),  # 1: what the account says of itself is new; then the last four hold
        ("count", "<u4"),  # the account's exchanges, this one included
        ("gap_ms", "<i8"),  # since the one before, -1: none
        ("bits", "<u8"),  # for what is not one of the account's usual networks or clients
        ("org", "<u8"), ("mail", "<u8"), ("plan", "<u8"), ("created_at", "<i8"),
    ]
)  # fmt: skip

_HALF = np.uint64(2**32 - 1)
_OTHER_NETWORK = np.uint64(1 << features.LAYOUT["other_network"][0])
_OTHER_CLIENT = np.uint64(1 << features.LAYOUT["other_client"][0])


@compiled
def _visit(usual: Any, value: Any) -> None:
    # Misra and Gries (1982), but what is new takes a visit from the least used place only, so passers-by cost no habit
    least = 0
    for j in range(PLACES):
        if usual.visits[j] > 0 and usual.values[j] == value:
            usual.visits[j] = min(VISITS_MAX, usual.visits[j] + 1)
            return
        if usual.visits[j] < usual.visits[least]:
            least = j
    if usual.visits[least] <= 1:
        usual.values[least], usual.visits[least] = value, 1
    else:
        usual.visits[least] -= 1


@compiled
def _other(usual: Any, value: Any) -> bool:
    most, here = 0, 0
    for j in range(PLACES):
        most = max(most, usual.visits[j])
        if usual.values[j] == value:
            here = max(here, usual.visits[j])
    return here < min(most, USUAL_VISITS)


@compiled
def take(
    rows: Any, few: Any, many: Any, many_at: Any, free: Any, top: int, dirty: Any,
    at: Any, offset: Any, time: Any, events: Any, ttl_ms: int, ring: int, taken: Any,
) -> int:  # fmt: skip
    """Take in events of the rows ``at``, in order, into ``taken``; returns the height of the stack ``free``."""
    for i in range(at.size):
        r = at[i]
        row, event, out = rows[r], events[i], taken[i]
        n: Any = np.int64(row.count)
        if n > 0 and time[i] - row.last_time > ttl_ms:
            out.fresh = 1
            n = 0
            row.org, row.mail, row.created_at, row.plan = 0, 0, 0, 0
            row.network.visits[:], row.network.values[:] = 0, 0
            row.client.visits[:], row.client.values[:] = 0, 0
            row.last_time, row.applied = 0, -1
        elif offset[i] <= row.applied:
            continue
        network, client, mail = event.tokens[0], event.tokens[1], event.tokens[4]
        ids = few[r] if many_at[r] < 0 else many[many_at[r]]
        known = False
        for j in range(min(n, ring)):
            if ids[j] == event.digest:
                known = True
                break
        if known:
            out.outcome = DUPLICATE
            continue
        if n >= few.shape[1] and many_at[r] < 0 and ring > few.shape[1]:
            top -= 1
            many_at[r] = free[top]
            for j in range(few.shape[1]):
                many[free[top], j] = ids[j]
            ids = many[free[top]]
        ids[n % ring] = event.digest
        gap = np.int64(-1)
        if n > 0:
            gap = time[i] - row.last_time
            row.last_time = max(row.last_time, time[i])
        else:
            row.last_time = time[i]
        row.applied = offset[i]
        row.count = n + 1
        if dirty[r] < 0:
            dirty[r] = offset[i]
            out.newly_dirty = 1
        if (
            n == 0
            or (event.org != 0 and event.org != row.org)
            or (mail != 0 and mail != row.mail)
            or (event.plan != 0 and event.plan != row.plan)
            or (event.created != 0 and event.created != row.created_at)
        ):
            out.introduced = 1
            row.org = event.org if event.org != 0 else row.org
            row.mail = mail if mail != 0 else row.mail
            row.plan = event.plan if event.plan != 0 else row.plan
            row.created_at = event.created if event.created != 0 else row.created_at
            out.org, out.mail, out.plan, out.created_at = row.org, row.mail, row.plan, row.created_at
        # the first exchange of a visit has a vote: however long a burst from elsewhere goes on, it makes no habit
        visit = gap < 0 or gap >= VISIT_PAUSE_MS
        if network != 0:
            place = np.uint32(network & _HALF)
            if _other(row.network, place):
                out.bits |= _OTHER_NETWORK
            if visit:
                _visit(row.network, place)
        if client != 0:
            place = np.uint32(client & _HALF)
            if _other(row.client, place):
                out.bits |= _OTHER_CLIENT
            if visit:
                _visit(row.client, place)
        out.outcome, out.count, out.gap_ms = ACCEPTED, n + 1, gap
    return top
