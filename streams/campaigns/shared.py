"""Shared tokens: who shows them, how often, and what these exchanges are like.

Only here is traffic *purified*: an exchange that carries a shared template counts for the template, whatever else its
account does, so cover traffic does not dilute it.
"""

from typing import Any

import numpy as np

from streams.accounts.features import LAYOUT
from streams.campaigns.index import HashIndex
from streams.contracts.packets import HEAD, NEAR_LOW, SYSTEM, TAIL, TEMPLATE

WORK_USES = 3  # uses with new content that make an account a worker
CONTENTS_MAX = 512  # different contents remembered per token; more is simply "many"
SIGNAL_KINDS = (("template", TEMPLATE), ("system", SYSTEM), ("head", HEAD), ("tail", TAIL))

Member = list[int]  # first, last, uses, uses with content that was new to the token


class SharedToken:
    """A token that two accounts or more show, with its memberships by account row."""

    __slots__ = (
        "answered", "contents", "degree", "elicit", "elicit_known", "exchanges", "family", "first", "grading",
        "grading_known", "kind", "last", "members", "output", "refused", "regulars", "token", "topics",
        "work", "workers",
    )  # fmt: skip

    def __init__(self, token: int, kind: int, first: int) -> None:
        self.token, self.kind, self.first, self.last = token, kind, first, first
        self.degree = 0
        self.exchanges = self.answered = self.refused = self.output = 0
        self.elicit = self.elicit_known = self.grading = self.grading_known = 0
        self.regulars = 0  # members with two uses or more
        self.workers = 0  # members that wrapped new content `WORK_USES` times or more ...
        self.work = 0  # ... and how often they did
        self.topics = [0] * 16
        self.members: dict[int, Member] = {}
        self.contents: set[int] = set()
        self.family = 0  # token of the family's founder, 0: none

    @property
    def elicitation(self) -> float:
        """Share of its exchanges that ask for the model's reasoning, of those where this is known (prior 0 of 1)."""
        return self.elicit / (self.elicit_known + 1.0)

    @property
    def judging(self) -> float:
        """Share of its exchanges that use the model as a grader (prior 0 of 1)."""
        return self.grading / (self.grading_known + 1.0)

    def dump(self) -> tuple[Any, ...]:
        """Plain numbers."""
        return (
            self.token, self.kind, self.first, self.last, self.degree, self.exchanges, self.answered, self.refused,
            self.output, self.elicit, self.elicit_known, self.grading, self.grading_known, self.family,
            self.regulars, self.topics,
            sorted(self.contents), [[row, *member] for row, member in self.members.items()],
        )  # fmt: skip

    @classmethod
    def load(cls, state: "TokenState") -> "SharedToken":
        """Rebuild from `dump`."""
        shared = cls(state[0], state[1], state[2])
        (
            _, _, _, shared.last, shared.degree, shared.exchanges, shared.answered, shared.refused, shared.output,
            shared.elicit, shared.elicit_known, shared.grading, shared.grading_known, shared.family, shared.regulars,
            shared.topics,
            contents, members,
        ) = state  # fmt: skip
        shared.contents = set(contents)
        shared.members = {member[0]: list(member[1:5]) for member in members}
        work = [member[4] for member in members if member[4] >= WORK_USES]
        shared.workers, shared.work = len(work), sum(work)
        return shared


TokenState = tuple[
    int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, list[int], list[int], list[list[int]]
]


