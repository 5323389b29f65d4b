"""One row per account: what campaigns remembers of everybody (253 bytes and its id)."""

from collections import Counter
from typing import Any

import numpy as np

from streams.accounts.features import LAYOUT, REFUSED
from streams.campaigns.index import HashIndex
from streams.campaigns.names import Names
from streams.compiled import compiled
from streams.contracts.packets import Introduction

PLANS = ("unknown", "free", "edu", "individual", "team", "enterprise", "other")
PLAN_CODES = {
    "": 0, "free": 1, "trial": 1, "edu": 2, "education": 2, "student": 2, "pro": 3, "plus": 3, "individual": 3,
    "max": 3, "payg": 3, "team": 4, "business": 4, "startup": 4, "enterprise": 5, "scale": 5,
}  # fmt: skip
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CHUNK_ROWS = 512  # rows of one state record, about 130 KB

ROW = np.dtype(
    [
        ("hash", "<u8"), ("org", "<u8"), ("mail", "<u8"), ("first", "<i8"), ("last", "<i8"),
        ("output", "<u8"), ("exchanges", "<u4"), ("answered", "<u4"), ("refused", "<u4"),
        ("elicit", "<u4"), ("elicit_known", "<u4"), ("grading", "<u4"), ("grading_known", "<u4"), ("first_turn", "<u4"),
        ("tools", "<u4"), ("near_new", "<u4"), ("networks", "<u4"), ("clients", "<u4"),
        ("visits", "<u2"), ("foreign", "<u2"),  # up to 65,535, which takes half a year of visits without a break
        ("created", "<u2"),  # days since 1970, 0: not known
        ("suspected", "<u4"),  # hours since 1970 when something was last held against it, 0: never
        ("countries", "u1"),  # up to 255
        ("plan", "u1"),
        ("topics", "<u2", (16,)), ("hours", "<u2", (24,)),  # up to 65,535
        # prompts by the bits of their SimHash: a bit that is set counts 1, else -1; and how many prompts that are
        ("bits", "i1", (64,)), ("prompts", "u1"),
    ]
)  # fmt: skip

_S = {name: np.uint64(shift) for name, (shift, _) in LAYOUT.items()}
_S_ELICIT, _S_GRADING, _S_TOPIC = _S["elicitation"], _S["grading"], _S["topic"]
_S_TURN, _S_TOOLS, _S_NET, _S_CLIENT = _S["first_turn"], _S["tools"], _S["new_network"], _S["new_client"]
_S_COUNTRY, _S_NEAR = _S["new_country"], _S["new_near_prompt"]
_S_OTHER_NET, _S_OTHER_CLIENT = _S["other_network"], _S["other_client"]
_S_GAP = _S["gap"]
_PAUSE = 9  # gap bin of 4 minutes and more
_HIGH = 3  # quarter of 0.5 and above
_MOST, _COUNTRIES_MOST = np.iinfo(np.uint16).max, np.iinfo(np.uint8).max
_PROMPTS_MOST = np.iinfo(np.int8).max  # then all sums are halved, and what came first fades


