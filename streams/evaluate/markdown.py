"""The report as Markdown."""

from collections.abc import Sequence

from streams.evaluate import summary

SHOWN_MINUTES = (0, 15, 30, 60, 240)


def _n(value: float | None, digits: int = 0) -> str:
    return "never" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None or value != value else f"{100 * value:.{digits}f} %"


def _between(interval: tuple[float, float]) -> str:
    return "" if interval[0] != interval[0] else f"({_percent(interval[0])} - {_percent(interval[1])})"


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(columns) + " |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(line) + " |" for line in lines),
        "",
    ]


def markdown(found: summary.Summary) -> str:
    """Write the report as Markdown."""
    out = ["# How early, and at what price", ""]
    for name, seeds in found.splits.items():
        out.append(f"- {_USE[name]}: {_ranges(seeds)}.")
    out += [
        f"- {found.runs} runs, {found.events:,} events; {found.benign_exchanges:,} benign exchanges in "
        f"{found.simulated_days:,.1f} simulated days (runs of one seed share their benign events, which count once), "
        f"{' or '.join(f'{n:,}' for n in found.accounts)} benign accounts, "
        f"{found.cpu_h} h of CPU, version {found.version}.",
        "- Medians over the seeds with 95 % bootstrap intervals. A campaign that was not caught within its run counts "
        'as infinite ("never"). The worst seed may be at three times the goal.',
        "",
    ]
    out += (
        _verdict(found)
        + _goals(found)
        + _accounts(found)
        + _false(found)
        + _baselines(found)
        + _bounds(found)
        + _calibration(found)
    )
    return "\n".join(out)


def _verdict(found: summary.Summary) -> list[str]:
    held = [row for row in found.rows if row.met is not None]
    missed = [row.id for row in held if not row.met]
    out = [f"- Goals for the leak: {len(held) - len(missed)} of {len(held)} met" + _but(missed) + "."]
    for what, values, goal in (
        ("precision", {row.id: row.precision for row in found.rows}, summary.PRECISION_GOAL),
        ("recall", {row.id: row.recall for row in found.rows}, summary.RECALL_GOAL),
    ):
        below = [name for name, value in values.items() if not value >= goal]  # nobody named is not nobody wrong
        out.append(
            f"- Rows with a {what} of {_percent(goal)}: {len(values) - len(below)} of {len(values)}{_but(below)}."
        )
    out.append(f"- False cases: {found.false_cases}; benign accounts named: {found.benign_named}.")
    if found.baselines:
        later = [row.id for row in found.rows if not all(one.beaten for one in row.baselines.values())]
        out.append(
            f"- Caught, and no later than by any other method at a matched rate of false cases: "
            f"{len(found.rows) - len(later)} of {len(found.rows)} rows{_but(later)}."
        )
    return [*out, ""]


def _but(names: Sequence[str]) -> str:
    return f" (not {', '.join(names)})" if names else ""


_USE = {
    "tuning": "Seeds that were used to tune the detector (no evidence of how good it is)",
    "reporting": "Reporting seeds, which nobody tuned on",
    "other": "Seeds of neither kind",
}


def _ranges(numbers: Sequence[int]) -> str:
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts)


def _goals(found: summary.Summary) -> list[str]:
    lines = []
    for row in found.rows:
        value = row.figure
        lines.append((
            row.id, row.title, row.unit, _n(row.goal) if row.goal is not None else "",
            f"{_n(value.median)} ({_n(value.low)} - {_n(value.high)})", _n(value.worst),
            {True: "yes", False: f"**no**: {row.why}", None: ""}[row.met], f"{row.caught}/{row.seeds}",
            _n(row.exchanges), _n(row.delay_min.median),
            ", ".join(f"{name} {n}" for name, n in row.called.items()),
            f"{_percent(row.hostile_share[0], 2)} - {_percent(row.hostile_share[1], 2)}",
        ))  # fmt: skip
    columns = ("row", "shape", "unit", "goal", "median (95 %)", "worst seed", "met", "caught", "there was",
               "delay, min", "called", "hostile share of the run")  # fmt: skip
    campaigns = _table(("row", "campaign"), [(row.id, f"`{row.campaign}`") for row in found.rows])
    return [
        "## Before the first correct alert",
        "",
        *_table(columns, lines),
        "![leak curves](leak.svg)",
        "",
        *campaigns,
    ]


