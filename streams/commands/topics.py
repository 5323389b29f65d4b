"""``stillwatch topics``: make the topics, check and describe them, and start anew."""

import click

from streams.commands.options import JSON, echo_json, echo_table, with_settings
from streams.config import Settings
from streams.runtime import reset as anew
from streams.runtime.kafka_client import reach
from streams.runtime.topics import Finding, check_topics, create_topics, describe_topics, topic_specs

EXIT_WRONG = 3


@click.group()
def topics() -> None:
    """Make the Kafka topics, and tell where existing ones differ from what is needed."""


@topics.command()
@with_settings
@JSON
@click.pass_context
def create(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Make the topics that are missing, then check all of them.

    Existing topics are never changed. Exit 3 if one of them differs in a way that keeps the worker from its work.
    """
    admin = reach(settings)
    created = create_topics(settings, admin)
    findings = check_topics(settings, admin)
    if as_json:
        echo_json({"created": created, "findings": findings})
    else:
        there = len(topic_specs(settings)) - len(created)
        click.echo(f"created {len(created)} topics{''.join(f'{chr(10)}  {name}' for name in created)}")
        if there:
            click.echo(f"left {there} as they were")
        _report(findings)
    ctx.exit(_exit_code(findings))


@topics.command()
@with_settings
@JSON
@click.pass_context
def check(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Report missing topics and differences from what is needed.

    Exit 3 if a topic is missing or wrong; notes alone give exit 0.
    """
    findings = check_topics(settings)
    if as_json:
        echo_json({"ok": not _exit_code(findings), "findings": findings})
    else:
        _report(findings)
    ctx.exit(_exit_code(findings))


@topics.command()
@with_settings
@JSON
def describe(settings: Settings, as_json: bool) -> None:
    """Print each topic: what it is for, and what it is like on the cluster."""
    states = describe_topics(settings)
    specs = topic_specs(settings)
    if as_json:
        echo_json([{"role": spec.role, "needed": spec, "found": states.get(spec.name)} for spec in specs])
        return
    rows = []
    for spec in specs:
        state = states.get(spec.name)
        if state is None:
            rows.append((spec.name, spec.role, "missing", "", "", ""))
            continue
        policy = state.configs.get("cleanup.policy", "")
        kept = _duration(state.configs.get("retention.ms", "")) if "delete" in policy else "last of each key"
        rows.append((spec.name, spec.role, str(state.partitions), str(state.replication), policy, kept))
    echo_table(("topic", "role", "partitions", "replicas", "cleanup", "keeps"), rows)


@topics.command()
@click.option("--alerts", is_flag=True, help="Make the alert topic anew, too: input, version or settings differ.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
@JSON
def reset(settings: Settings, alerts: bool, yes: bool, as_json: bool) -> None:
    """Make workers start anew: delete all they remember, and the topics between the stages.

    Requests and dead letters stay, and requests are read again from the oldest that is kept. A case that is found as
    before has its old id and its old revisions, byte for byte. Where the input, the version or settings differ,
    revisions of an old id may have other contents: with --alerts the alert topic goes as well, and its readers should
    be told. Without, a case that was open and is not found again is never closed.

    Stop all workers first; exit 4 if one still runs, and nothing is deleted.
    """
    admin = reach(settings)
    groups, topics = anew.remembered(settings, alerts)
    if not yes:
        click.echo(f"Deletes consumer groups {', '.join(groups)}\nand topics {', '.join(topics)}.", err=True)
        click.confirm("All that workers have learned is lost. Go on?", abort=True, err=True)
    deleted = anew.reset(settings, admin, alerts)
    if as_json:
        echo_json({"deleted": deleted})
    else:
        click.echo(f"deleted {len(deleted)} groups and topics{''.join(f'{chr(10)}  {name}' for name in deleted)}")
        click.echo("made the topics again: start the workers")


def _report(findings: list[Finding]) -> None:
    if not findings:
        click.echo("ok: all topics are as needed")
        return
    columns = ("topic", "level", "what", "found", "needed", "advice")
    echo_table(columns, [[getattr(finding, column) for column in columns] for finding in findings])


def _exit_code(findings: list[Finding]) -> int:
    return EXIT_WRONG if any(finding.level != "note" for finding in findings) else 0


def _duration(text: str) -> str:
    """Write milliseconds in days or hours; -1 is Kafka's word for ever."""
    ms = int(text or -1)
    if ms < 0:
        return "all, for ever"
    return f"{ms / 86_400_000:g} d" if ms >= 86_400_000 else f"{ms / 3_600_000:.3g} h"
