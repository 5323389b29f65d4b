"""Sums of a family that are kept up, against the same found anew."""

import numpy as np
import pytest

from streams.campaigns.families import Families
from streams.campaigns.shared import SharedTokens
from streams.contracts.packets import HEAD, NETWORK, SIGNAL, SYSTEM, TEMPLATE

TICK_MS = 1_000
ACCOUNTS, TICKS, EXPIRE_TICKS = 12, 120, 15
TOKENS = {1: TEMPLATE, 2: TEMPLATE, 3: TEMPLATE, 4: SYSTEM, 5: HEAD, 6: NETWORK}
COLUMNS = {TEMPLATE: "template", SYSTEM: "system", HEAD: "head"}
ASKING = 4 << 2  # an elicitation in the highest quarter


class Traffic:
    """Accounts that show a few tokens more and more, all asking for reasoning."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.shared = SharedTokens(TICK_MS)
        self.families = Families(self.shared)

    def tick(self, now: int) -> None:
        """Some links, then some signals, as intake takes them."""
        for token in self.random.choice(list(TOKENS), 2).tolist():
            row, time = int(self.random.integers(ACCOUNTS)), now - int(self.random.integers(3 * TICK_MS))
            shared = self.shared.link((0, now, token, row, time, time, 2, TOKENS[token], 1), row)
            if shared.family:
                self.families.note(shared, 0)
                self.families.look(shared, row)
        rows = self.random.integers(0, ACCOUNTS, 4).astype(np.int32)
        signals = np.zeros(4, SIGNAL)
        signals["time"], signals["bins"] = now, ASKING
        signals["content"] = self.random.integers(1, 40, 4)
        for kind, column in COLUMNS.items():
            of_kind = [token for token, each in TOKENS.items() if each == kind]
            signals[column] = self.random.choice([0, *of_kind], 4)
        used = self.shared.absorb(rows, signals)
        for token, (exchanges, _, users) in used.items():
            if (shared := self.shared.tokens[token]).family:
                self.families.note(shared, exchanges)
                for user in users:
                    self.families.look(shared, user)
        for shared in list(self.shared.tokens.values()):
            if shared.kind != NETWORK:
                self.families.look(shared)

    def expire(self, before: int) -> int:
        """Forget what was not seen since; families that fall apart go on in parts. Returns how many lost members."""
        changed = self.shared.expire(before, before, before)
        self.families.forget(changed)
        lost = len(self.families.broken)
        for family, parts in self.families.broken:
            for i, part in enumerate(parts):
                self.families.found(part, None if i else family)
        self.families.broken.clear()
        return lost

    def told(self) -> list[object]:
        """What is kept up of every family, and of every pair of tokens."""
        found = self.families
        return [
            found.common._counts,
            *((family.founder, found.size(family), found.members(family)) for family in found.families.values()),
        ]


def anew(traffic: Traffic) -> list[object]:
    """The same of state that was just restored."""
    traffic.families._uses.clear()
    traffic.families._sizes.clear()
    traffic.families.common.restore(traffic.families.common.telling_of)
    return traffic.told()


@pytest.mark.parametrize("seed", range(5))
def test_kept_up_is_as_found_anew(seed):
    """After each tick and expiry, members and sizes that are kept up are those that a restored stage would find."""
    kept, fresh = Traffic(seed), Traffic(seed)
    merged = grown = lost = 0
    for tick in range(1, TICKS):
        kept.tick(tick * TICK_MS)
        fresh.tick(tick * TICK_MS)
        if tick % EXPIRE_TICKS == 0:
            lost += kept.expire((tick - EXPIRE_TICKS) * TICK_MS)
            fresh.expire((tick - EXPIRE_TICKS) * TICK_MS)
        assert anew(fresh) == kept.told()
        merged += len(kept.families.merged)
        kept.families.merged.clear()
        grown = max(grown, *(len(family.tokens) for family in kept.families.families.values()), 0)
    assert merged
    assert lost
    assert grown > 2


@pytest.mark.parametrize("kind", [TEMPLATE, NETWORK])
def test_a_membership_that_is_older_than_it_was_told_of(kind):
    """It expires by when the account showed the token, although the token was looked through since."""
    shared = SharedTokens(TICK_MS)
    for row, last in ((1, 100), (2, 100)):
        shared.link((0, 100, 7, row, last, last, 2, kind, 1), row)
    shared.expire(50, 50, 50)
    shared.link((0, 110, 7, 3, 60, 60, 3, kind, 1), 3)
    shared.expire(80, 80, 80)

    token = shared.tokens[7]
    assert {1, 2} == {*token.members, *token.seen}
