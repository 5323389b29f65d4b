"""Turn the alerts of one run and its truth into figures."""

import bisect
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from streams.contracts.alert import AlertEvent
from streams.evaluate.results import FalseCase, Measured, Members
from streams.evaluate.rows import Row
from streams.evaluate.score import Outcome, Score, counts, ever_named, members
from streams.simulator.truth import CampaignTruth, Truth

Cases = Mapping[str, Sequence[AlertEvent]]
DUE_EXCHANGES = 3  # whoever has so many of a campaign's exchanges has to be named
WITHIN_MS = 24 * 3_600_000  # of the first correct alert
MEMBERS_MIN = (0, 5, 15, 30, 60, 120, 240, 360, 720, 1_440)  # when to look who is named
MOVED_SHARE = 0.05  # of a pool that has moved to another model
SECOND_POOL_ACCOUNTS = 3  # named before the second pool counts as recognised
PIVOT_INDICATOR = "I16"  # accounts of one campaign that move to another model together


class Moves:
    """When accounts took up the model that most of them moved to after a moment.

    An account has habits of its own: one that uses a second model now and then has not moved with the others.
    """

    def __init__(self, accounts: set[str], moment_ms: int) -> None:
        self.accounts, self._moment = accounts, moment_ms
        self._before: dict[str, set[str]] = {}
        self._after: dict[str, dict[str, int]] = {}  # model -> accounts that never used it before -> when they did

    def see(self, time_ms: int, account: str, model: str) -> None:
        """Take in one exchange of one of the accounts."""
        if time_ms < self._moment:
            self._before.setdefault(account, set()).add(model)
        elif account in self._before and model not in self._before[account]:
            self._after.setdefault(model, {}).setdefault(account, time_ms)

    def moved_ms(self) -> int | None:
        """When `MOVED_SHARE` of the accounts that were active before had moved; None if they have not."""
        times = sorted(max(self._after.values(), key=len, default={}).values())
        needed = max(1, math.ceil(MOVED_SHARE * len(self._before)))
        return times[needed - 1] if len(times) >= needed else None


def measure(
    row: Row,
    truth: CampaignTruth,
    outcome: Outcome,
    cases: Cases,
    end_ms: int,
    moved_ms: int | None = None,
    lateness_ms: int = 0,
) -> Measured:
    """Measure one campaign.

    ``moved_ms`` is when 5 % of its pool had moved to another model, ``lateness_ms`` that of `Scorer`.
    """
    own = {alert_id: cases[alert_id] for alert_id in outcome.cases}
    first = None if outcome.alert_ms is None else _first(truth, own, outcome.alert_ms)
    until = min(end_ms, (outcome.alert_ms or end_ms) + WITHIN_MS)
    last = _members(truth, own, until, outcome.alert_ms or end_ms)
    named = _ever(own, until)
    return Measured(
        row=row.id,
        shape=truth.shape,
        category=truth.category,
        accounts=outcome.accounts,
        exchanges=outcome.exchanges,
        cover=truth.cover,
        caught=outcome.caught,
        called=outcome.called,
        leaked=outcome.leaked,
        value=_value(row, truth, outcome, own, moved_ms, lateness_ms),
        delay_min=None if outcome.delay_s is None else outcome.delay_s / 60,
        named=len(named),
        right=len(named.intersection(truth.accounts)),
        due=last.due,
        due_named=last.due_named,
        members=_over_time(truth, own, outcome.alert_ms, end_ms),
        cases=len(own),
        pools=len(truth.pools),
        pools_said=len({pool.pool_id for revisions in own.values() for pool in revisions[-1].pools}),
        nats=None if first is None or not isinstance(first.evidence_total, float) else first.evidence_total,
        threshold=None if first is None or not isinstance(first.threshold, float) else first.threshold,
        divergence=0.0,
    )


def _first(truth: CampaignTruth, cases: Cases, alert_ms: int) -> AlertEvent | None:
    found = (alert for revisions in cases.values() for alert in revisions if counts(alert, truth))
    return next((alert for alert in found if alert.detected_at == alert_ms), None)


def _value(
    row: Row, truth: CampaignTruth, outcome: Outcome, cases: Cases, moved_ms: int | None, lateness_ms: int
) -> float | None:
    """What happened before the alert that the row is about, in the row's unit; None if that alert never came."""
    said_ms = outcome.said_ms
    if row.unit == "second_pool":
        return _second_pool(truth, cases, lateness_ms)
    if row.unit == "pivot_min":
        said = [time + lateness_ms for time in _pivots(cases) if time >= truth.moments["pivot_ms"]]
        return max(0.0, (min(said) - moved_ms) / 60_000) if said and moved_ms is not None else None
    if said_ms is None:
        return None
    if row.unit == "burst":
        return float(truth.leaked_before(said_ms) - min(truth.leaked_before(truth.moments["burst_ms"]), outcome.leaked))
    if row.unit == "tried":
        return float(truth.leaked_before(said_ms) + bisect.bisect_left(truth.unanswered_ms, said_ms))
    return float(outcome.leaked)