def _accounts(found: summary.Summary) -> list[str]:
    lines = [
        (
            row.id,
            f"{_percent(row.precision, 2)} {_between(row.precision_interval)}",
            _percent(row.precision_worst, 1),
            f"{_percent(row.recall)} {_between(row.recall_interval)}",
            _percent(row.recall_worst, 1),
            "" if row.rand is None else f"{row.rand:.2f}",
            f"{row.cases:.1f}",
            f"{row.pools[0]:.1f} of {row.pools[1]:.1f}",
        )
        for row in found.rows
    ]
    columns = (
        "row",
        "precision, mean",
        "worst",
        "recall, mean",
        "worst",
        "adjusted Rand of the run",
        "cases",
        "pools said",
    )
    return [
        "## Accounts that are named",
        "",
        "Named within 24 h of the first correct alert or to the run's end: for precision ever, for recall not "
        "withdrawn. Recall is of the accounts with three exchanges of the campaign or more by then. Goals: "
        f"{_percent(summary.PRECISION_GOAL)} and {_percent(summary.RECALL_GOAL)}. Over all runs "
        f"{_percent(found.precision, 2)} of the named accounts were hostile. "
        "Adjusted Rand: whether cases are campaigns, over all campaigns of a run, 1 is best.",
        "",
        *_table(columns, lines),
        "Precision and recall of the members so many minutes after the alert (over the seeds still running):",
        "",
        *_over_time(found),
        "![recall of the members over time](members.svg)",
        "![precision of the members over time](precision.svg)",
        "",
    ]


def _over_time(found: summary.Summary) -> list[str]:
    lines = []
    for row in found.rows:
        at = {each.minutes: each for each in row.members}
        cells = []
        for minutes in SHOWN_MINUTES:
            one = at.get(minutes)
            if one is None or not one.named or not one.due:
                cells.append("")
            else:
                cells.append(f"{_percent(one.right / one.named)}, {_percent(one.due_named / one.due)}")
        lines.append((row.id, *cells))
    return _table(("row", *(f"{minutes}" for minutes in SHOWN_MINUTES)), lines)


def _false(found: summary.Summary) -> list[str]:
    lines = [
        (
            kind.kind,
            "hard" if kind.hard else "",
            f"{kind.exchanges:,}",
            f"{kind.cases}",
            f"{kind.per_10m:.2f} ({kind.interval[0]:.2f} - {kind.interval[1]:.2f})",
            f"{kind.named}",
        )
        for kind in found.kinds
    ]
    columns = ("benign kind", "", "exchanges", "false cases", "per 10 million (95 %)", "cases that name one")
    return [
        "## False cases",
        "",
        f"{found.false_cases} in {found.benign_exchanges:,} benign exchanges: {found.false_per_10m:.2f} per 10 million "
        f"({found.false_interval[0]:.2f} - {found.false_interval[1]:.2f}); "
        f"goal: at most {summary.FALSE_CASES_GOAL:.0f}. "
        f"The configured budget allows {found.budget_cases:.2f} in {found.simulated_days:,.1f} simulated days.",
        "",
        *_table(columns, lines),
    ]


def _baselines(found: summary.Summary) -> list[str]:
    if not found.baselines:
        return []
    columns = ("row", "stillwatch", *(base.name for base in found.baselines))
    lines = []
    for row in found.rows:
        cells = [_n(next(iter(row.baselines.values())).ours)] if row.baselines else [""]
        for base in found.baselines:
            one = row.baselines.get(base.name)
            mark = "" if one is None or one.beaten or one.matched is None else " **earlier**"
            cells.append("" if one is None else f"{_n(one.matched)} / {_n(one.usual)}{mark}")
        lines.append((row.id, *cells))
    about = [
        (
            base.name,
            base.about,
            base.score,
            f"{base.matched_threshold:.3g} / {base.usual_threshold:.3g}",
            f"{base.false_cases[0]} / {base.false_cases[1]}",
            f"{base.innocents[0]:,} / {base.innocents[1]:,}",
            f"{_percent(base.precision[0])} / {_percent(base.precision[1])}",
        )
        for base in found.baselines
    ]
    return [
        "## Other methods on the same events",
        "",
        "Median exchanges leaked before the first alarm of which more than half is the campaign; left, here as below: "
        "at the matched threshold, the lowest that gives no false case on benign runs of tuning seeds; right: at the "
        "usual one. **earlier**: than Stillwatch, at the matched threshold. The matched thresholds rest on "
        f"{found.calibrated_on:,} benign exchanges: the fewer, the lower they are, even below the usual ones. The runs "
        "of this report are others, with campaigns among their benign accounts and in part longer: there a matched "
        "threshold can have false cases, and has more than the usual one where it is the lower of the two.",
        "",
        *_table(columns, lines),
        *_table(
            ("method", "what it does", "score", "thresholds", "false cases", "innocent accounts named", "precision"),
            about,
        ),
    ]


