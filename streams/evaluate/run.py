"""Do one run: simulate, detect, judge. ``python -m streams.evaluate.run`` does it in a process of its own."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec
import xxhash

from streams.config import Settings
from streams.contracts.alert import AlertEvent, decode_alert
from streams.evaluate import measure
from streams.evaluate.baselines.panel import Panel
from streams.evaluate.divergence import Cell, Cells, divergence
from streams.evaluate.results import Group, Measured, Result
from streams.evaluate.rows import Run, split
from streams.evaluate.score import Scorer
from streams.evaluate.seen import Seen, see
from streams.operator import ALERTS, Record
from streams.replay import Replay
from streams.settings import settings_digest
from streams.simulator.generate import Simulation
from streams.simulator.truth import Truth

PROGRESS_EVENTS = 20_000
LOOK_EVENTS = 1_000  # between two looks at the evidence of all candidate groups: a tick or so


class Task(msgspec.Struct, frozen=True):
    """All that a run's process needs.

    ``code`` is `code_digest()`. ``matched`` are thresholds of the baselines, None: run none. ``detect`` False runs the
    baselines alone.
    """

    run: Run
    settings: Settings
    code: str = ""
    detect: bool = True
    matched: dict[str, float] | None = None

    @property
    def digest(self) -> str:
        """Hash of what decides the result."""
        what = msgspec.json.encode((self.code, self.run, settings_digest(self.settings), self.detect, self.matched))
        return xxhash.xxh3_64_hexdigest(what)


def execute(task: Task, report: Callable[[int, int], None] = lambda done, expected: None) -> Result:
    """Simulate and measure; ``report(events done, events expected)`` is called now and then."""
    began = time.process_time()
    run = task.run
    simulation = Simulation(run.plan)
    watch = _Watch(simulation.truth)
    cases: dict[str, list[AlertEvent]] = {}

    def on_record(record: Record) -> None:
        if record.role == ALERTS:
            alert = decode_alert(record.value or b"")
            cases.setdefault(alert.alert_id, []).append(alert)

    host = Replay(task.settings, on_record)
    panel = None if task.matched is None else Panel(task.matched)
    expected = round(simulation.expected_events)
    groups = _Groups()
    for number, event in enumerate(simulation, 1):
        seen = see(event.value)
        watch.see(seen)
        if panel is not None:
            panel.see(seen)
        if task.detect:
            host.feed(event.value)
        if task.detect and number % LOOK_EVENTS == 0:
            groups.look(host)
        if number % PROGRESS_EVENTS == 0:
            report(number, max(expected, number))
    host.end()
    groups.look(host)
    truth = simulation.truth
    lateness_ms = task.settings.time.lateness_ms
    score = Scorer(truth, lateness_ms).score(cases)
    cells = watch.divergences({outcome.id: outcome.alert_ms for outcome in score.campaigns})
    candidates = groups.found(host, {account: c.id for c in truth.campaigns for account in c.accounts})
    measured: list[Measured] = []
    for campaign, outcome in zip(truth.campaigns, score.campaigns, strict=True):
        row = run.rows[int(campaign.id.partition("-")[0]) - 1]
        moves = watch.moves.get(campaign.id)
        one = measure.measure(
            row, campaign, outcome, cases, truth.end_ms, moves.moved_ms() if moves else None, lateness_ms
        )
        one.divergence = round(cells[campaign.id], 4)
        one.most_nats = max((group.nats for group in candidates if group.campaign == campaign.id), default=None)
        measured.append(one)
    row_of = {c.id: run.rows[int(c.id.partition("-")[0]) - 1].id for c in truth.campaigns}
    matched, usual = ({}, {}) if panel is None else panel.judge(truth, row_of)
    hostile = {account for campaign in truth.campaigns for account in campaign.accounts}
    named = {account for revisions in cases.values() for a in revisions for account in a.accounts.added}
    sent = sum(len(times) for campaign in truth.campaigns for times in campaign.times_ms.values())
    return Result(
        key=run.key,
        digest=task.digest,
        name=run.name,
        seed=run.seed,
        split=split(run.seed),
        events=truth.events,
        hours=run.plan.hours,
        accounts=run.plan.accounts,
        benign={kind.kind: kind.exchanges for kind in truth.benign},
        hard=[kind.kind for kind in truth.benign if kind.hard_negative],
        hostile_share=sent / max(truth.events, 1),
        measured=measured,
        false_cases=measure.false_cases(score, cases, truth.start_ms),
        benign_named=score.benign_named,
        hostile_named=len(named & hostile),
        rand=measure.rand_index(truth, score.campaigns, cases),
        groups=candidates,
        baselines=matched,
        usual=usual,
        highest={} if panel is None else panel.highest,
        cpu_s=round(time.process_time() - began, 1),
        background=xxhash.xxh3_64_hexdigest(msgspec.json.encode(msgspec.structs.replace(run.plan, campaigns=()))),
        memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10),
    )


class _Watch:
    """What is read off the events besides the alerts: how telling they are, and who moves to another model."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._hostile = {account for campaign in truth.campaigns for account in campaign.accounts}
        self._cells = Cells()
        self._benign: Counter[Cell] = Counter()
        self._theirs: dict[str, list[tuple[int, Cell]]] = {}
        self.moves = {
            campaign.id: measure.Moves(set(campaign.accounts), campaign.moments["pivot_ms"])
            for campaign in truth.campaigns
            if "pivot_ms" in campaign.moments
        }

    def see(self, seen: Seen) -> None:
        """Take in one event."""
        cell = self._cells.cell(seen)
        if seen.account not in self._hostile:
            self._benign[cell] += 1
            return
        self._theirs.setdefault(seen.account, []).append((seen.time_ms, cell))
        for moves in self.moves.values():
            if seen.account in moves.accounts:
                moves.see(seen.time_ms, seen.account, seen.model)

    def divergences(self, until_ms: Mapping[str, int | None]) -> dict[str, float]:
        """Nats per hostile exchange before a time, by campaign; before the first of them nobody had shown anything."""
        found = {}
        for campaign in self._truth.campaigns:
            hostile = []
            for account, times in campaign.times_ms.items():
                end = until_ms[campaign.id]
                when = {time_ms for time_ms in times if end is None or time_ms < end}
                hostile += [cell for time_ms, cell in self._theirs.get(account, ()) if time_ms in when]
            found[campaign.id] = divergence(hostile, self._benign)
        return found