def _pivots(cases: Cases) -> list[int]:
    """When cases told of a move to another model: later revisions repeat what an earlier one told."""
    found = []
    for revisions in cases.values():
        before = None
        for alert in revisions:
            now = next((item for item in alert.evidence if item.indicator == PIVOT_INDICATOR), None)
            if now is not None and now != before:
                found.append(alert.detected_at)
            before = now or before
    return found


def _second_pool(truth: CampaignTruth, cases: Cases, lateness_ms: int) -> float | None:
    """Hostile exchanges of the second pool before a case of the first one names some of its accounts."""
    ban = truth.moments["ban_ms"]
    second = set(truth.pools[1])
    times = sorted(time for account in second for time in truth.times_ms.get(account, ()))
    said = []
    for revisions in cases.values():
        if not any(alert.detected_at < ban and alert.category == truth.category for alert in revisions):
            continue
        named: set[str] = set()
        for alert in revisions:
            named |= second.intersection(alert.accounts.added)
            if len(named) >= SECOND_POOL_ACCOUNTS:
                said.append(alert.detected_at)
                break
    return float(bisect.bisect_left(times, min(said) + lateness_ms)) if said else None


def _ever(cases: Cases, until: int) -> set[str]:
    return {
        account
        for revisions in cases.values()
        for account in ever_named(a for a in revisions if a.detected_at <= until)
    }


def _due(truth: CampaignTruth, until: int) -> set[str]:
    return {account for account, times in truth.times_ms.items() if bisect.bisect_right(times, until) >= DUE_EXCHANGES}


def _members(truth: CampaignTruth, cases: Cases, at: int, since: int) -> Members:
    """Who is a member of the campaign's cases at a time."""
    named: set[str] = set()
    for revisions in cases.values():
        named.update(*deque(members(alert for alert in revisions if alert.detected_at <= at), maxlen=1))
    due = _due(truth, at)
    right = len(named.intersection(truth.accounts))
    return Members(round((at - since) / 60_000, 1), len(named), right, len(due), len(named & due))


def _over_time(truth: CampaignTruth, cases: Cases, alert_ms: int | None, end_ms: int) -> list[Members]:
    if alert_ms is None:
        return []
    moments = [alert_ms + minutes * 60_000 for minutes in MEMBERS_MIN]
    return [_members(truth, cases, at, alert_ms) for at in moments if at <= end_ms]


def false_cases(score: Score, cases: Cases, start_ms: int) -> list[FalseCase]:
    """Describe each case that names somebody benign."""
    found = []
    for each in score.false_names:
        first = cases[each.alert_id][0]
        found.append(
            FalseCase(
                max(each.kinds, key=lambda kind: (each.kinds[kind], kind)),
                each.category,
                each.benign,
                each.accounts,
                each.alarm,
                round((first.detected_at - start_ms) / 3_600_000, 2),
                {item.indicator: item.contribution for item in first.evidence},
            )
        )
    return found


def rand_index(truth: Truth, outcomes: Sequence[Outcome], cases: Cases) -> float | None:
    """Adjusted Rand index of cases against campaigns over the named accounts; None if nothing was named.

    An account that carries two campaigns counts once for each: it should be in a case of each.
    """
    labels: list[tuple[str, str]] = []
    named = {alert_id: ever_named(revisions) for alert_id, revisions in cases.items()}
    owned = {alert_id: outcome.id for outcome in outcomes for alert_id in outcome.cases}
    for campaign in truth.campaigns:
        for account in campaign.accounts:
            into = [alert_id for alert_id in owned if account in named[alert_id]]
            into.sort(key=lambda alert_id: (owned[alert_id] != campaign.id, cases[alert_id][0].detected_at, alert_id))
            if into:
                labels.append((campaign.id, into[0]))
    return adjusted_rand(labels) if labels else None


def adjusted_rand(labels: Sequence[tuple[str, str]]) -> float:
    """Adjusted Rand index of two partitions (Hubert and Arabie 1985): 1 the same, 0 as good as chance.

    >>> adjusted_rand([("a", "x"), ("a", "x"), ("b", "y"), ("b", "y")])
    1.0
    >>> adjusted_rand([("a", "x"), ("a", "x"), ("b", "x"), ("b", "x")])
    0.0
    """
    pairs: Callable[[Counter[str] | Counter[tuple[str, str]]], int] = lambda counts: sum(  # noqa: E731
        n * (n - 1) // 2 for n in counts.values()
    )
    both, one, other = (
        pairs(Counter(labels)),
        pairs(Counter(a for a, _ in labels)),
        pairs(Counter(b for _, b in labels)),
    )
    n = len(labels)
    expected = one * other / (n * (n - 1) / 2) if n > 1 else 0.0
    highest = (one + other) / 2
    return 1.0 if highest == expected else (both - expected) / (highest - expected)
