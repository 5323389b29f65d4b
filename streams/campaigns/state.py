"""What the campaigns stage holds: accounts, what they share, groups, the benign reference, watches and cases."""

import math
from typing import Any

import numpy as np

from streams import __version__
from streams.campaigns.cases import Cases, threshold
from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.families import Families
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedTokens
from streams.campaigns.table import AccountTable
from streams.campaigns.watches import Watch
from streams.config import Settings
from streams.settings import settings_digest

HOUR_MS = 3_600_000
UNWATCHED = -math.inf


class Levels:
    """Evidence of each watched account in nats, by row, so that a batch is looked up in one step."""

    def __init__(self) -> None:
        self._levels = np.full(1024, UNWATCHED, np.float32)  # all accounts have one: 4 bytes

    def set(self, row: int, level: float) -> None:
        """Note an account's evidence, `UNWATCHED` for none."""
        if row >= self._levels.size:
            grown = np.full(row + row // 4, UNWATCHED, np.float32)
            grown[: self._levels.size] = self._levels
            self._levels = grown
        self._levels[row] = level

    def upto(self, rows: int) -> Any:
        """Evidence of each row, for so many rows or more."""
        if rows > self._levels.size:
            self.set(rows - 1, UNWATCHED)
        return self._levels


class CampaignsState:
    """All that decisions are made from. Families and pools are named by their founding token, accounts by their row."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.counters: dict[tuple[str, ...], int] = {}
        self.table = AccountTable()
        self.shared = SharedTokens(settings.time.tick_ms)
        self.families = Families(self.shared)
        self.reference = Reference()
        self.models: dict[int, ClusterModels] = {}  # by family
        self.watches: dict[int, Watch] = {}  # by account row
        self.watch_levels = Levels()
        self.dirty_watches: dict[int, None] = {}
        self.cases = Cases(self.table, {"version": __version__, "configuration": settings_digest(settings)})
        self.case_of: dict[int, str] = {}  # family -> its case
        self.pool_cases: dict[str, None] = {}  # cases of pools
        self.groups_seen: list[int] = []  # event times at which candidate groups were first weighed, last day
        self.evidence_of: dict[int, float] = {}  # family -> evidence when last weighed
        self.quarantined: float | None = None  # share of accounts that the reference left out last; for metrics only

    def count(self, *key: str, n: int = 1) -> None:
        """Add to a counter."""
        self.counters[key] = self.counters.get(key, 0) + n

    @property
    def limit(self) -> float:
        """Evidence at which a case opens now, in nats."""
        groups = max(len(self.groups_seen), self.reference.groups_a_day)
        return threshold(groups, self.settings.campaigns.false_cases_per_day)
