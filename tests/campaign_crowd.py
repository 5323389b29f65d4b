"""Twenty accounts with a template in common, for tests of what is made of a group."""

import numpy as np

from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.families import Member
from streams.campaigns.group import Group
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import TEMPLATE

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOW = 500_000 * HOUR_MS
N = 20


class Crowd:
    """Twenty accounts with a template in common, whose features a test changes."""

    def __init__(self) -> None:
        self.table, self.shared = AccountTable(), SharedTokens(1000)
        at = self.table.insert(np.arange(1, N + 1, dtype=np.uint64) << np.uint64(32))
        self.rows = self.table.rows
        self.at = at
        for name, value in (
            ("first", NOW - 30 * HOUR_MS), ("last", NOW), ("exchanges", 40), ("answered", 40),
            ("created", (NOW - 9_000 * HOUR_MS) // DAY_MS),
            ("elicit_known", 40), ("grading_known", 40), ("networks", 20), ("clients", 1),
        ):  # fmt: skip
            self.rows[name][at] = value
        self.rows["hours"][at, :8] = 5
        self.template = self.token(1, TEMPLATE, range(N))
        self.template.exchanges = 100
        self.template.elicit_known = self.template.grading_known = 100
        self.uses, self.fresh = [5] * N, [0] * N
        self.models: ClusterModels | None = None

    def token(self, number: int, kind: int, rows: range) -> SharedToken:
        """Let these accounts share a token."""
        shared = self.shared._add(SharedToken(number, kind, NOW - 30 * HOUR_MS))
        shared.degree, shared.members = len(rows), {row: [NOW - HOUR_MS, NOW, 5, 0] for row in rows}
        if kind < TEMPLATE:
            for row in rows:
                self.shared.infrastructure_of.setdefault(row, []).append(number)
        else:
            shared.contents = set(range(100))
        return shared

    def group(self) -> Group:
        """All of them, with what they use."""
        members = {
            row: Member(NOW - 30 * HOUR_MS, NOW, self.uses[row], self.fresh[row], 1, self.uses[row]) for row in range(N)
        }
        return Group(self.table, self.shared, members, [self.template], NOW)
