"""Cases and their revisions: open, update, merge, close; what leaves the detector."""

import math
import zlib
from collections import Counter
from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from streams.campaigns.nats import total
from streams.campaigns.table import AccountTable
from streams.contracts.alert import (
    ADDED_MAX_ACCOUNTS,
    Accounts,
    AlertEvent,
    Category,
    Evidence,
    Exchanges,
    Kind,
    Pool,
    Severity,
    Status,
    encode_alert,
)
from streams.contracts.cloudevents import alert_headers
from streams.contracts.hashing import hash64
from streams.operator import ALERTS, Record

# MITRE ATLAS techniques by category
TECHNIQUES: dict[str, tuple[str, ...]] = {
    "distillation": ("AML.T0024.002", "AML.T0040", "AML.T0021"),
    "reseller": ("AML.T0008.005", "AML.T0040", "AML.T0021"),
    "stolen_credential": ("AML.T0012", "AML.T0040", "AML.T0034.000"),
    "technique_search": ("AML.T0054", "AML.T0065", "AML.T0040"),
    "anomaly": ("AML.T0040",),
}
REVISION_FIRST_MS = 10_000  # updates of a case are at least so far apart, doubling ...
REVISION_MAX_MS = 600_000  # ... up to this
POOLS_MAX = 1_000  # of a revision, the largest: 50 KB; thousands of pairs that share a card would not fit a record
GROUPS_FLOOR = 2_000  # candidate groups a day assumed at least, until more are counted
# An open case is withdrawn so many nats below the threshold, and so long after its last revision: a case that ends and
# comes back within minutes, as members come and go, is no news to anybody.
CLOSE_MARGIN = 2.0
WITHDRAW_MS = 600_000


class Case(Struct):
    """One case; members are account rows."""

    alert_id: str
    kind: Kind
    category: Category
    subject_id: str
    founder: int  # family or pool token, or account row
    opened_at: int
    first_seen: int
    last_seen: int
    number: int  # in order of opening
    revision: int = 0
    status: Status = "open"
    revised_at: int = 0
    severity: Severity = "low"
    merged_into: str | None = None
    members: dict[int, None] = {}
    named: dict[int, None] = {}  # everybody ever named, as far as still held
    pooled: dict[int, None] = {}  # whom a family's case has from a pool's
    opening: list[int] = []  # whom it named when it opened, as far as still held
    leaked: int = 0  # exchanges before the alert of those who were named and are held no more
    evidence: list[Evidence] = []  # as last published
    moves: dict[int, tuple[int, int]] = {}  # members that took up a model: when, and its hash
    pools: list[Pool] = []  # as last published: an end, or a move, says nothing new of them
    moved_to: list[int] = []  # models that enough of them took up, by hash
    pivot: Evidence | None = None  # of the last of these
    evidence_total: float = 0.0

    @property
    def live(self) -> bool:
        """Open or updated."""
        return self.status in ("open", "updated")


def threshold(groups_a_day: int, false_cases_a_day: float) -> float:
    """Evidence, in nats, at which so many groups a day give so many false cases: ln(groups / budget)."""
    return round(math.log(max(GROUPS_FLOOR, groups_a_day) / false_cases_a_day), 6)


def tokens(case: Case) -> list[int]:
    """Return the tokens that name the pools which a case told last."""
    return [int(pool.pool_id.removeprefix("pool-"), 16) for pool in case.pools]


