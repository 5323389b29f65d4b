"""How much one exchange can tell: the divergence of hostile from benign exchanges, in nats, and the bound it sets.

Wald (1947): no test that raises a false alarm with probability alpha can need fewer exchanges on average than
log(1/alpha) / D, D being the Kullback-Leibler divergence per exchange. Here D is that of what is visible of a single
exchange: what it asks for, and, where an account shows a template, card, device or network for the first time, how many
have shown it before. It is measured, so it holds for this traffic and these features only: a detector that looks at
more, such as the even split of the load, may be below it, and one that does not know which exchanges belong together
is above it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import xxhash

from streams.evaluate.seen import Seen

Cell = tuple[int, ...]
PRIOR = 0.5  # added to each cell of the benign traffic (Krichevsky and Trofimov 1981)


class Cells:
    """Sort exchanges into cells by what is visible of them; remembers who has shown what."""

    def __init__(self) -> None:
        self._pairs: set[int] = set()
        self._accounts: Counter[tuple[str, object]] = Counter()

    def cell(self, seen: Seen) -> Cell:
        """Cell of an exchange, after which it counts among those before."""
        return (
            min(int(seen.elicitation * 4), 3),
            min(int(seen.grading * 4), 3),
            self._others(seen, "template", seen.template),
            self._others(seen, "payment", seen.payment),
            self._others(seen, "device", seen.device),
            self._others(seen, "network", seen.network),
        )

    def _others(self, seen: Seen, kind: str, token: object) -> int:
        """Other accounts that have shown a token: 0, 1, 2-3, 4-7, ... as 0 to 5; -1 if this one has, too."""
        if not token:
            return -1
        pair = xxhash.xxh3_64_intdigest(f"{kind}/{token}/{seen.account}".encode())
        if pair in self._pairs:
            return -1
        self._pairs.add(pair)
        self._accounts[kind, token] += 1
        return min((self._accounts[kind, token] - 1).bit_length(), 5)


def divergence(hostile: Iterable[Cell], benign: Mapping[Cell, int]) -> float:
    """Kullback-Leibler divergence per exchange in nats, at least 0; 0 without exchanges.

    The bias of the plug-in estimate, (cells - 1) / 2n, is taken off (Miller 1955).

    >>> round(divergence([(1,)] * 50 + [(0,)] * 50, {(0,): 9_900, (1,): 100}), 1)
    1.6
    """
    count = Counter(hostile)
    n, total = sum(count.values()), sum(benign.values())
    if not n or not total:
        return 0.0
    cells = len(benign.keys() | count.keys())
    found = 0.0
    for cell, k in count.items():
        q = (benign.get(cell, 0) + PRIOR) / (total + PRIOR * cells)
        found += k / n * math.log(k / n / q)
    return max(found - (len(count) - 1) / (2 * n), 0.0)


def bound(log_inverse_alpha: float, nats_per_exchange: float) -> float | None:
    """Fewest exchanges that any test needs on average; None if an exchange tells nothing."""
    return log_inverse_alpha / nats_per_exchange if nats_per_exchange > 0 else None
