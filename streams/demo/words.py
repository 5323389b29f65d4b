"""Say in words what the demo shows, for the screen and for plain lines alike."""

from datetime import UTC, datetime

from streams.commands.alert_text import safe
from streams.contracts.alert import AlertEvent, Evidence
from streams.contracts.fold import Case
from streams.contracts.indicators import INDICATORS
from streams.demo.state import State
from streams.evaluate.score import FalseNames, Outcome, Score

CAMPAIGN_COLUMNS = ("campaign", "accounts", "exchanges", "leaked before alert", "share", "delay", "named", "caught as")


def clock(time_ms: int) -> str:
    """Write event time of the day, UTC."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC).strftime("%H:%M:%S")


def span(seconds: float) -> str:
    """Write a length of time.

    >>> span(42), span(840), span(7_500)
    ('42 s', '14 min', '2 h 05 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "case"), plural(2_000, "case")
    ('1 case', '2,000 cases')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def reasons(alert: AlertEvent, most: int) -> list[str]:
    """Return the strongest reasons for a case, in words."""
    strongest = sorted(alert.evidence, key=lambda each: (-each.contribution, each.indicator))
    return [reason(each) for each in strongest[:most] if each.contribution > 0]


def reason(evidence: Evidence) -> str:
    """Say what one item of evidence saw, with its figure if the words have none."""
    known = INDICATORS.get(evidence.indicator, ("", evidence.indicator))[1]
    words = evidence.detail if isinstance(evidence.detail, str) else known
    value = evidence.value
    if isinstance(value, int | float) and not any(c.isdigit() for c in words):
        words += f": {value:,.3g}" if abs(value) < 1_000 else f": {value:,.0f}"
    return safe(words)


def case_line(case: Case, opened_ms: int) -> str:
    """Write a case in one line."""
    alert = case.latest
    members = plural(len(case.members), "account")
    return (
        f"{clock(opened_ms)}  {alert.severity.upper():8}  {alert.category:17}  {members:>12}"
        f"  leaked {alert.exchanges.before_alert:,}"
    )


def numbers_line(state: State) -> str:
    """Write the running figures in one line."""
    numbers, traffic = state.numbers, state.traffic
    return (
        f"event time {clock(traffic.clock_ms)}  {numbers.events:,} events  {state.rate:,.0f}/s  "
        f"{numbers.accounts:,} accounts  {plural(numbers.clusters, 'cluster')}  "
        f"{numbers.cases} open cases  behind {state.behind_s:.1f} s"
    )


def campaign_row(outcome: Outcome) -> list[str]:
    """Return the cells of `CAMPAIGN_COLUMNS`."""
    return [
        outcome.id,
        f"{outcome.accounts:,}",
        f"{outcome.exchanges:,}",
        f"{outcome.leaked:,}" if outcome.caught else "-",
        f"{outcome.share:.0%}" if outcome.caught else "-",
        span(outcome.delay_s) if outcome.delay_s is not None else "-",
        _named(outcome),
        _caught(outcome),
    ]


def _named(outcome: Outcome) -> str:
    if outcome.precision is None:
        return "-"
    wrong = outcome.named - outcome.right
    return f"{outcome.right:,} ({outcome.recall:.0%})" + (f", {wrong:,} wrong" if wrong else "")


def _caught(outcome: Outcome) -> str:
    if outcome.caught:
        more = f" in {len(outcome.cases)} cases" if len(outcome.cases) > 1 else ""
        return f"{outcome.category}{more}"
    return f"not as {outcome.category}, but {outcome.called}" if outcome.called else "not caught"


def false_line(names: FalseNames) -> str:
    """Say which benign accounts a case names."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in names.kinds.items())
    what = "false alarm" if names.alarm else "benign accounts in a true case"
    return f"{what}: {names.category} case {names.alert_id} names {names.benign} of {names.accounts} ({kinds})"


def verdict_line(score: Score, seed: int) -> str:
    """Say how it ended, and how to see it again."""
    caught = sum(each.caught for each in score.campaigns)
    faults = score.faults()
    if not faults:
        return f"PASSED: all {caught} campaigns caught, nothing benign named (seed {seed})."
    return f"FAILED: {'; '.join(faults)}. See it again with: stillwatch demo --seed {seed}"