@compiled
def _name(rows: Any, at: Any, hashes: Any, dirty: Any) -> None:
    """Give new rows the hash of their account."""
    for i in range(at.size):
        if rows[at[i]].hash == 0:
            rows[at[i]].hash = hashes[i]
            dirty[at[i] // CHUNK_ROWS] = True


@compiled
def _absorb(rows: Any, at: Any, signals: Any, dirty: Any) -> None:
    one = np.uint64(1)
    for i in range(at.size):
        signal = signals[i]
        r, b, t, simhash = at[i], signal.bins, signal.time, signal.simhash
        row = rows[r]
        dirty[r // CHUNK_ROWS] = True
        if row.exchanges == 0:
            row.first = t
        row.last = max(row.last, t)
        row.exchanges += 1
        outcome = b & np.uint64(3)
        if outcome == 0:
            row.answered += 1
        elif outcome == REFUSED:
            row.refused += 1
        row.output += signal.output_tokens
        elicit = (b >> _S_ELICIT) & np.uint64(7)
        if elicit > 0:
            row.elicit_known += 1
            if elicit >= _HIGH:
                row.elicit += 1
        grading = (b >> _S_GRADING) & np.uint64(7)
        if grading > 0:
            row.grading_known += 1
            if grading >= _HIGH:
                row.grading += 1
        row.first_turn += (b >> _S_TURN) & one
        row.tools += (b >> _S_TOOLS) & one
        row.near_new += (b >> _S_NEAR) & one
        row.networks += (b >> _S_NET) & one
        row.clients += (b >> _S_CLIENT) & one
        if row.countries < _COUNTRIES_MOST:
            row.countries += (b >> _S_COUNTRY) & one
        gap = (b >> _S_GAP) & np.uint64(15)
        if gap >= _PAUSE and row.visits < _MOST:  # a visit
            row.visits += 1
            row.foreign += (b >> _S_OTHER_NET) & (b >> _S_OTHER_CLIENT) & one
        topic, hour = (b >> _S_TOPIC) & np.uint64(15), (t // 3_600_000) % 24
        if row.topics[topic] < _MOST:
            row.topics[topic] += 1
        if row.hours[hour] < _MOST:
            row.hours[hour] += 1
        if simhash != 0:
            if row.prompts == _PROMPTS_MOST:
                row.prompts //= 2
                for j in range(64):
                    row.bits[j] = np.int8(np.trunc(row.bits[j] / 2))
            row.prompts += 1
            for j in range(64):
                row.bits[j] += np.int8(2 * ((simhash >> np.uint64(j)) & one)) - np.int8(1)


class AccountTable:
    """Rows of the accounts that are held, by hash; their ids are kept for the alerts. An evicted row is all zero."""

    def __init__(self) -> None:
        self._index = HashIndex()
        self.rows = np.zeros(1024, ROW)
        self.names = Names()
        self.mail_accounts: Counter[int] = Counter()  # accounts per mail domain
        self._dirty = np.zeros(1024 // CHUNK_ROWS + 1, bool)  # chunks

    def __len__(self) -> int:
        return self._index.size - self._index.free

    @property
    def used(self) -> Any:
        """All rows up to the last one that holds an account."""
        return self.rows[: self._index.size]

    @property
    def nbytes(self) -> int:
        """Size of the rows in bytes, without names."""
        return self.rows.nbytes

    def insert(self, hashes: Any) -> Any:
        """Row numbers of accounts (hashes); new accounts get a row."""
        before = self._index.size
        free = self._index.free
        at = self._index.insert(hashes)
        if self._index.size > before or self._index.free < free:
            if self._index.size > self.rows.size:
                grown = np.zeros(max(self._index.size, self.rows.size * 2), ROW)
                grown[:before] = self.rows[:before]
                self.rows = grown
                dirty = np.zeros(grown.size // CHUNK_ROWS + 1, bool)
                dirty[: self._dirty.size] = self._dirty
                self._dirty = dirty
            _name(self.rows, at, hashes, self._dirty)
            self.names.extend([""] * (self._index.size - before))
        return at

    def find(self, hashes: Any) -> Any:
        """Row numbers of accounts (hashes); -1 for those that are not held."""
        return self._index.find(hashes)

    def evict(self, rows: Any) -> None:
        """Forget the accounts of these rows; new accounts get the rows."""
        for row, mail in zip(rows.tolist(), self.rows["mail"][rows].tolist(), strict=True):
            self.names[row] = ""
            self.mail_accounts[mail] -= 1
            if self.mail_accounts[mail] <= 0:
                del self.mail_accounts[mail]
        self.rows[rows] = np.zeros(1, ROW)
        self._index.load(self.used["hash"].copy())
        self._dirty[rows // CHUNK_ROWS] = True

    def introduce(self, introductions: list[Introduction]) -> None:
        """Take over who accounts are, in order; accounts not yet known get a row."""
        at = self.insert(np.array([who.account for who in introductions], np.uint64))
        # one by one: a tick has a handful, and arrays made of them cost more
        mails, orgs, created, plans = (self.rows[name] for name in ("mail", "org", "created", "plan"))
        for row, who in zip(at.tolist(), introductions, strict=True):
            if (before := int(mails[row])) != who.mail:
                self.mail_accounts[before] -= 1
                self.mail_accounts[who.mail] += 1
                mails[row] = who.mail
            self.names[row] = who.account_id
            orgs[row], created[row] = who.org, min(max(0, who.created_at // DAY_MS), _MOST)
            plans[row] = PLAN_CODES.get(who.plan.lower(), len(PLANS) - 1)
            self._dirty[row // CHUNK_ROWS] = True

    def absorb(self, at: Any, signals: Any) -> None:
        """Add signals (in order) to the rows ``at``."""
        _absorb(self.rows, at, signals, self._dirty)

    def mark(self, at: int) -> None:
        """Tell that a row was changed from outside."""
        self._dirty[at // CHUNK_ROWS] = True

    def suspect(self, rows: Any, now: int) -> None:
        """Note that something was held against these accounts."""
        changed = rows[self.rows["suspected"][rows] != now // HOUR_MS]
        self.rows["suspected"][changed] = now // HOUR_MS
        self._dirty[changed // CHUNK_ROWS] = True

    def checkpoint(self) -> list[tuple[int, tuple[bytes, list[str]]]]:
        """Chunks that changed since the last call: number, rows, names."""
        size = self._index.size
        out = []
        for chunk in np.flatnonzero(self._dirty).tolist():
            start = chunk * CHUNK_ROWS
            stop = min(size, start + CHUNK_ROWS)
            out.append((chunk, (self.rows[start:stop].tobytes(), self.names[start:stop])))
        self._dirty[:] = False
        return out

    def restore(self, chunks: dict[int, tuple[bytes, list[str]]]) -> None:
        """Take over what `checkpoint` gave; raise ValueError for chunks that do not fit together."""
        parts = []
        for expected, (chunk, (data, names)) in enumerate(sorted(chunks.items())):
            rows = np.frombuffer(data, ROW)
            if chunk != expected or rows.size != len(names) or rows.size > CHUNK_ROWS:
                raise ValueError(f"chunk {chunk} of the account table does not fit")
            parts.append(rows)
            self.names.extend(names)
        if parts:
            self.rows = np.concatenate(parts)
            self._dirty = np.zeros(self.rows.size // CHUNK_ROWS + 1, bool)
            self._index.load(np.ascontiguousarray(self.rows["hash"]))
            mails, accounts = np.unique(self.rows["mail"], return_counts=True)
            self.mail_accounts = Counter(dict(zip(mails.tolist(), accounts.tolist(), strict=True)))