class Cases:
    """All cases by id, and the records of their revisions."""

    def __init__(self, table: AccountTable, detector: dict[str, str]) -> None:
        self._table, self._detector = table, detector
        self.cases: dict[str, Case] = {}
        self.bases: dict[str, bytes] = {}  # answered exchanges of each row when the case opened: u4, deflated
        self.dirty: dict[str, None] = {}
        self.new: dict[str, None] = {}  # whose base is not yet in a checkpoint
        self.naming = Counter[int]()  # tokens by which the cases held call their pools
        self.gone: dict[str, int] = {}  # forgotten since the last checkpoint: size of its base
        self.counts: dict[tuple[str, str, str], int] = {}

    def live(self) -> list[Case]:
        """Open cases, oldest first."""
        return [case for case in self.cases.values() if case.live]

    def open(
        self, kind: Kind, category: Category, founder: int, rows: list[int], token: int | None, last_seen: int, now: int
    ) -> Case:
        """Make a case (not yet published: `revise` does that)."""
        names = sorted(self._table.names[row] for row in rows)
        founding = f"{token:016x}" if token is not None else "\n".join(names)
        alert_id = f"{hash64(f'{kind}|{category}|{founding}|{now}'.encode()):016x}"
        if alert_id in self.cases:  # two pools found at once may have their oldest network in common
            named = "\n".join(names)
            alert_id = f"{hash64(f'{kind}|{category}|{founding}|{now}|{named}'.encode()):016x}"
        subject = names[0] if kind == "account" else f"cluster-{hash64(founding.encode()):016x}"
        self.bases[alert_id] = zlib.compress(self._table.used["answered"].astype("<u4").tobytes(), 1)
        first_seen = int(self._table.rows["first"][rows].min())
        number = next(reversed(self.cases.values())).number + 1 if self.cases else 0
        case = Case(alert_id, kind, category, subject, founder, now, first_seen, last_seen, number, opening=list(rows))
        self.cases[alert_id] = case
        self.new[alert_id] = None
        return case

    def forget(self, before: int) -> list[str]:
        """Drop cases that ended before a time: nothing that they rest on is held any longer. Returns their ids."""
        old = [case for case in self.cases.values() if not case.live and case.revised_at < before]
        for case in old:
            self.gone[case.alert_id] = len(self.bases.pop(case.alert_id))
            del self.cases[case.alert_id]
            self.dirty.pop(case.alert_id, None)
            self.new.pop(case.alert_id, None)
            self.naming.subtract(tokens(case))
        if old:
            self.naming = +self.naming
        return [case.alert_id for case in old]

    def restore(self, case: Case, base: bytes) -> None:
        """Take in a case of a checkpoint, with the base in the form that `load_base` reads."""
        self.load_base(case.alert_id, base)
        self.cases[case.alert_id] = case
        self.naming.update(tokens(case))

    def needed(self) -> set[int]:
        """Rows that no case can do without: its members, and the account that an account's case is about."""
        found = {row for case in self.cases.values() for row in case.members}
        return found | {case.founder for case in self.cases.values() if case.kind == "account"}

    def release(self, rows: Iterable[int]) -> None:
        """Let go of accounts that are forgotten; what they had got before the alert still counts."""
        gone = set(rows)
        for case in self.cases.values():
            left = [row for row in case.named if row in gone]
            if left or not gone.isdisjoint(case.opening):
                case.leaked += self._before(case, left)
                for row in left:
                    del case.named[row]
                    case.moves.pop(row, None)
                    case.pooled.pop(row, None)
                case.opening = [row for row in case.opening if row not in gone]
                self.dirty[case.alert_id] = None

    def due(self, case: Case, now: int) -> bool:
        """Tell whether the next update may be published."""
        wait = min(REVISION_MAX_MS, REVISION_FIRST_MS << min(case.revision, 16))
        return now - case.revised_at >= wait

    def revise(
        self,
        case: Case,
        status: Status,
        rows: list[int],
        evidence: list[Evidence],
        limit: float,
        now: int,
        pools: list[tuple[int, list[int]]] | None = None,
        last_seen: int | None = None,
    ) -> list[Record]:
        """Publish a revision with ``rows`` as members; more than 1,000 changes take several, of one detected_at."""
        members = dict.fromkeys(rows)
        added = [row for row in rows if row not in case.members]
        removed = [row for row in case.members if row not in members]
        names = self._table.names
        added_ids = sorted(names[row] for row in added)
        removed_ids = sorted(names[row] for row in removed)
        case.named.update(dict.fromkeys(added))
        count = len(case.members)
        case.members = members
        if rows:
            case.first_seen = min(case.first_seen, int(self._table.rows["first"][rows].min()))
        case.last_seen = max(case.last_seen, last_seen or 0)
        if evidence:
            case.evidence = [*evidence, case.pivot] if case.pivot is not None else evidence
        case.evidence_total = total(case.evidence)
        before, all_, output = self._exchanges(case)
        case.severity = severity(case, before)
        case.revised_at = now
        if pools is not None:
            self.naming.subtract(tokens(case))
            place = set(rows)
            case.pools = [
                Pool(f"pool-{token:016x}", len(inside))
                for token, found in pools[:POOLS_MAX]
                if (inside := place.intersection(found))
            ]
            self.naming.update(tokens(case))
        out = []
        while True:
            part, added_ids = added_ids[:ADDED_MAX_ACCOUNTS], added_ids[ADDED_MAX_ACCOUNTS:]
            room = ADDED_MAX_ACCOUNTS - len(part)  # for all that a revision names to fit a record
            gone, removed_ids = removed_ids[:room], removed_ids[room:]
            count += len(part) - len(gone)
            case.revision += 1
            case.status = "updated" if status == "open" and case.revision > 1 else status
            alert = AlertEvent(
                alert_id=case.alert_id,
                revision=case.revision,
                status=case.status,
                kind=case.kind,
                subject_id=case.subject_id,
                category=case.category,
                merged_into=case.merged_into,
                severity=case.severity,
                score=round(1 / (1 + math.exp(min(700.0, limit - case.evidence_total))), 6),
                evidence_total=case.evidence_total,
                threshold=limit,
                detected_at=now,
                first_seen=case.first_seen,
                last_seen=case.last_seen,
                accounts=Accounts(count, tuple(part), tuple(gone)),
                pools=tuple(case.pools),
                exchanges=Exchanges(before, all_, output),
                evidence=tuple(case.evidence),
                techniques=TECHNIQUES[case.category],
                detector=self._detector,
            )
            out.append(Record(ALERTS, None, case.alert_id.encode(), encode_alert(alert), alert_headers(alert)))
            key = (case.category, case.severity, case.status)
            self.counts[key] = self.counts.get(key, 0) + 1
            if not added_ids and not removed_ids:
                break
        self.dirty[case.alert_id] = None
        return out

    def _exchanges(self, case: Case) -> tuple[int, int, int]:
        rows = self._table.rows
        before = case.leaked + self._before(case, list(case.named))
        members = np.fromiter(case.members, np.int64, len(case.members))
        return before, int(rows["exchanges"][members].sum()), int(rows["output"][members].sum())

    def _before(self, case: Case, rows: list[int]) -> int:
        """Answered exchanges of these rows' accounts up to the opening of the case."""
        base = np.frombuffer(zlib.decompress(self.bases[case.alert_id]), "<u4")
        at = np.array(rows, np.int64)
        at = at[at < base.size]
        # a row may have gone to another account since
        return int(base[at[self._table.rows["first"][at] <= case.opened_at]].sum())

    def load_base(self, alert_id: str, data: bytes) -> None:
        """Take over a base from a snapshot; raise ValueError if it is none."""
        inflate = zlib.decompressobj()
        try:
            base = inflate.decompress(data, 4 * self._table.used.size + 4)
        except zlib.error as error:
            raise ValueError(f"what case {alert_id} began with: {error}") from None
        if not inflate.eof or len(base) % 4 or len(base) > 4 * self._table.used.size:
            raise ValueError(f"what case {alert_id} began with does not fit the accounts")
        self.bases[alert_id] = data


def severity(case: Case, leaked: int) -> Severity:
    """By accounts and by what has leaked: 1,000 traces train a useful student (arXiv 2501.19393)."""
    n = len(case.members)
    if n >= 1_000 or leaked >= 10_000:
        return "critical"
    if n >= 100 or leaked >= 1_000 or case.category == "stolen_credential":
        return "high"
    return "medium" if n >= 20 or leaked >= 200 or case.kind == "cluster" else "low"
