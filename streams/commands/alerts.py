"""``stillwatch alerts``: follow the alert topic, and show a case as it stands."""

from pathlib import Path
from typing import get_args

import click
import msgspec

from streams.commands.alert_text import block, by_axis, case_text, clearing
from streams.commands.options import JSON, echo_json, with_settings
from streams.config import Settings
from streams.contracts.alert import AlertEvent, Category, Kind, Severity
from streams.contracts.fold import Case, fold
from streams.errors import InputError
from streams.runtime.alert_reader import Revision, follow, read_all, read_file

SEVERITIES = get_args(Severity)  # rising
MEMBERS_SHOWN = "20"
IDS_SHOWN = 20


def _limit(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    """Return the number that --members gives, None for all."""
    if value != "all" and not value.isdecimal():
        raise click.BadParameter(f"{value!r} is neither a number nor 'all'.")
    return None if value == "all" else int(value)


@click.group()
def alerts() -> None:
    """Follow alerts and look at cases."""


@alerts.command()
@with_settings
@click.option("--from-beginning", is_flag=True, help="Start with the oldest alert kept, not with the next one.")
@click.option(
    "--min-severity", type=click.Choice(SEVERITIES), default="low", show_default=True, help="From this one upwards."
)
@click.option("--kind", type=click.Choice(get_args(Kind)), help="Only this kind of case.")
@click.option("--category", "categories", type=click.Choice(get_args(Category)), multiple=True, help="May be repeated.")
@click.option("--max", "maximum", type=click.IntRange(1), help="End after so many.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), help="End after so many quiet seconds."
)
@JSON
def tail(
    settings: Settings,
    from_beginning: bool,
    min_severity: str,
    kind: str | None,
    categories: tuple[str, ...],
    maximum: int | None,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    """Print each revision of each case as it comes, until Ctrl-C.

    With --json one line of JSON each, as it is on the topic. No consumer group is joined and nothing is committed.
    """
    least = SEVERITIES.index(min_severity)
    shown = 0
    for revision in follow(settings, from_beginning=from_beginning, timeout_s=timeout_s, on_bad=_complain):
        alert = revision.alert
        if SEVERITIES.index(alert.severity) < least or (kind and alert.kind != kind):
            continue
        if categories and alert.category not in categories:
            continue
        click.echo(msgspec.json.format(revision.raw, indent=-1) if as_json else block(alert))
        shown += 1
        if shown == maximum:
            return


@alerts.command()
@click.argument("alert_id")
@with_settings
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the alerts that `stillwatch replay` wrote, not Kafka.",
)
@click.option(
    "--members",
    callback=_limit,
    metavar="N|all",
    default=MEMBERS_SHOWN,
    show_default=True,
    help="How many accounts to list.",
)
@JSON
def show(alert_id: str, settings: Settings, file: Path | None, members: int | None, as_json: bool) -> None:
    """Show the case ALERT_ID as it stands: its reasons by axis, its members, its history.

    The first characters of the id suffice if no other case starts with them.
    """
    found = read_file(file) if file else read_all(settings, alert_id, _complain)
    revisions = _choose(alert_id, found, file)
    case = fold(revisions)
    history = list({alert.revision: alert for alert in sorted(revisions, key=lambda alert: alert.revision)}.values())
    if as_json:
        echo_json(_case_json(case, history))
    else:
        click.echo(case_text(case, history, members))


def _choose(prefix: str, found: list[Revision], file: Path | None) -> list[AlertEvent]:
    cases: dict[str, list[AlertEvent]] = {}
    for revision in found:
        if revision.alert.alert_id.startswith(prefix):
            cases.setdefault(revision.alert.alert_id, []).append(revision.alert)
    if prefix in cases:
        return cases[prefix]
    if not cases:
        known = sorted({revision.alert.alert_id for revision in found})
        more = f" and {len(known) - IDS_SHOWN} more" if len(known) > IDS_SHOWN else ""
        listed = f"{file} has {', '.join(known[:IDS_SHOWN]) or 'none'}{more}"
        where = listed if file else "`stillwatch alerts tail --from-beginning` lists them"
        raise InputError(f"No case starts with {prefix!r}; {where}.")
    if len(cases) > 1:
        raise InputError(
            f"{len(cases)} cases start with {prefix!r}: {', '.join(sorted(cases)[:5])}; give more of the id."
        )
    return next(iter(cases.values()))


def _case_json(case: Case, history: list[AlertEvent]) -> dict[str, object]:
    evidence = {
        name: {"contribution": round(total, 6), "evidence": group}
        for name, total, group in by_axis(case.latest.evidence)
    }
    return {
        "alert_id": case.latest.alert_id,
        "active": case.active,
        "latest": case.latest,
        "evidence_by_axis": evidence,
        "clearing": None if (reasons := clearing(case.latest)) is None else [each.indicator for each in reasons],
        "members": case.members,
        "history": [
            {
                "revision": each.revision,
                "status": each.status,
                "severity": each.severity,
                "score": each.score,
                "detected_at": each.detected_at,
                "accounts": each.accounts.count,
                "added": len(each.accounts.added),
                "removed": len(each.accounts.removed),
            }
            for each in history
        ],
    }


def _complain(text: str) -> None:
    click.echo(f"skipped what is no alert: {text}", err=True)
