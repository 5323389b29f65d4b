"""Say in words how a score came out: a row for each campaign, a line for each case with benign accounts."""

from typing import Any

import msgspec

from streams.evaluate.score import FalseNames, Outcome, Score

CAMPAIGN_COLUMNS = ("campaign", "accounts", "exchanges", "leaked before alert", "share", "delay", "named", "caught as")


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


def score_fields(score: Score) -> dict[str, Any]:
    """Return a score as `--json` prints it."""
    return {
        "passed": not score.faults(),
        "faults": score.faults(),
        "campaigns": [
            {**msgspec.to_builtins(each), "share": round(each.share, 4), "recall": round(each.recall, 4),
             "precision": None if each.precision is None else round(each.precision, 4)}
            for each in score.campaigns
        ],
        "false_alarms": score.false_alarms,
        "benign_named": score.benign_named,
        "false_names": [msgspec.to_builtins(each) for each in score.false_names],
    }  # fmt: skip
