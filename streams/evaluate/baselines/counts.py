"""One-line rules: count something a day or an hour."""

import math
from collections.abc import Iterable

from streams.evaluate.baselines.common import Sighting, Suspicion
from streams.evaluate.seen import Seen

HOUR_MS = 3_600_000
ASKS = 0.5  # elicitation from which an exchange asks for reasoning
FEWEST_EXCHANGES = 20  # before a share says anything
Z = 1.96


class AccountRate:
    """Exchanges of an account in a clock hour. Blind to a load that is spread over accounts."""

    def __init__(self) -> None:
        self._hour: dict[str, tuple[int, int]] = {}

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Count the exchange."""
        hour = seen.time_ms // HOUR_MS
        since, count = self._hour.get(seen.account, (hour, 0))
        count = count + 1 if since == hour else 1
        self._hour[seen.account] = hour, count
        return (Suspicion(count, seen.account, (seen.account,)),)

    def midnight(self) -> None:
        """Hours begin by themselves."""


class KeyNetworks:
    """Networks that one API key comes from in a day. Blind to pools whose accounts each have a network."""

    def __init__(self) -> None:
        self._networks: dict[str, set[str]] = {}

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Note the network."""
        if not seen.network:
            return ()
        networks = self._networks.setdefault(seen.key, set())
        if seen.network in networks:
            return ()
        networks.add(seen.network)
        return (Suspicion(len(networks), seen.key, (seen.account,)),)

    def midnight(self) -> None:
        """Forget all."""
        self._networks.clear()


class ReasoningShare:
    """Share of an account's exchanges that ask for reasoning. Blind to cover traffic and to other words."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Count the exchange."""
        counts = self._counts.setdefault(seen.account, [0, 0])
        counts[0] += 1
        if seen.elicitation < ASKS:
            return ()
        counts[1] += 1
        if counts[0] < FEWEST_EXCHANGES:
            return ()
        return (Suspicion(wilson(counts[1], counts[0]), seen.account, (seen.account,)),)

    def midnight(self) -> None:
        """Forget all."""
        self._counts.clear()


def wilson(k: int, n: int) -> float:
    """Lower bound of a share (Wilson 1927), which rises with the number of exchanges.

    >>> round(wilson(20, 20), 2), round(wilson(10, 20), 2)
    (0.84, 0.3)
    """
    p, spread = k / n, Z * Z / n
    return (p + spread / 2 - Z * math.sqrt(p * (1 - p) / n + spread / (4 * n))) / (1 + spread)


class SharedTemplate:
    """Accounts that show one prompt template in a day. Blind to who they are and to what the prompt is for."""

    kind = "template"

    def __init__(self) -> None:
        self._accounts: dict[str | int, list[str]] = {}

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Note a template that is new to the account."""
        for kind, token in fresh:
            if kind == self.kind:
                accounts = self._accounts.setdefault(token, [])
                accounts.append(seen.account)
                if len(accounts) > 1:
                    return (Suspicion(len(accounts), str(token), accounts),)
        return ()

    def midnight(self) -> None:
        """Forget all."""
        self._accounts.clear()


class SharedPrefix(SharedTemplate):
    """Accounts that show one prompt prefix, the first six words, in a day."""

    kind = "prefix"