def _bounds(found: summary.Summary) -> list[str]:
    lines = [
        (
            row.id,
            f"{row.divergence:.3f}",
            "" if row.bound is None else _n(row.bound, 1),
            _n(row.leaked.median),
            "" if row.nats_per_exchange is None else f"{row.nats_per_exchange:.3f}",
        )
        for row in found.rows
    ]
    columns = (
        "row",
        "divergence, nats per exchange",
        "bound, exchanges",
        "leaked, median",
        "evidence gained per exchange",
    )
    return [
        "## How near to the bound",
        "",
        "Wald: a test with false-alarm probability alpha needs log(1/alpha)/D exchanges on average, D being the "
        "divergence of a hostile from a benign exchange. D is measured on what is visible of single exchanges "
        "(purpose, and at first sight of a template, card, device or network how many accounts have shown it before), "
        "until the first correct alert, for somebody who knows which exchanges belong together: who has to find that "
        "out first needs more.",
        "",
        *_table(columns, lines),
    ]


def _calibration(found: summary.Summary) -> list[str]:
    lines = [
        (
            f"{b.low:.1f} - {b.high:.1f}",
            f"{b.groups}",
            f"{b.score:.3f}",
            f"{b.hostile:.3f} ({b.interval[0]:.3f} - {b.interval[1]:.3f})",
        )
        for b in found.reliability
    ]
    tails = [(f"{nats:.0f}", f"{share:.5f}", f"{limit:.5f}") for nats, share, limit in found.tail]
    return [
        "## Calibration",
        "",
        "All benign candidate groups (those of runs over the same events once) and of each campaign the one with the "
        "most evidence, each with the most that it ever had. The score is 0.5 at the threshold: its prior is that of a "
        "service where hostile groups are as rare as the budget says, and of these "
        f"{sum(b.groups for b in found.reliability):,} {_percent(_hostile(found))} are hostile, so that shares are "
        "above scores wherever there is doubt."
        + ("" if found.brier is None else f" Brier score {found.brier:.4f}.")
        + ("" if found.calibration_error is None else f" Expected calibration error {found.calibration_error:.4f}."),
        "",
        *_table(("score", "groups", "mean score", "share hostile (95 %)"), lines),
        "![reliability](reliability.svg)",
        "",
        *_budgets(found),
        "Benign groups that ever reached so many nats; evidence that is a likelihood ratio stays under exp(-nats).",
        "",
        *_table(("nats", "share of benign groups", "exp(-nats)"), tails),
        "![evidence of benign groups](tail.svg)",
        "",
    ]


def _hostile(found: summary.Summary) -> float:
    groups = sum(b.groups for b in found.reliability)
    return sum(b.groups * b.hostile for b in found.reliability) / max(1, groups)


def _budgets(found: summary.Summary) -> list[str]:
    lines = [
        (
            _HELD_OUT[b.split],
            f"{b.a_day:g}",
            f"{b.nats:.2f}",
            f"{b.groups:,}",
            f"{b.allowed:.2f}",
            f"{b.expected:.3f}",
            f"{b.reached} ({b.interval[0]:.2f} - {b.interval[1]:.2f})",
            "" if b.cases is None else f"{b.cases}",
        )
        for b in found.budgets
    ]
    columns = ("seeds", "budget a day", "nats needed", "benign groups", "allowed", "expected", "reached (95 %)",
               "false cases of all sorts")  # fmt: skip
    return [
        "### False cases against the alert budget",
        "",
        "Benign groups that reach the threshold of a budget, were it configured; the last column is what came at the "
        "configured one, single accounts and pools included. Allowed: budget times simulated days. Expected: "
        "exp(-threshold) of the benign groups, as of a likelihood ratio; a service with fewer groups a day than the "
        "threshold assumes at least has fewer false cases than it allows.",
        "",
        *_table(columns, lines),
    ]


_HELD_OUT = {"reporting": "held out", "tuning": "tuning", "other": "other"}