class _Groups:
    """The most evidence that each candidate group ever had."""

    def __init__(self) -> None:
        self._most: dict[int, tuple[float, float]] = {}
        self._members: dict[int, list[int]] = {}

    def look(self, host: Replay) -> None:
        """Note the evidence of all candidate groups."""
        state = host.pipeline.campaigns.state
        limit = state.limit
        for founder, nats in state.evidence_of.items():
            if founder not in self._most or nats > self._most[founder][0]:
                self._most[founder] = (nats, limit)
                family = state.families.families.get(founder)
                if family is not None:
                    self._members[founder] = list(state.families.members(family))

    def found(self, host: Replay, campaign_of: Mapping[str, str]) -> list[Group]:
        """All groups, each with the campaign that more than half of its accounts carry."""
        names = host.pipeline.campaigns.state.table.names
        groups = []
        for founder, (nats, limit) in sorted(self._most.items()):
            members = self._members.get(founder, [])
            if members:
                count = Counter(carried for row in members if (carried := campaign_of.get(names[row])))
                campaign, most = count.most_common(1)[0] if count else ("", 0)
                campaign = campaign if 2 * most > len(members) else ""
                groups.append(Group(round(nats, 3), round(_score(nats, limit), 4), campaign))
        return groups


def _score(nats: float, limit: float) -> float:
    from scipy.special import expit

    return float(expit(nats - limit))


def main() -> None:
    """Do tasks from standard input, one a line; print progress as ``done expected``, then the result as JSON."""
    for line in sys.stdin.buffer:
        task = msgspec.json.decode(line, type=Task)
        result = execute(task, lambda done, expected: print(done, expected, flush=True))
        print(msgspec.json.encode(result).decode(), flush=True)


if __name__ == "__main__":
    main()
