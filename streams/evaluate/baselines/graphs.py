"""Union-find over accounts that show the same tokens, within a day."""

from collections.abc import Iterable

from streams.evaluate.baselines.common import Sighting, Suspicion
from streams.evaluate.seen import Seen

# by hand, as in open-source tools of this kind: two weak tokens do not join, a weak and a strong one do
WEIGHTS = {
    "payment": 0.6,
    "device": 0.6,
    "network": 0.35,
    "template": 0.35,
    "prefix": 0.25,
    "system": 0.25,
    "mail": 0.15,
    "client": 0.15,
}
JOINED = 0.55
DEGREE_MAX = 50  # accounts a day that show a token which still says something
WHERE, WHAT = 1, 2  # mail domains, programs and prefixes are anybody's
KIND_BITS = {"payment": WHERE, "device": WHERE, "network": WHERE, "template": WHAT, "system": WHAT}


class Components:
    """Disjoint sets of accounts, by rank, with their members."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}

    def root(self, account: str) -> str:
        """The account that stands for its component."""
        parent = self._parent
        while (up := parent.get(account, account)) != account:
            parent[account] = account = parent.get(up, up)
        return account

    def join(self, one: str, other: str) -> Suspicion | None:
        """Join two components; the grown one, or None if they were one already."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return None
        first, second = self.members.setdefault(a, [a]), self.members.setdefault(b, [b])
        if len(first) < len(second):
            a, b, first, second = b, a, second, first
        self._parent[b] = a
        first += self.members.pop(b)
        return Suspicion(len(first), a, first)


class FixedWeights:
    """Join an account with the last one that showed the same token, once the weights of what they share suffice.

    No token is too popular: whole cities and everybody's favourite program become one component.
    """

    def __init__(self) -> None:
        self.midnight()

    def midnight(self) -> None:
        """Forget all."""
        self._last: dict[Sighting, str] = {}
        self._weights: dict[tuple[str, str], float] = {}
        self._components = Components()

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Link what is new."""
        found = []
        for sighting in fresh:
            other = self._last.get(sighting)
            self._last[sighting] = seen.account
            if other is None or other == seen.account:
                continue
            pair = (min(other, seen.account), max(other, seen.account))
            weight = self._weights[pair] = self._weights.get(pair, 0.0) + WEIGHTS[sighting.kind]
            if weight >= JOINED and (grown := self._components.join(*pair)) is not None:
                found.append(grown)
        return found


class TwoKinds:
    """Join two accounts that share a prompt and a network, card or device, leaving out what over 50 accounts show.

    Blind to campaigns that share prompts only, and takes a course or colleagues with an internal tool for one.
    Of the forms tried on a tuning seed (any two kinds, with and without prefixes, caps of 50 and 100) this one had the
    smallest benign components: 24 accounts, against 540 for any two kinds.
    """

    def __init__(self) -> None:
        self.midnight()

    def midnight(self) -> None:
        """Forget all."""
        self._accounts: dict[Sighting, list[str]] = {}
        self._kinds: dict[tuple[str, str], int] = {}
        self._components = Components()

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Link what is new."""
        found = []
        for sighting in fresh:
            bit = KIND_BITS.get(sighting.kind, 0)
            if not bit:
                continue
            accounts = self._accounts.setdefault(sighting, [])
            if len(accounts) >= DEGREE_MAX:
                continue
            for other in accounts:
                pair = (min(other, seen.account), max(other, seen.account))
                kinds = self._kinds[pair] = self._kinds.get(pair, 0) | bit
                if kinds == WHERE | WHAT and (grown := self._components.join(*pair)) is not None:
                    found.append(grown)
            accounts.append(seen.account)
        return found
