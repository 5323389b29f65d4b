"""Hold the cases that a consumer has seen against what really happened.

A case belongs to the campaign that most of the accounts it ever named carry (of two over the same accounts, the one
with fewer cases so far: an alert does not say which of the two it is about); if at least half of them are benign, or
of those that its first revision names, it is a false alarm. A campaign is caught by a case of its own category, which
for all but stolen keys must be a cluster: an alert on one of 200 accounts has not seen the campaign. It is caught from
the first revision on of whose members more than half carry it, if it had begun. Whoever was ever named counts as named,
also if withdrawn later.

What leaks until then counts up to when the alert can be read: a decision about the traffic before ``detected_at`` is
published once the lateness has passed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from streams.contracts.alert import AlertEvent
from streams.simulator.truth import CampaignTruth, Truth

ACCOUNT_CATEGORY = "stolen_credential"  # a stolen key is a case of one account


class Outcome(Struct, frozen=True):
    """One campaign against what was caught; times of events, in ms or s."""

    id: str
    shape: str
    category: str
    accounts: int  # that took part so far
    exchanges: int  # answered so far: what can leak
    caught: bool
    called: str  # category of its earliest case, "" without one
    alert_ms: int | None  # first alert that counts
    said_ms: int | None  # when it could be read
    leaked: int  # answered before that; all of them if there is none
    delay_s: float | None  # from the first answered exchange to when that alert could be read
    named: int  # accounts named in its cases ...
    right: int  # ... that really carry it
    cases: tuple[str, ...]

    @property
    def share(self) -> float:
        """Leaked share of the campaign, 0..1."""
        return self.leaked / self.exchanges if self.exchanges else 0.0

    @property
    def precision(self) -> float | None:
        """Share of the named accounts that carry the campaign; None without any."""
        return self.right / self.named if self.named else None

    @property
    def recall(self) -> float:
        """Share of its active accounts that were named."""
        return self.right / self.accounts if self.accounts else 0.0


class FalseNames(Struct, frozen=True):
    """Benign accounts in one case; ``alarm`` if they are at least half of it, or were when it opened."""

    alert_id: str
    category: str
    accounts: int
    benign: int
    kinds: dict[str, int]
    alarm: bool


class Score(Struct, frozen=True):
    """All campaigns, and everything benign that was named."""

    campaigns: tuple[Outcome, ...]
    false_names: tuple[FalseNames, ...]
    benign_named: int  # distinct accounts

    @property
    def false_alarms(self) -> int:
        """Cases that are mostly benign, or were when they opened."""
        return sum(each.alarm for each in self.false_names)

    def faults(self) -> list[str]:
        """Say what went wrong; empty if every campaign was caught and nothing benign was named."""
        out = []
        if missed := [each for each in self.campaigns if not each.caught]:
            out.append("not caught: " + ", ".join(each.id + _instead(each) for each in missed))
        if self.benign_named:
            what = f"{self.benign_named} benign account{'s' * (self.benign_named != 1)} named"
            if self.false_alarms:
                what += f", {self.false_alarms} false alarm{'s' * (self.false_alarms != 1)}"
            out.append(what)
        return out


def _instead(outcome: Outcome) -> str:
    return f" (called {outcome.called})" if outcome.called else ""


def _order(case: tuple[str, Sequence[AlertEvent]]) -> tuple[bool, int, str]:
    """Those that ended in another case last: they are about what that one is about."""
    return case[1][-1].status == "merged", case[1][0].detected_at, case[0]


class Scorer:
    """Judge by one truth, as often as wanted; ``until_ms`` limits what has happened so far.

    ``lateness_ms`` is how long after its ``detected_at`` an alert is published, in event time.
    """

    def __init__(self, truth: Truth, lateness_ms: int = 0) -> None:
        self._truth, self._lateness_ms = truth, lateness_ms
        self._carries: dict[str, list[str]] = {}
        for campaign in truth.campaigns:
            for account in campaign.accounts:
                self._carries.setdefault(account, []).append(campaign.id)
        self._kind = {account: k.kind for k in truth.benign for account in k.accounts}

    def score(self, cases: Mapping[str, Sequence[AlertEvent]], until_ms: int | None = None) -> Score:
        """Judge the revisions of all cases so far, by alert_id, each in order."""
        own: dict[str, list[str]] = {campaign.id: [] for campaign in self._truth.campaigns}
        ever: dict[str, set[str]] = {}
        false_names, benign_named = [], set()
        for alert_id, revisions in sorted(cases.items(), key=_order):
            named = ever[alert_id] = ever_named(revisions)
            benign = {account for account in named if account not in self._carries}
            carried = Counter(carried for account in sorted(named - benign) for carried in self._carries[account])
            first = set(revisions[0].accounts.added)
            mostly = 2 * len(benign) >= len(named)
            alarm = mostly or 2 * len(benign & first) >= len(first) > 0
            if benign:
                benign_named |= benign
                kinds = Counter(self._kind.get(account, "unknown") for account in benign)
                found = FalseNames(
                    alert_id, revisions[0].category, len(named), len(benign), dict(sorted(kinds.items())), alarm
                )
                false_names.append(found)
            if not mostly and carried:
                most = max(carried.values())
                tied = [c for c in own if carried[c] == most]
                into = revisions[-1].merged_into
                same = [c for c in tied if into is not None and into in own[c]]
                own[min(same or tied, key=lambda c: len(own[c]))].append(alert_id)
        outcomes = tuple(self._outcome(c, own[c.id], cases, ever, until_ms) for c in self._truth.campaigns)
        return Score(outcomes, tuple(false_names), len(benign_named))

    def _outcome(
        self,
        campaign: CampaignTruth,
        own: list[str],
        cases: Mapping[str, Sequence[AlertEvent]],
        ever: Mapping[str, set[str]],
        until_ms: int | None,
    ) -> Outcome:
        answered = campaign.answered_ms
        so_far = len(answered) if until_ms is None else campaign.leaked_before(until_ms)
        openings = sorted((cases[alert_id][0] for alert_id in own), key=lambda a: (a.detected_at, a.alert_id))
        times = (_caught_ms(cases[alert_id], campaign) for alert_id in own)
        alert_ms = min((time for time in times if time is not None), default=None)
        said_ms = None if alert_ms is None else alert_ms + self._lateness_ms
        named = set().union(*(ever[alert_id] for alert_id in own))
        return Outcome(
            id=campaign.id,
            shape=campaign.shape,
            category=campaign.category,
            accounts=len(campaign.per_account),
            exchanges=so_far,
            caught=alert_ms is not None,
            called=openings[0].category if openings else "",
            alert_ms=alert_ms,
            said_ms=said_ms,
            leaked=so_far if said_ms is None else min(so_far, campaign.leaked_before(said_ms)),
            delay_s=None if said_ms is None or not answered else (said_ms - answered[0]) / 1_000,
            named=len(named),
            right=len(named.intersection(campaign.per_account)),
            cases=tuple(alert.alert_id for alert in openings),
        )


def ever_named(revisions: Iterable[AlertEvent]) -> set[str]:
    """Return every account that any revision names."""
    return {account for alert in revisions for account in alert.accounts.added}


def members(revisions: Iterable[AlertEvent]) -> Iterator[set[str]]:
    """Return the members of a case after each of its revisions."""
    now: set[str] = set()
    for alert in revisions:
        now = now.union(alert.accounts.added).difference(alert.accounts.removed)
        yield now


def _caught_ms(revisions: Sequence[AlertEvent], campaign: CampaignTruth) -> int | None:
    """When a case had begun to be about the campaign, None if it never was."""
    carry = campaign.per_account.keys()
    began_ms = min((times[0] for times in campaign.times_ms.values() if times), default=campaign.start_ms)
    for alert, now in zip(revisions, members(revisions), strict=True):
        going = alert.status in ("open", "updated")
        if going and counts(alert, campaign) and alert.detected_at >= began_ms and 2 * len(now & carry) > len(now):
            return alert.detected_at
    return None


def counts(alert: AlertEvent, campaign: CampaignTruth) -> bool:
    """Tell whether a revision is of the category and kind that catch a campaign."""
    return alert.category == campaign.category and (alert.kind == "cluster" or campaign.category == ACCOUNT_CATEGORY)
