"""What the methods have in common: what they read, what they say, and how their alarms become cases."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from streams.evaluate.results import ByBaseline
from streams.evaluate.seen import Seen
from streams.simulator.truth import Truth

DAY_MS = 86_400_000
RISE = 1.25  # an alarm is repeated once its score has grown by so much: who is named has changed


class Sighting(NamedTuple):
    """An account shows something for the first time that day."""

    kind: str
    token: str | int


class Suspicion(NamedTuple):
    """Something of a subject is as high as ``score``; ``accounts`` is who would be named."""

    score: float
    subject: str
    accounts: Iterable[str]


class Method(Protocol):
    """One method over all events of a run."""

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Take in an exchange and what it shows for the first time; say what has become more suspicious."""

    def midnight(self) -> None:
        """Begin a new day."""


class Sightings:
    """What each account has shown today."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, str, str | int]] = set()

    def first(self, seen: Seen) -> list[Sighting]:
        """All that the account shows for the first time today."""
        account, shown, found = seen.account, self._shown, []
        for kind, token in (
            ("network", seen.network),
            ("client", seen.client),
            ("payment", seen.payment),
            ("device", seen.device),
            ("mail", seen.mail),
            ("system", seen.system),
            ("template", seen.template),
            ("prefix", seen.head),
        ):
            if token and (key := (account, kind, token)) not in shown:
                shown.add(key)
                found.append(Sighting(kind, token))
        return found

    def midnight(self) -> None:
        """Forget all."""
        self._shown.clear()


class Alarm(NamedTuple):
    """Accounts that were named at a time; none from a method that names nobody."""

    time_ms: int
    accounts: frozenset[str]


class Alarms:
    """All alarms of a method at one threshold."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._said: dict[str, float] = {}
        self.alarms: list[Alarm] = []

    def take(self, time_ms: int, suspicion: Suspicion) -> None:
        """Alarm if the score is above the threshold, and has grown since the last alarm about the subject."""
        if suspicion.score <= self._threshold:
            return
        said = self._said.get(suspicion.subject)
        if said is not None and suspicion.score < said * RISE:
            return
        self._said[suspicion.subject] = suspicion.score
        self.alarms.append(Alarm(time_ms, frozenset(suspicion.accounts)))

    def cases(self) -> list[tuple[set[str], list[Alarm]]]:
        """Alarms put together: one that shares half of its accounts with a case belongs to it."""
        found: list[tuple[set[str], list[Alarm]]] = []
        of: dict[str, int] = {}
        for alarm in self.alarms:
            known = Counter(of[account] for account in alarm.accounts if account in of)
            case = min(known, key=lambda c: (-known[c], c)) if known else -1
            if case < 0 or 2 * known[case] < len(alarm.accounts):
                case = len(found)
                found.append((set(), []))
            found[case][0].update(alarm.accounts)
            found[case][1].append(alarm)
            for account in alarm.accounts:
                of.setdefault(account, case)
        return found


def judge(alarms: Alarms, truth: Truth, row_of: dict[str, str]) -> ByBaseline:
    """Hold alarms against the truth, by row.

    More lenient than with the product: an alarm counts for a campaign if more than half of its accounts carry it,
    whatever it calls it and though it names one account only. An alarm that names nobody counts for every campaign that
    was answered in the ten minutes before.
    """
    carries: dict[str, list[str]] = {}
    for campaign in truth.campaigns:
        for account in campaign.accounts:
            carries.setdefault(account, []).append(campaign.id)
    kinds = {account: kind.kind for kind in truth.benign for account in kind.accounts}
    caught: dict[str, int] = {}
    found = ByBaseline()
    hostile: set[str] = set()
    innocents: set[str] = set()
    for named, of_case in alarms.cases():
        for alarm in of_case:
            for campaign_id in _about(alarm, carries, truth):
                caught[campaign_id] = min(caught.get(campaign_id, alarm.time_ms), alarm.time_ms)
        benign = [account for account in named if account not in carries]
        innocents.update(benign)
        hostile.update(account for account in named if account in carries)
        found.cases += 1
        if named and 2 * len(benign) >= len(named):
            kind = Counter(kinds.get(account, "unknown") for account in sorted(benign)).most_common(1)[0][0]
            found.false_by_kind[kind] = found.false_by_kind.get(kind, 0) + 1
        elif not named and not any(_about(alarm, carries, truth) for alarm in of_case):
            found.false_by_kind["traffic"] = found.false_by_kind.get("traffic", 0) + 1
    for campaign in truth.campaigns:  # of two over one pool the later one
        row, at = row_of[campaign.id], caught.get(campaign.id)
        before = found.leaked.get(row, 0)
        found.leaked[row] = None if at is None or before is None else max(before, campaign.leaked_before(at))
    found.hostile_named, found.innocents = len(hostile), len(innocents)
    return found


NOBODY_MS = 600_000


def _about(alarm: Alarm, carries: dict[str, list[str]], truth: Truth) -> list[str]:
    if not alarm.accounts:
        return [
            campaign.id
            for campaign in truth.campaigns
            if campaign.leaked_before(alarm.time_ms) > campaign.leaked_before(alarm.time_ms - NOBODY_MS)
        ]
    count = Counter(campaign for account in alarm.accounts for campaign in carries.get(account, ()))
    return [campaign for campaign, n in count.items() if 2 * n > len(alarm.accounts)]
