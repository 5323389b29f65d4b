"""One candidate group with what its evidence is computed from, as columns."""

import math
from collections import Counter
from functools import cached_property
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet
from scipy.special import gammainc

from streams.campaigns.families import Member
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import CLIENT, DEVICE, NETWORK, PAYMENT

MEMBERS_MIN = 3  # accounts of a group
SINCE_MS = 6 * 3_600_000  # what somebody does besides shows within his working day
PUBLIC_MAIL_ACCOUNTS = 30  # a mail domain of more accounts is public and says nothing about who owns an account
# A token shared by more of all accounts than this links nobody in particular, whatever the cap of the tokens stage.
RARE_SHARE = {NETWORK: 0.002, CLIENT: 0.002, PAYMENT: 0.001, DEVICE: 0.001}
RARE_MIN = {NETWORK: 40, CLIENT: 40, PAYMENT: 200, DEVICE: 200}

COMMON_MIN = 3  # networks in common that join two strangers ...
COMMON_SHARE = 0.3  # ... and of the networks that the one with fewer shares with anybody
OWN_MIN, OWN_SHARE = 3, 0.6  # a network that is the group's own: so many of its accounts, and of all that use it
# Sets of strangers that share a card or device, by chance: ten times what benign groups of tuning seeds have, one in
# 2,000 accounts. It takes three sets of forty accounts, six of four hundred, to be sure.
PAYERS_SHARE, PAYERS_MIN, PAYERS_NATS = 0.005, 0.2, 3.0
PAIRS_MAX = 64  # accounts of a network that are compared pair by pair
FEW = 200  # values whose median is found sooner without numpy: 3 us for twenty, numpy takes 50

Infrastructure = dict[int, tuple[SharedToken, list[int]]]  # token -> itself, and the rows of a group that show it


