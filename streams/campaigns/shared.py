"""Shared tokens: who shows them, how often, and what these exchanges are like.

Only here is traffic *purified*: an exchange that carries a shared template counts for the template, whatever else its
account does, so cover traffic does not dilute it.
"""

from typing import Any, NamedTuple

import numpy as np

from streams.accounts.features import LAYOUT, REFUSED, TOPICS
from streams.campaigns.index import HashIndex, slot_of
from streams.campaigns.uses import SOLID_CONTENTS, Uses
from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.packets import HEAD, KIND_NAMES, NEAR_LOW, SYSTEM, TAIL, TEMPLATE

WORK_USES = 3  # uses with new content that make an account a worker
CONTENTS_MAX = 512  # different contents remembered per token: the first ones. Of later ones these tell which come again
SIGNAL_KINDS = ("template", "system", "head", "tail")
COUNTED = frozenset({TEMPLATE, SYSTEM, HEAD, TAIL})  # kinds of these

Member = list[int]  # first, last, uses, uses with content that was new to the token

ASKS = 2  # of elicit and grading in a use: 0 not known, 1 less than half
USE = np.dtype(
    [
        ("place", "<i4"), ("row", "<i4"), ("time", "<i8"), ("content", "<u8"), ("refused", "u1"), ("elicit", "u1"),
        ("grading", "u1"), ("subject", "u1"),
    ]
)  # fmt: skip
_ELICIT_AT, _GRADING_AT = np.uint64(LAYOUT["elicitation"][0]), np.uint64(LAYOUT["grading"][0])
_NEW_TEMPLATE_AT, _TOPIC_AT = np.uint64(LAYOUT["new_template"][0]), np.uint64(LAYOUT["topic"][0])
_REFUSED = REFUSED


@compiled
def _asks(quarter: Any) -> int:
    return 0 if quarter == 0 else ASKS if quarter >= 3 else 1


@compiled_with_arrays
def _uses(keys: Any, places: Any, rows: Any, signals: Any, uses: Any) -> int:
    """Look the tokens of signals up, kind by kind; return how many uses of shared ones there are."""
    one, three, seven, fifteen = np.uint64(1), np.uint64(3), np.uint64(7), np.uint64(15)
    explained = np.zeros(signals.size, np.bool_)
    n = 0
    for kind in range(4):
        for i in range(signals.size):
            signal = signals[i]
            token = (signal.template, signal.system, signal.head, signal.tail)[kind]
            if token == 0 or (kind >= 2 and explained[i]):
                continue
            slot = slot_of(keys, token)
            known = keys[slot] != 0
            if kind == 0:
                explained[i] = known or (signal.bins >> _NEW_TEMPLATE_AT & one) == 0
            if known:
                use = uses[n]
                use.place, use.row, use.time, use.content = places[slot], rows[i], signal.time, signal.content
                use.refused = (signal.bins & three) == _REFUSED
                use.elicit = _asks(signal.bins >> _ELICIT_AT & seven)
                use.grading = _asks(signal.bins >> _GRADING_AT & seven)
                use.subject = signal.bins >> _TOPIC_AT & fifteen
                n += 1
    return n


def _use(shared: "SharedToken", member: Member, time: int, fresh: bool) -> None:
    if time > member[1]:
        member[1] = time
    member[2] += 1
    if member[2] == 2:
        shared.regulars += 1
    if fresh:
        member[3] += 1
        if member[3] > WORK_USES:
            shared.work += 1
        elif member[3] == WORK_USES:
            shared.workers += 1
            shared.work += WORK_USES


# of kinds that have none; nobody writes to them
_NO_MEMBERS: dict[int, Member] = {}
_NO_CONTENTS: set[int] = set()
_NO_SUBJECTS: list[int] = []
_NO_TIMES: dict[int, int] = {}


