"""Say in words what the demo shows, for the screen and for plain lines alike."""

from datetime import UTC, datetime

from streams.commands.alert_text import safe
from streams.contracts.alert import AlertEvent, Evidence
from streams.contracts.fold import Case
from streams.contracts.indicators import INDICATORS
from streams.demo.state import State
from streams.evaluate.score import Score
from streams.evaluate.words import plural


def clock(time_ms: int) -> str:
    """Write event time of the day, UTC."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC).strftime("%H:%M:%S")


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


def verdict_line(score: Score, seed: int) -> str:
    """Say how it ended, and how to see it again."""
    caught = sum(each.caught for each in score.campaigns)
    faults = score.faults()
    if not faults:
        return f"PASSED: all {caught} campaigns caught, nothing benign named (seed {seed})."
    return f"FAILED: {'; '.join(faults)}. See it again with: stillwatch demo --seed {seed}"