def median(values: Any) -> float:
    """Median of one value or more."""
    n = values.size
    if n > FEW:
        return float(np.median(values))
    ordered = sorted(values.tolist())
    return float(ordered[n // 2]) if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2


def in_common(met: list[list[int]], common_min: int, common_share: float) -> list[tuple[int, int]]:
    """Pairs of accounts that have at least ``common_min`` of the networks ``met`` in common.

    They must be ``common_share`` of those of the account that has fewer, too. The rows of each network are sorted.
    """
    networks = Counter(row for rows in met for row in rows)
    by_size: dict[int, list[list[int]]] = {}
    for rows in met:
        able = [row for row in rows if networks[row] >= common_min]
        if len(able) >= 2:
            by_size.setdefault(len(able), []).append(able)
    if not by_size:
        return []
    # as columns: of a million accounts' networks the pairs are tens of millions, and a dict of them is gigabytes
    keys = []
    for size, of_size in by_size.items():
        one, two = np.triu_indices(size, 1)
        alike = np.array(of_size, np.int64)
        keys.append((alike[:, one] << 32 | alike[:, two]).ravel())
    pairs, counts = np.unique(np.concatenate(keys), return_counts=True)
    kept = counts >= common_min
    pairs = np.column_stack([pairs[kept] >> 32, pairs[kept] & 0xFFFF_FFFF])
    held = np.array(sorted(networks.items()), np.int64)
    fewer = held[np.searchsorted(held[:, 0], pairs), 1].min(axis=1)
    return [tuple(pair) for pair in pairs[counts[kept] >= common_share * fewer].tolist()]


class Group:
    """Accounts that share content or infrastructure, sorted by row, with their use of what they share."""

    def __init__(
        self, table: AccountTable, shared: SharedTokens, members: dict[int, Member], tokens: list[SharedToken], now: int
    ) -> None:
        self.table, self.shared, self.tokens, self.now = table, shared, tokens, now
        self.at = np.array(sorted(members), np.int64)
        self.rows = table.rows.take(self.at)
        used = [members[row] for row in self.at.tolist()]
        columns = np.array([(m.uses, m.fresh, m.first, m.last, m.tokens, m.solid) for m in used], np.int64)
        self.uses, self.fresh, self.first, self.last, self.shown, self.solid = columns.reshape(-1, 6).T.copy()
        self.exchanges = self.rows["exchanges"].astype(np.int64)
        self.purity = self.uses / np.maximum(1, np.maximum(self.uses, self._since()))
        self._taken: tuple[bytes, Group] | None = None  # the last part: who is named is asked for twice
        self._infrastructure: list[Infrastructure] = []  # once it is known
        self._of_whole: list[Infrastructure] = []  # that of what this is a part of

    def __len__(self) -> int:
        return int(self.at.size)

    def _since(self) -> Any:
        """About how many exchanges each account has had since it first showed what is shared, of `SINCE_MS` at least.

        An account that is held for weeks would otherwise be ever less about what it takes up: 18 uses of 378 exchanges
        after ten days, of 36 in truth. As if it had always sent as much; nothing but its first time is held for that.
        """
        held = np.maximum(1, self.now - self.rows["first"].astype(np.int64))
        return self.exchanges * np.minimum(1.0, np.maximum(SINCE_MS, self.now - self.first) / held)

    def take(self, mask: Any) -> "Group":
        """The part of the group where ``mask`` (of bool) holds. The same mask again gives the same part."""
        if mask.all():
            return self
        key = mask.tobytes()
        if self._taken is not None and self._taken[0] == key:
            return self._taken[1]
        part = Group.__new__(Group)
        # not the whole itself: the two would hold each other until a garbage collection, with 25 MB of a large cohort
        part._taken, part._infrastructure, part._of_whole = None, [], self._infrastructure
        part.table, part.shared, part.tokens, part.now = self.table, self.shared, self.tokens, self.now
        for name in ("at", "rows", "uses", "fresh", "first", "last", "shown", "solid", "exchanges", "purity"):
            setattr(part, name, getattr(self, name)[mask])
        self._taken = key, part
        return part

    def among(self, rows: set[int]) -> Any:
        """Mask of the accounts of these rows."""
        return np.array([row in rows for row in self.at.tolist()], bool)

    @cached_property
    def owner_of(self) -> dict[int, tuple[str, int]]:
        """Whose each row's account is: an organisation's, a private mail domain's, else its own."""
        found: dict[int, tuple[str, int]] = {}
        for row, org, mail in zip(self.at.tolist(), self.rows["org"].tolist(), self.rows["mail"].tolist(), strict=True):
            if org:
                found[row] = "org", org
            elif mail and self.table.mail_accounts[mail] <= PUBLIC_MAIL_ACCOUNTS:
                found[row] = "mail", mail
            else:
                found[row] = "account", row
        return found

    def owners(self) -> Counter[tuple[str, int]]:
        """Accounts per owner."""
        return Counter(self.owner_of.values())

    def _of_several(self, rows: list[int]) -> bool:
        """Tell whether no owner has most of these: a firm's accounts share its card, and that joins no strangers."""
        return 2 * Counter(self.owner_of[row] for row in rows).most_common(1)[0][1] <= len(rows)

    @cached_property
    def infrastructure(self) -> Infrastructure:
        """Rare infrastructure tokens that two or more of the group share, with their rows."""
        found = self._among(self._of_whole[0]) if self._of_whole else self._shown_by_two()
        self._infrastructure.append(found)
        return found

    def _shown_by_two(self) -> Infrastructure:
        held = self.shared.infrastructure_of
        shown: dict[int, int] = {}  # by whom first: most tokens are those of one account of the group
        found: dict[int, list[int]] = {}
        for row in self.at.tolist():
            for token in held.get(row, ()):
                if (other := shown.setdefault(token, row)) != row:
                    found.setdefault(token, [other]).append(row)
        out = {}
        for token in sorted(found):
            rows = found[token]
            shared = self.shared.tokens[token]
            if shared.kind in RARE_SHARE and self._rare(shared, len(rows)):
                out[token] = (shared, rows)
        return out

    def _among(self, whole: Infrastructure) -> Infrastructure:
        """Give the infrastructure of a part: what is not the whole's is not the part's either."""
        part, out = set(self.at.tolist()), {}
        for token, (shared, shown) in whole.items():
            rows = [row for row in shown if row in part]
            if len(rows) >= 2 and self._rare(shared, len(rows)):
                out[token] = (shared, rows)
        return out

    def _rare(self, shared: SharedToken, shown: int) -> bool:
        limit = max(RARE_MIN[shared.kind], RARE_SHARE[shared.kind] * len(self.table))
        # a token that mostly outsiders show is theirs, not the group's
        return shared.degree <= limit or 2 * shown >= shared.degree

    @cached_property
    def pools(self) -> list[tuple[int, list[int]]]:
        """As `joined`, with what is asked of two strangers."""
        return self.joined(COMMON_MIN, COMMON_SHARE)

    @cached_property
    def paid(self) -> set[int]:
        """Rows of the accounts that share a card or device with others' accounts in the group."""
        tokens = self.infrastructure.values()
        shared = (rows for token, rows in tokens if token.kind in (PAYMENT, DEVICE) and self._of_several(rows))
        return {row for rows in shared for row in rows}

    @cached_property
    def payers(self) -> float:
        """0..1: how surely no chance joins strangers of the group by so many cards or devices, apart from each other.

        A family has one, and so has an agency with all its clients: the first counts nothing.
        """
        joined = DisjointSet(self.paid)
        for token, rows in self.infrastructure.values():
            if token.kind in (PAYMENT, DEVICE) and self._of_several(rows):
                for row in rows[1:]:
                    joined.merge(rows[0], row)
        if joined.n_subsets < 2:
            return 0.0
        by_chance = max(PAYERS_MIN, PAYERS_SHARE * len(self))
        # the regularized gamma function is the chance of so many or more events of a Poisson law; of hundreds it is 0.0
        chance = gammainc(joined.n_subsets - 1, by_chance)
        return 1.0 if chance <= math.exp(-PAYERS_NATS) else -math.log(chance) / PAYERS_NATS

    @cached_property
    def pooled(self) -> set[int]:
        """Rows of the accounts that infrastructure joins to two others of the group or more, and not one owner's."""
        joined = (rows for _, rows in self.pools if len(rows) >= MEMBERS_MIN and self._of_several(rows))
        return {row for rows in joined for row in rows}

    def joined(self, common_min: int, common_share: float) -> list[tuple[int, list[int]]]:
        """Components joined by infrastructure: (earliest token, rows) of two accounts or more, largest first.

        A card or device joins its accounts. A network joins two that have several in common, as a router's accounts
        do, or all of its accounts if hardly anybody else uses it; two users of one cloud meet in a few networks only.
        """
        parent: dict[int, int] = {}

        def root(x: int) -> int:
            while parent.setdefault(x, x) != x:
                parent[x] = parent[parent[x]]
                x = parent[x]
            return x

        def join(one: int, two: int) -> None:
            a, b = root(one), root(two)
            parent[max(a, b)] = min(a, b)

        tokens = self.infrastructure
        met: list[list[int]] = []  # of each network that joins nobody by itself, accounts
        for token, rows in tokens.values():
            if token.kind in (PAYMENT, DEVICE) or (
                token.kind == NETWORK and len(rows) >= OWN_MIN and len(rows) >= OWN_SHARE * token.degree
            ):
                for row in rows[1:]:
                    join(rows[0], row)
            elif token.kind == NETWORK:
                met.append(rows[:PAIRS_MAX])
        for one, two in in_common(met, common_min, common_share):
            join(one, two)
        # Oldest token first, each names one pool: two pools may meet on a network that is older than all else of both.
        founder: dict[int, int] = {}
        oldest: dict[int, int] = {}  # where none is left for a pool
        for _, token_id, rows in sorted((token.first, token_id, rows) for token_id, (token, rows) in tokens.items()):
            inside = Counter(root(row) for row in rows if row in parent)
            for r in inside:
                oldest.setdefault(r, token_id)
            if nameless := [r for r in inside if r not in founder]:
                founder[max(nameless, key=lambda r: (inside[r], -r))] = token_id
        pools: dict[int, list[int]] = {}
        for row in self.at.tolist():
            if row in parent:
                pools.setdefault(root(row), []).append(row)
        found = [(founder.get(r, oldest[r]), rows) for r, rows in pools.items() if len(rows) >= 2]
        return sorted(found, key=lambda pool: (-len(pool[1]), pool[0]))