class TokenState(NamedTuple):
    """A token's record, as `SharedToken.dump` writes it: of a member its row and times, uses too where they count."""

    token: int
    kind: int
    first: int
    last: int
    degree: int
    exchanges: int
    refused: int
    elicit: int
    elicit_known: int
    grading: int
    grading_known: int
    family: int
    regulars: int
    later: int
    again: int
    subjects: list[int]
    contents: list[int]
    members: list[list[int]]
    blank: int = 0


class SharedToken:
    """A token that two accounts or more show, with its memberships by account row."""

    __slots__ = (
        "again", "blank", "contents", "degree", "elicit", "elicit_known", "exchanges", "family", "first", "grading",
        "grading_known", "kind", "last", "later", "members", "oldest", "refused", "regulars", "seen", "subjects",
        "together", "token", "work", "workers",
    )  # fmt: skip

    def __init__(self, token: int, kind: int, first: int) -> None:
        self.token, self.kind, self.first, self.last = token, kind, first, first
        self.degree = 0
        self.exchanges = self.refused = 0
        self.blank = 0  # exchanges that tell nothing of their content
        self.later = self.again = 0  # others since `CONTENTS_MAX` contents are held, and those of one of these
        self.elicit = self.elicit_known = self.grading = self.grading_known = 0
        self.regulars = 0  # members with two uses or more
        self.workers = 0  # members that wrapped new content `WORK_USES` times or more ...
        self.work = 0  # ... and how often they did
        counted = kind in COUNTED
        self.members: dict[int, Member] = {} if counted else _NO_MEMBERS
        self.contents: set[int] = set() if counted else _NO_CONTENTS
        self.subjects: list[int] = [0] * len(TOPICS) if counted else _NO_SUBJECTS  # exchanges by their topic
        self.seen: dict[int, int] = _NO_TIMES if counted else {}  # of kinds that are not counted: last time
        self.family = 0  # token of the family's founder, 0: none
        self.together: Uses | None = None  # sums of its family, to be kept up
        self.oldest = 0  # no membership was last seen before this, as far as is known

    @property
    def elicitation(self) -> float:
        """Share of its exchanges that ask for the model's reasoning, of those where this is known (prior 0 of 1)."""
        return self.elicit / (self.elicit_known + 1.0)

    @property
    def judging(self) -> float:
        """Share of its exchanges that use the model as a grader (prior 0 of 1)."""
        return self.grading / (self.grading_known + 1.0)

    @property
    def told(self) -> int:
        """Exchanges that tell what the token wrapped."""
        return self.exchanges - self.blank

    @property
    def different(self) -> int:
        """Different contents, at most: of those not remembered each counts as new."""
        return len(self.contents) + self.later - self.again

    def dump(self) -> tuple[Any, ...]:
        """Plain numbers."""
        return (
            self.token, self.kind, self.first, self.last, self.degree, self.exchanges, self.refused, self.elicit,
            self.elicit_known, self.grading, self.grading_known, self.family, self.regulars, self.later, self.again,
            self.subjects, sorted(self.contents),
            [[row, *member] for row, member in self.members.items()] or [list(pair) for pair in self.seen.items()],
            self.blank,
        )  # fmt: skip

    @classmethod
    def load(cls, state: TokenState) -> "SharedToken":
        """Rebuild from `dump`; raise ValueError if its topics are not those of this program."""
        shared = cls(state[0], state[1], state[2])
        (
            _, _, _, shared.last, shared.degree, shared.exchanges, shared.refused, shared.elicit, shared.elicit_known,
            shared.grading, shared.grading_known, shared.family, shared.regulars, shared.later, shared.again,
            subjects, contents, members, shared.blank,
        ) = state  # fmt: skip
        if shared.kind not in COUNTED:
            shared.seen = {member[0]: member[1] for member in members}
            return shared
        if len(subjects) != len(TOPICS):
            raise ValueError(f"token {shared.token:016x} has {len(subjects)} topics, there are {len(TOPICS)}")
        shared.subjects, shared.contents = list(subjects), set(contents)
        shared.members = {member[0]: list(member[1:5]) for member in members}
        work = [member[4] for member in members if member[4] >= WORK_USES]
        shared.workers, shared.work = len(work), sum(work)
        return shared


