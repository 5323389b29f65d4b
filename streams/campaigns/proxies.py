"""Pools behind proxies: accounts joined by rare infrastructure that also share prompts with a purpose.

A hydra mixes a little distillation into much cover traffic, so that neither its content alone nor its infrastructure
alone says much: households and companies share networks, and public texts are copied by strangers. Both at once, among
accounts with different owners, is rare.
"""

from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from streams.campaigns.families import Families, Member
from streams.campaigns.group import Group
from streams.campaigns.shared import SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import SYSTEM

POOL_MIN = 5
BUSY_EXCHANGES = 80  # an account with more shows some public text sooner or later


def pools(
    table: AccountTable, shared: SharedTokens, families: Families, covered: set[int], now: int
) -> list[tuple[int, Group]]:
    """Candidate pools: (token that founds it, its accounts that share telling prompts with another of them).

    ``covered`` are accounts that a case already names.
    """
    suspects: dict[int, list[int]] = {}
    for row, tokens in families.common.telling_of.items():
        asked = [t for t in tokens if (found := shared.tokens.get(t)) is not None and found.kind != SYSTEM]
        if asked and row not in covered:
            suspects[row] = asked
    if len(suspects) < POOL_MIN:
        return []
    blank = {row: Member(0, 0, 0, 0, 0) for row in suspects}
    out = []
    for founder, rows in Group(table, shared, blank, [], now).pools:
        if len(rows) < POOL_MIN:
            continue
        users: dict[int, list[int]] = {}
        for row in rows:
            for token in suspects[row]:
                users.setdefault(token, []).append(row)
        # a token counts if several of the pool show it and they are not a few of its many users
        inside = [
            shared.tokens[token]
            for token, found in sorted(users.items())
            if token in shared.tokens and len(found) >= 2 and 2 * len(found) >= len(shared.tokens[token].members)
        ]
        members: dict[int, Member] = {}
        for found_token in inside:
            for row in users[found_token.token]:
                use = found_token.members.get(row)
                if use is None:
                    continue
                if (member := members.get(row)) is None:
                    members[row] = Member(use[0], use[1], use[2], use[3], 1)
                else:
                    member.first, member.last = min(member.first, use[0]), max(member.last, use[1])
                    member.uses += use[2]
                    member.fresh += use[3]
                    member.tokens += 1
        group = Group(table, shared, members, inside, now)
        # one public text among much else is no sign of belonging
        close = (group.shown >= 2) | (group.uses >= 3) | (group.exchanges < BUSY_EXCHANGES)
        group = group.take(close & (group.purity >= 0.01))
        group = group.take(_of_one_kind(group))
        if len(group) >= POOL_MIN:
            out.append((founder, group))
    return out


def _of_one_kind(group: Group) -> Any:
    """Mask of a pool's accounts without the few whom a network has put beside it and whose prompts are others.

    Accounts with prompts in common, directly or by way of others, are of one kind. Where most of the pool is, a handful
    that shows none of its prompts is no part of it; as long as the pool is in pieces, nothing can be told.
    """
    kinds = DisjointSet(group.at.tolist())
    for token in group.tokens:
        rows = [row for row in group.at.tolist() if row in token.members]
        for row in rows[1:]:
            kinds.merge(rows[0], row)
    sizes = np.array([kinds.subset_size(row) for row in group.at.tolist()], np.int64)
    if 2 * sizes.max(initial=0) <= len(group):
        return np.ones(len(group), bool)
    return sizes >= POOL_MIN
