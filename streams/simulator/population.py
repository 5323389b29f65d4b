"""A population: accounts that share a way of life, and their exchanges slice by slice of event time.

Each population draws from a random stream of its own, so adding a campaign leaves every other event as it was.
"""

from collections.abc import Callable

import msgspec
import numpy as np
import xxhash

from streams.simulator import exchanges
from streams.simulator.accounts import NEW_MODEL, STYLES, Accounts
from streams.simulator.content import Content, Overheard
from streams.simulator.rhythm import Rhythm

FreshClient = Callable[[np.random.Generator, int], bytes]  # draw a client for a session of the given account


Adjust = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # change or drop exchanges at the end
NEVER_MS = 1 << 60
PIECE_MS, LONG_PIECE_MS = 600_000, 1_800_000  # a rhythm is taken as constant for so long; in runs of many days


class Span(msgspec.Struct, frozen=True):
    """The event time that a plan covers, in ms, with its seed and the factor on benign rates."""

    seed: int
    start_ms: int
    end_ms: int
    activity: float = 1.0
    release_ms: int | None = None

    def rng(self, *path: object) -> np.random.Generator:
        """Make the random stream of one purpose; equal paths give equal streams on every run."""
        digest = xxhash.xxh3_128_intdigest("/".join(map(str, (self.seed, *path))).encode())
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(digest)))


class Population:
    """Accounts of one kind or campaign and the exchanges they make.

    ``start_ms`` and ``end_ms`` bound the starts of sessions; ``fresh`` replaces the account's own clients by new ones
    for a share of the sessions (ephemeral runners, rotating exits, end users behind a relay). ``even`` deals sessions
    out in turn. ``adjust`` has the last word on finished exchanges.
    """

    def __init__(
        self,
        name: str,
        rng: np.random.Generator,
        accounts: Accounts,
        rhythm: Rhythm,
        content: Content,
        *,
        start_ms: int = 0,
        end_ms: int = 1 << 62,
        fresh: FreshClient | None = None,
        fresh_share: float = 1.0,
        even: bool = False,
        adjust: Adjust | None = None,
    ) -> None:
        self.name = name
        self.rng = rng
        self.accounts = accounts
        self.rhythm = rhythm
        self.content = content
        self.start_ms, self.end_ms = start_ms, end_ms
        self.fresh, self.fresh_share = fresh, fresh_share
        self.even = even
        self.adjust = adjust
        self.release_ms: int | None = None
        self.overheard: Overheard | None = None  # prompts of others, for whoever copies them
        self.sessions = 0
        self.members = [np.flatnonzero(accounts.style == style).astype(np.int32) for style in range(len(STYLES))]
        self.dealt = [0] * len(STYLES)

    def expected(self, start_ms: int, end_ms: int, step_ms: int = 1_800_000) -> np.ndarray:
        """Expected exchanges of each account over a span (sessions begun there), up to the cap on their length."""
        moments = np.arange(start_ms, end_ms, step_ms) + step_ms // 2
        offsets = self.accounts.utc_offset_h
        total = np.zeros(len(self.accounts))
        for moment in moments.tolist():
            if self.start_ms <= moment < self.end_ms:
                total += self.rhythm(moment, offsets)
        return np.asarray(total * self.accounts.rate * step_ms / 86_400_000)

    def slice(self, start_ms: int, end_ms: int) -> np.ndarray:
        """Exchanges of the sessions that begin in [start, end); some may lie beyond the end."""
        start_ms, end_ms = max(start_ms, self.start_ms), min(end_ms, self.end_ms)
        step = PIECE_MS if end_ms - start_ms <= PIECE_MS else LONG_PIECE_MS
        starts = [self._begin(start, min(start + step, end_ms)) for start in range(start_ms, end_ms, step)]
        if not any(len(owner) for owner, _ in starts):
            return np.zeros(0, exchanges.EXCHANGE)
        owner, begins = (np.concatenate(parts) for parts in zip(*starts, strict=True))
        rows = exchanges.lay_out(self.rng, self.accounts, owner, begins, self.sessions)
        self.sessions = int(rows["session"][-1]) + 1
        if self.even:
            self._deal(rows)
        return self.finish(rows)

    def _begin(self, start_ms: int, end_ms: int) -> tuple[np.ndarray, np.ndarray]:
        """Start the sessions of a span so short that the rhythm hardly changes."""
        accounts = self.accounts
        factor = self.rhythm((start_ms + end_ms) // 2, accounts.utc_offset_h)
        factor = np.where((accounts.from_ms < end_ms) & (accounts.to_ms > start_ms), factor, 0.0)
        return exchanges.begin(self.rng, accounts, factor, start_ms, end_ms)

    def _deal(self, rows: np.ndarray) -> None:
        """Deal sessions out in turn, as a router does, to accounts of the style that the session is of."""
        session = rows["session"] - rows["session"][0]
        begins = np.flatnonzero(np.diff(session, prepend=-1))
        owner = rows["account"][begins]
        style = self.accounts.style[owner]
        for one, members in enumerate(self.members):
            mine = np.flatnonzero(style == one)
            owner[mine] = members[(self.dealt[one] + np.arange(len(mine))) % max(len(members), 1)]
            self.dealt[one] += len(mine)
        rows["account"] = owner[session]

    def finish(self, rows: np.ndarray) -> np.ndarray:
        """Write texts, then sizes, outcome and client of laid-out exchanges."""
        self.content(self.rng, self.accounts, rows)
        exchanges.complete(self.rng, self.accounts, rows)
        if self.release_ms is not None:
            self._adopt(rows, self.release_ms)
        if self.fresh is not None:
            self._renew(rows, self.fresh)
        return rows if self.adjust is None else self.adjust(self.rng, rows)

    def _adopt(self, rows: np.ndarray, release_ms: int) -> None:
        """Switch accounts to the new model, each when it gets round to it; a fifth of the calls stay behind."""
        adopted = rows["time"] > release_ms + np.minimum(self.accounts.adopts_ms[rows["account"]], NEVER_MS)
        rows["model"][adopted & (self.rng.random(len(rows)) < 0.8)] = NEW_MODEL

    def _renew(self, rows: np.ndarray, fresh: FreshClient) -> None:
        session, first = np.unique(rows["session"], return_index=True)
        chosen = self.rng.random(len(session)) < self.fresh_share
        drawn = {
            number: fresh(self.rng, account)
            for number, account, take in zip(
                session.tolist(), rows["account"][first].tolist(), chosen.tolist(), strict=True
            )
            if take
        }
        column = rows["client"]
        for i, number in enumerate(rows["session"].tolist()):
            if (client := drawn.get(number)) is not None:
                column[i] = client