class SharedTokens:
    """All shared tokens, by token; which rows show which content, and which infrastructure."""

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms
        self.tokens: dict[int, SharedToken] = {}
        self._index = HashIndex()
        self._counted: list[SharedToken] = []  # those that signals may show; the first are in the index, in its order
        # account row -> its tokens
        self.infrastructure_of: dict[int, list[int]] = {}
        self.system_of: dict[int, list[int]] = {}
        self.content_of: dict[int, list[int]] = {}  # templates and how prompts begin and end
        self.near_of: dict[int, list[int]] = {}  # near prompts: of a busy account thousands
        self._places = [self._place(kind) for kind in range(len(KIND_NAMES))]
        self.dirty: dict[int, None] = {}
        self._rows: list[int] = []  # row -> its number, as the one object that all the above have of it

    def numbers(self, rows: list[int]) -> list[int]:
        """Return rows (-1: none) as ints of which there is one a row: each membership holds its row twice or more."""
        held = self._rows
        if (more := max(rows, default=-1) + 1 - len(held)) > 0:
            held.extend(range(len(held), len(held) + more))
        return [held[row] if row >= 0 else row for row in rows]

    def link(self, item: tuple[int, ...], row: int) -> SharedToken:
        """Take in one LINK item (as a tuple) of account ``row``."""
        _, time, token, _, first, last, degree, kind, member_item = item
        first = last if first == last else first  # one object, not two: a membership keeps both
        shared = self.tokens.get(token)
        if shared is None:
            shared = self._add(SharedToken(token, kind, first))
        if degree > shared.degree:
            shared.degree = degree
        self.dirty[token] = None
        if not member_item:
            return shared
        if last < shared.oldest:  # a founder's membership is as old as what it showed
            shared.oldest = last
        if shared.kind not in COUNTED:
            before = shared.seen.get(row)
            if before is None:
                shared.seen[row] = last
                self._hold(shared, row)
            elif last > before:
                shared.seen[row] = last
        elif (member := shared.members.get(row)) is None:
            # a member's exchanges count from this tick on; what the founder showed before is one use
            uses = 1 if first <= time - self._tick_ms else 0
            member = shared.members[row] = [first, last, uses, uses]
            if shared.together is not None:
                shared.together.join(row, member, len(shared.contents) >= SOLID_CONTENTS)
            self._hold(shared, row)
        elif last > member[1]:
            member[1] = last
            if shared.together is not None:
                shared.together.renew(row, last)
        if last > shared.last:
            shared.last = last
        return shared

    @property
    def counted(self) -> list[SharedToken]:
        """Those that signals may show."""
        return self._counted

    def _place(self, kind: int) -> dict[int, list[int]]:
        if kind == SYSTEM:
            return self.system_of
        return self.infrastructure_of if kind < TEMPLATE else self.content_of if kind < NEAR_LOW else self.near_of

    @property
    def held_by(self) -> tuple[dict[int, list[int]], ...]:
        """By account row, its tokens of all kinds."""
        return self.infrastructure_of, self.system_of, self.content_of, self.near_of

    def _hold(self, shared: SharedToken, row: int) -> None:
        place = self._places[shared.kind]
        if (held := place.get(row)) is None:
            place[row] = [shared.token]
        else:
            held.append(shared.token)

    def _add(self, shared: SharedToken) -> SharedToken:
        self.tokens[shared.token] = shared
        if shared.kind in COUNTED:
            self._counted.append(shared)
        return shared

    def absorb(self, rows: Any, signals: Any) -> dict[int, list[Any]]:
        """Count signals for the shared tokens that they show.

        Returns token -> [exchanges, those with a purpose, rows of the accounts].

        The head and tail of a prompt count only where its template is neither shared nor one that the account uses
        again and again: a phrase that many templates have in common would else join what has nothing else in common.
        """
        if new := self._counted[self._index.size :]:
            self._index.insert(np.array([shared.token for shared in new], np.uint64))
        uses = np.empty(len(SIGNAL_KINDS) * signals.size, USE)
        found = _uses(*self._index.slots, rows, signals, uses)
        touched: dict[int, list[Any]] = {}
        counted = self._counted
        columns = (uses[name][:found].tolist() for name in USE.names or ())
        for place, row, time, content, refused, elicit, grading, subject in zip(*columns, strict=True):
            shared = counted[place]
            shared.exchanges += 1
            shared.subjects[subject] += 1
            if time > shared.last:
                shared.last = time
            if refused:
                shared.refused += 1
            if elicit:
                shared.elicit_known += 1
                if elicit == ASKS:
                    shared.elicit += 1
            if grading:
                shared.grading_known += 1
                if grading == ASKS:
                    shared.grading += 1
            contents = shared.contents
            fresh = content != 0 and content not in contents
            if content == 0:
                shared.blank += 1
            elif len(contents) >= CONTENTS_MAX:
                shared.later += 1
                if not fresh:
                    shared.again += 1
            elif fresh:
                contents.add(content)
                if len(contents) == SOLID_CONTENTS and shared.together is not None:
                    shared.together.solidify((row, member[2]) for row, member in shared.members.items())
            if (member := shared.members.get(row)) is not None:
                _use(shared, member, time, fresh)
                if shared.together is not None:
                    shared.together.use(row, time, fresh, member[2] == 1, len(contents) >= SOLID_CONTENTS)
            if (flow := touched.get(shared.token)) is None:
                flow = touched[shared.token] = [0, 0, []]
            flow[0] += 1
            flow[1] += elicit == ASKS or grading == ASKS
            flow[2].append(row)
        self.dirty.update(dict.fromkeys(touched))
        return touched

    def expire(
        self, before_infrastructure: int, before_content: int, before_near: int
    ) -> list[tuple[SharedToken, list[int]]]:
        """Drop memberships and tokens unseen since the given times (ms).

        Returns the tokens of families that lost members, with their rows.
        """
        changed = []
        held = len(self.tokens)
        for shared in list(self.tokens.values()):
            near = shared.kind >= NEAR_LOW
            before = before_near if near else before_content if shared.kind >= TEMPLATE else before_infrastructure
            if shared.oldest >= before:
                continue
            gone = [row for row, member in shared.members.items() if member[1] < before]
            gone += [row for row, last in shared.seen.items() if last < before]
            place = self._places[shared.kind]
            for row in gone:
                if shared.kind in COUNTED:
                    _, _, uses, fresh = shared.members.pop(row)
                    shared.regulars -= uses >= 2
                    if fresh >= WORK_USES:
                        shared.workers -= 1
                        shared.work -= fresh
                else:
                    del shared.seen[row]
                place[row].remove(shared.token)
                if not place[row]:
                    del place[row]
            lasts = shared.seen.values() or [member[1] for member in shared.members.values()]
            shared.oldest = min(shared.last, min(lasts, default=shared.last))
            if gone:
                self.dirty[shared.token] = None
                if shared.family:
                    changed.append((shared, gone))
            if shared.last < before:
                del self.tokens[shared.token]
                self.dirty[shared.token] = None
        if len(self.tokens) < held:
            self._index = HashIndex()
            self._counted = [shared for shared in self.tokens.values() if shared.kind in COUNTED]
        return changed

    def restore(self, tokens: list[SharedToken]) -> None:
        """Take over tokens, in the order in which they were first shared."""
        for shared in sorted(tokens, key=lambda s: (s.first, s.token)):
            self._add(shared)
            for row in (*shared.members, *shared.seen):
                self._hold(shared, row)
