"""Alerts as text for people."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from streams.contracts.alert import AlertEvent, Evidence
from streams.contracts.fold import Case
from streams.contracts.indicators import INDICATORS, TECHNIQUES, axis

COLOURS = {"low": "cyan", "medium": "yellow", "high": "red", "critical": "bright_red"}
TOP_REASONS = 3


def safe(text: str) -> str:
    """Escape what would move the cursor or reverse the text: ids come from traffic that an attacker writes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def moment(time_ms: int) -> str:
    """Write event time in UTC to the second; a time that no calendar holds is written as milliseconds."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"


def by_axis(evidence: Iterable[Evidence]) -> list[tuple[str, float, list[Evidence]]]:
    """Group evidence: (axis, sum of contributions in nats, evidence), the weightiest axis and reason first."""
    groups: dict[str, list[Evidence]] = {}
    for each in evidence:
        groups.setdefault(axis(each.indicator), []).append(each)
    rows = [
        (
            name,
            sum(each.contribution for each in group),
            sorted(group, key=lambda e: (-abs(e.contribution), e.indicator)),
        )
        for name, group in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def block(alert: AlertEvent) -> str:
    """Write one revision in two lines: what and how much, then the strongest reasons for and against."""
    severity = click.style(f"{alert.severity.upper():8}", fg=COLOURS[alert.severity], bold=True)
    change = "".join(
        f" {sign}{len(accounts)}"
        for sign, accounts in (("+", alert.accounts.added), ("-", alert.accounts.removed))
        if accounts
    )
    what = f"{alert.category} {alert.kind} {safe(alert.subject_id)}"
    status = f"{alert.status} r{alert.revision}"
    if alert.merged_into:
        status += f" into {safe(alert.merged_into)}"
    named = f"{alert.accounts.count:,} account{'s' if alert.accounts.count != 1 else ''}{change}"
    first = (
        f"{moment(alert.detected_at)}  {severity}  {status}  {what}  {named}  {leaked(alert)}  [{safe(alert.alert_id)}]"
    )
    reasons = sorted(alert.evidence, key=lambda each: (-abs(each.contribution), each.indicator))[:TOP_REASONS]
    told = "; ".join(f"{each.contribution:+.1f} {reason(each)}" for each in reasons)
    more = len(alert.evidence) - len(reasons)
    return f"{first}\n    {told or 'no evidence given'}{f'; and {more} more' if more else ''}"


def reason(evidence: Evidence) -> str:
    """Say in words what an indicator found: its own detail, else what the indicator is about, else its name."""
    if isinstance(evidence.detail, str) and evidence.detail:
        return f"{safe(evidence.detail)} ({safe(evidence.indicator)})"
    if evidence.indicator in INDICATORS:
        return f"{INDICATORS[evidence.indicator][1]} ({evidence.indicator})"
    return safe(evidence.indicator)


def leaked(alert: AlertEvent) -> str:
    """Say what had leaked before the alert."""
    return f"leaked {alert.exchanges.before_alert:,} of {alert.exchanges.total:,} exchanges"


def case_text(case: Case, history: Sequence[AlertEvent], members: int | None) -> str:
    """Write a case as it stands; ``members`` limits how many accounts are listed, None lists all."""
    alert = case.latest
    severity = click.style(alert.severity.upper(), fg=COLOURS[alert.severity], bold=True)
    name = click.style(safe(alert.alert_id), bold=True)
    named = moment(history[0].detected_at)
    lines = [
        f"{name}  {severity} {alert.category} {alert.kind} {safe(alert.subject_id)}",
        f"  {_standing(alert)}",
        f"  {_weight(alert)}",
        f"  first seen {moment(alert.first_seen)}, named {named}, last seen {moment(alert.last_seen)}",
        f"  {leaked(alert)}{_tokens(alert)}",
        "",
        "Evidence (nats; negative speaks for a benign explanation)",
    ]
    for name, total, group in by_axis(alert.evidence):
        lines.append(f"  {safe(name):14} {total:+9.2f}")
        lines += [f"    {each.contribution:+9.2f}  {reason(each)}{_values(each)}" for each in group]
    lines += ["", *_clearing(alert)]
    lines += ["", "Techniques (MITRE ATLAS)"]
    lines += [f"  {safe(each)}  {TECHNIQUES.get(each, '')}".rstrip() for each in alert.techniques] or ["  none named"]
    if alert.pools:
        lines += ["", "Pools"]
        lines += [f"  {safe(pool.pool_id)}  {pool.accounts:,} of the members" for pool in alert.pools]
    lines += ["", f"Members ({len(case.members):,})"]
    shown = case.members if members is None else case.members[:members]
    lines += [f"  {safe(account)}" for account in shown]
    if len(shown) < len(case.members):
        lines.append(f"  and {len(case.members) - len(shown):,} more: --members all")
    lines += ["", "History"]
    lines += [f"  {_revision(each)}" for each in history]
    return "\n".join(lines)


def clearing(alert: AlertEvent) -> list[Evidence] | None:
    """Find the fewest reasons without which the evidence would be below the threshold, the weightiest first.

    Contributions add up, so taking the largest first is the smallest set. Empty if the evidence is below it already;
    None if the alert gives no threshold or no set of its reasons is enough. Cannot see that reasons depend on each
    other: a prompt that were not shared would take its purpose along.
    """
    total, threshold = alert.evidence_total, alert.threshold
    if not isinstance(total, (int, float)) or not isinstance(threshold, (int, float)):
        return None
    found = []
    for each in sorted(alert.evidence, key=lambda e: (-e.contribution, e.indicator)):
        if total < threshold or each.contribution <= 0:
            break
        found.append(each)
        total -= each.contribution
    return found if total < threshold else None


def _clearing(alert: AlertEvent) -> list[str]:
    found, total, threshold = clearing(alert), alert.evidence_total, alert.threshold
    if found is None or not isinstance(total, float) or not isinstance(threshold, float):
        return ["What would clear it", "  nothing that its evidence tells"]
    if not found:
        return ["What would clear it", f"  nothing more: {total:.2f} nats are below the {threshold:.2f} that it takes"]
    left = total - sum(each.contribution for each in found)
    these = "this reason" if len(found) == 1 else f"these {len(found)} reasons (no fewer would do)"
    return [
        f"What would clear it: without {these}, {left:.2f} nats are left of the {threshold:.2f} that it takes",
        *(f"    {each.contribution:+9.2f}  {reason(each)}" for each in found),
    ]


def _standing(alert: AlertEvent) -> str:
    if alert.status == "merged":
        return f"merged into {safe(alert.merged_into or '?')} with revision {alert.revision}"
    state = "closed" if alert.status == "closed" else "active"
    return f"{state}, revision {alert.revision}"


def _weight(alert: AlertEvent) -> str:
    text = f"score {alert.score:.4f}"
    total, threshold = alert.evidence_total, alert.threshold
    if isinstance(total, float) and isinstance(threshold, float):
        text += f": {total:.2f} nats of evidence against a threshold of {threshold:.2f}"
    return text + (f", p {alert.p_value:.2g}" if alert.p_value is not None else "")


def _tokens(alert: AlertEvent) -> str:
    tokens = alert.exchanges.output_tokens
    return f", {tokens:,} output tokens" if isinstance(tokens, int) else ""


def _values(evidence: Evidence) -> str:
    parts = [
        f"{name} {safe(_value(value))}"
        for name, value in (("value", evidence.value), ("baseline", evidence.baseline))
        if isinstance(value, (bool, int, float, str, list, dict))
    ]
    return f"  [{', '.join(parts)}]" if parts else ""


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _revision(alert: AlertEvent) -> str:
    accounts = f"+{len(alert.accounts.added)} -{len(alert.accounts.removed)} = {alert.accounts.count:,} accounts"
    state = f"{alert.status:8} {alert.severity:8} {alert.score:.4f}"
    return f"{alert.revision:4}  {moment(alert.detected_at)}  {state}  {accounts}"