class SharedTokens:
    """All shared tokens, by token; which rows show which content, and which infrastructure."""

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms
        self.tokens: dict[int, SharedToken] = {}
        self._index = HashIndex()
        self._by_row: list[SharedToken] = []  # in order of the index
        self.content_of: dict[int, list[int]] = {}  # account row -> its content tokens
        self.infrastructure_of: dict[int, list[int]] = {}
        self.dirty: dict[int, None] = {}

    def link(self, item: tuple[int, ...], row: int) -> SharedToken:
        """Take in one LINK item (as a tuple) of account ``row``."""
        _, time, token, _, first, last, degree, kind, member_item = item
        shared = self.tokens.get(token)
        if shared is None:
            shared = self._add(SharedToken(token, kind, first))
        if degree > shared.degree:
            shared.degree = degree
        self.dirty[token] = None
        if not member_item:
            return shared
        member = shared.members.get(row)
        if member is None:
            # a member's exchanges count from this tick on; what the founder showed before is one use
            uses = 1 if first <= time - self._tick_ms else 0
            shared.members[row] = [first, last, uses, uses]
            place = self.content_of if kind >= TEMPLATE else self.infrastructure_of
            place.setdefault(row, []).append(token)
        elif last > member[1]:
            member[1] = last
        if last > shared.last:
            shared.last = last
        return shared

    def _add(self, shared: SharedToken) -> SharedToken:
        self.tokens[shared.token] = shared
        at = int(self._index.insert(np.array([shared.token], np.uint64))[0])
        if at < len(self._by_row):  # shared before, expired, and shared again
            self._by_row[at] = shared
        else:
            self._by_row.append(shared)
        return shared

    def absorb(self, rows: Any, signals: Any) -> dict[int, list[Any]]:
        """Count signals for the shared tokens that they show.

        Returns token -> [exchanges, those with a purpose, rows of the accounts].

        The head and tail of a prompt count only where its template is neither shared nor one that the account uses
        again and again: a phrase that many templates have in common would else join what has nothing else in common.
        """
        touched: dict[int, list[Any]] = {}
        shift = np.uint64(LAYOUT["new_template"][0])
        explained = (signals["template"] != 0) & ((signals["bins"] >> shift & np.uint64(1)) == 0)
        for name, kind in SIGNAL_KINDS:
            found = self._index.find(np.ascontiguousarray(signals[name]))
            if kind == TEMPLATE:
                explained |= found >= 0
            elif kind in (HEAD, TAIL):
                found[explained] = -1
            at = np.flatnonzero(found >= 0)
            if not at.size:
                continue
            part = signals[at]
            columns = (part[field].tolist() for field in ("time", "content", "bins", "output_tokens"))
            for where, row, time, content, bins, output in zip(
                found[at].tolist(), rows[at].tolist(), *columns, strict=True
            ):
                shared = self._by_row[where]
                if shared.token not in self.tokens:
                    continue
                self._use(shared, row, time, content, bins)
                shared.output += output
                flow = touched.get(shared.token)
                if flow is None:
                    flow = touched[shared.token] = [0, 0, []]
                flow[0] += 1
                flow[2].append(row)
                flow[1] += (bins >> 2 & 7) >= 3 or (bins >> 5 & 7) >= 3
        self.dirty.update(dict.fromkeys(touched))
        return touched

    @staticmethod
    def _use(shared: SharedToken, row: int, time: int, content: int, bins: int) -> None:
        shared.exchanges += 1
        if time > shared.last:
            shared.last = time
        outcome = bins & 3
        if outcome == 0:
            shared.answered += 1
        elif outcome == 1:
            shared.refused += 1
        if elicit := bins >> 2 & 7:
            shared.elicit_known += 1
            shared.elicit += elicit >= 3
        if grading := bins >> 5 & 7:
            shared.grading_known += 1
            shared.grading += grading >= 3
        shared.topics[bins >> 8 & 15] += 1
        fresh = 0
        if content and len(shared.contents) < CONTENTS_MAX and content not in shared.contents:
            shared.contents.add(content)
            fresh = 1
        member = shared.members.get(row)
        if member is not None:
            if time > member[1]:
                member[1] = time
            member[2] += 1
            shared.regulars += member[2] == 2
            if fresh or len(shared.contents) >= CONTENTS_MAX:
                member[3] += 1
                if member[3] >= WORK_USES:
                    first = member[3] == WORK_USES
                    shared.workers += first
                    shared.work += WORK_USES if first else 1

    def expire(self, before_infrastructure: int, before_content: int, before_near: int) -> list[SharedToken]:
        """Drop memberships and tokens unseen since the given times (ms); returns the content tokens that changed."""
        changed = []
        for shared in list(self.tokens.values()):
            near = shared.kind >= NEAR_LOW
            before = before_near if near else before_content if shared.kind >= TEMPLATE else before_infrastructure
            gone = [row for row, member in shared.members.items() if member[1] < before]
            place = self.content_of if shared.kind >= TEMPLATE else self.infrastructure_of
            for row in gone:
                _, _, uses, fresh = shared.members.pop(row)
                shared.regulars -= uses >= 2
                if fresh >= WORK_USES:
                    shared.workers -= 1
                    shared.work -= fresh
                place[row].remove(shared.token)
                if not place[row]:
                    del place[row]
            if gone:
                self.dirty[shared.token] = None
                if shared.family:
                    changed.append(shared)
            if shared.last < before:
                del self.tokens[shared.token]
                self.dirty[shared.token] = None
        if len(self._by_row) > 2 * len(self.tokens) + 1000:
            self._reindex()
        return changed

    def _reindex(self) -> None:
        self._index = HashIndex()
        self._by_row = list(self.tokens.values())
        self._index.insert(np.array([shared.token for shared in self._by_row], np.uint64))

    def restore(self, tokens: list[SharedToken]) -> None:
        """Take over tokens, in the order in which they were first shared."""
        for shared in sorted(tokens, key=lambda s: (s.first, s.token)):
            self._add(shared)
            place = self.content_of if shared.kind >= TEMPLATE else self.infrastructure_of
            for row in shared.members:
                place.setdefault(row, []).append(shared.token)
