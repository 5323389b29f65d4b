"""Run a plan: events in the order in which they reach the gateway, and the truth about them.

The same plan gives the same bytes on every run and machine. Events are made slice by slice of event time, so memory is
bounded by the accounts and one slice.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import xxhash

from streams.contracts.hashing import partition_of
from streams.simulator import campaigns, encode, kinds
from streams.simulator.accounts import STYLES
from streams.simulator.disturb import disturb
from streams.simulator.exchanges import EXCHANGE
from streams.simulator.plan import Plan
from streams.simulator.population import Population
from streams.simulator.rhythm import DAY_MS
from streams.simulator.truth import CampaignTruth, KindTruth, Truth

SLICE_EVENTS = 20_000  # aimed at; about 30 MB while it is encoded
SLICE_MIN_MS, SLICE_MAX_MS = 10_000, 600_000
SLICES_MAX = 200  # in a long and quiet span slices are longer than SLICE_MAX_MS: each costs some ms
SEGMENT_FEWEST = 10  # accounts of a campaign that is sized by its segment
OVERHEARD = ("hobbyist", "developer", "startup_app")  # whose prompts are copied


class Event(NamedTuple):
    """One event: its time in ms, its account (the record's key), and its JSON."""

    time_ms: int
    account_id: str
    value: bytes


class Simulation:
    """One run of a plan: iterate it once for the events, then read `truth`.

    >>> from streams.simulator.plan import Plan
    >>> run = Simulation(Plan(accounts=40, hours=0.5))
    >>> sum(1 for _ in run) == run.truth.events
    True
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        span = self.span = plan.span
        sizes = kinds.counts(plan.accounts, plan.kinds)
        self.benign = [kind for kind in kinds.KINDS if kind.name in sizes]
        self.populations: list[Population] = [kind.build(span, sizes[kind.name]) for kind in self.benign]
        for population in self.populations:
            population.accounts.rate *= plan.activity
        specs = [self._sized(spec) for spec in plan.campaigns]
        if plan.hostile_share:
            benign = sum(float(p.expected(span.start_ms, span.end_ms).sum()) for p in self.populations)
            specs = campaigns.sized(span, specs, plan.hostile_share, benign)
        self.campaigns = [
            campaign
            for number, spec in enumerate(specs, 1)
            for campaign in campaigns.build(span, spec, f"{number}-{spec.shape}")
        ]
        self.populations += dict.fromkeys(campaign.population for campaign in self.campaigns)
        for population in self.populations:
            population.release_ms = span.release_ms
        expected = [population.expected(span.start_ms, span.end_ms) for population in self.populations]
        self.expected_events = float(sum(e.sum() for e in expected))
        self.expected_benign = float(sum(e.sum() for e in expected[: len(self.benign)]))
        self._name_accounts(np.concatenate(expected))
        self._prompt = encode.text_prompt if plan.prompts == "text" else encode.fingerprint_prompt()
        self.truth = self._empty_truth()
        self._begun = False

    def _sized(self, spec: campaigns.CampaignSpec) -> campaigns.CampaignSpec:
        """Give a campaign that shall be a share of a segment's traffic as many accounts as that takes."""
        if not spec.segment_share:
            return spec
        start, end = campaigns.window(self.span, spec)
        benign = 0.0
        for population in self.populations:
            accounts = population.accounts
            inside = [spec.plan in ("", one.plan) and spec.use in ("", STYLES[one.style]) for one in accounts.drafts]
            benign += float(population.expected(start, end)[inside].sum())
        wanted = benign * spec.segment_share / (1 - spec.segment_share)
        each = spec.per_day * (end - start) / DAY_MS
        return msgspec.structs.replace(spec, accounts=max(round(wanted / each), SEGMENT_FEWEST))

    def _name_accounts(self, expected: np.ndarray) -> None:
        """Make opaque ids; with a hot partition, pick names so that the busiest part of the traffic falls on it."""
        hot, partitions = self.plan.disturbances.hot_share, self.plan.disturbances.partitions
        wanted = np.full(len(expected), -1)
        if hot:
            rng = self.span.rng("partitions")
            order = rng.permutation(len(expected))
            target = int(rng.integers(partitions))
            reached = np.cumsum(expected[order]) <= hot * expected.sum()
            others = (target + 1 + rng.integers(max(partitions - 1, 1), size=len(order))) % partitions
            wanted[order] = np.where(reached, target, others)
        names = iter(wanted.tolist())
        for population in self.populations:
            ids = [
                _account_id(self.plan.seed, population.name, i, next(names), partitions)
                for i in range(len(population.accounts))
            ]
            population.accounts.name(ids, self.plan.start_ms)

    def _empty_truth(self) -> Truth:
        return Truth(
            seed=self.plan.seed,
            start_ms=self.span.start_ms,
            end_ms=self.span.end_ms,
            benign=[
                KindTruth(kind.name, kind.hard, population.accounts.ids)
                for kind, population in zip(self.benign, self.populations, strict=False)
            ],
            campaigns=[
                CampaignTruth(
                    c.id,
                    c.spec.shape,
                    c.category,
                    msgspec.to_builtins(c.spec),
                    c.start_ms,
                    c.end_ms,
                    ids := c.population.accounts.ids,
                    [[ids[i] for i in pool] for pool in c.pools],
                    c.moments,
                )
                for c in self.campaigns
            ],
        )

    def __iter__(self) -> Iterator[Event]:
        """Yield the events in order of arrival, with the plan's disturbances; raise RuntimeError the second time."""
        if self._begun:
            raise RuntimeError("a simulation runs once: make another one of the same plan")
        self._begun = True
        return disturb(self._in_order(), self.plan.disturbances, self.span.rng("disturbances"))

    def _in_order(self) -> Iterator[Event]:
        ids = [account_id for p in self.populations for account_id in p.accounts.ids]
        salted = [f"{self.plan.seed}/{account_id}".encode() for account_id in ids]
        fragments = [fragment for p in self.populations for fragment in p.accounts.fragments]
        details = [
            encode.account_members(tools, stream)
            for p in self.populations
            for tools, stream in zip(p.accounts.tools.tolist(), p.accounts.stream.tolist(), strict=True)
        ]
        conversations = [bool(c) for p in self.populations for c in p.accounts.conversations.tolist()]
        serials = [0] * len(ids)
        for rows in self._slices():
            values = encode.encode(rows, salted, fragments, details, conversations, serials, self._prompt)
            yield from map(Event, rows["time"].tolist(), map(ids.__getitem__, rows["account"].tolist()), values)

    def _slices(self) -> Iterator[np.ndarray]:
        """Columns of all populations, slice by slice, sorted by time; sessions run on until the span's end.

        The slices follow the benign traffic alone: they decide what is drawn when, and campaigns must not change that.
        """
        span = self.span
        offsets = np.cumsum([0, *(len(p.accounts) for p in self.populations)]).tolist()
        aimed = (span.end_ms - span.start_ms) * SLICE_EVENTS / max(self.expected_benign, 1)
        step = int(min(max(aimed, SLICE_MIN_MS), max(SLICE_MAX_MS, (span.end_ms - span.start_ms) // SLICES_MAX)))
        listeners = [p.overheard for p in self.populations if p.overheard is not None]
        waiting = [np.zeros(0, EXCHANGE) for _ in self.populations]
        for start in range(span.start_ms, span.end_ms, step):
            end = min(start + step, span.end_ms)
            ready = []
            for i, population in enumerate(self.populations):
                rows = population.slice(start, end)
                if len(waiting[i]):
                    rows = np.concatenate([waiting[i], rows])
                elif not len(rows):
                    ready.append(rows)
                    continue
                now = rows["time"] < end
                waiting[i] = rows[~now & (rows["time"] < span.end_ms)]
                rows = rows[now]
                self._count(i, rows)
                ready.append(rows)
            for heard in listeners:
                heard.forget()
                for population, rows in zip(self.populations, ready, strict=True):
                    if population.name in OVERHEARD:
                        heard.listen(population.accounts, rows)
            for rows, offset in zip(ready, offsets, strict=False):
                rows["account"] += offset
            merged = np.concatenate(ready)
            yield merged[np.lexsort((merged["session"], merged["account"], merged["time"]))]

    def _count(self, i: int, rows: np.ndarray) -> None:
        truth = self.truth
        truth.events += len(rows)
        if i < len(truth.benign):
            truth.benign[i].exchanges += len(rows)
            truth.benign_exchanges += len(rows)
            return
        for campaign, found in zip(self.campaigns, truth.campaigns, strict=True):
            if campaign.population is self.populations[i]:
                found.cover += int((rows["purpose"] == 0).sum())
                _count_campaign(found, rows[rows["purpose"] == campaign.purpose])


def _count_campaign(found: CampaignTruth, hostile: np.ndarray) -> None:
    found.exchanges += len(hostile)
    answered = (hostile["status"] // 100 == 2) & ~hostile["refused"]
    found.answered_ms += np.sort(hostile["time"][answered]).tolist()
    found.unanswered_ms += np.sort(hostile["time"][~answered]).tolist()
    who, count = np.unique(hostile["account"], return_counts=True)
    for account, exchanges in zip(who.tolist(), count.tolist(), strict=True):
        account_id = found.accounts[account]
        found.per_account[account_id] = found.per_account.get(account_id, 0) + exchanges
    hostile = hostile[np.argsort(hostile["time"], kind="stable")]
    for account, time in zip(hostile["account"].tolist(), hostile["time"].tolist(), strict=True):
        found.times_ms.setdefault(found.accounts[account], []).append(time)


def _account_id(seed: int, population: str, number: int, partition: int, partitions: int) -> str:
    """Make an id that shows neither kind nor order; try others until it lands on ``partition`` (-1: any)."""
    attempt = 0
    while True:
        account_id = "acct_" + xxhash.xxh3_64_hexdigest(f"{seed}/{population}/{number}/{attempt}".encode())
        if partition < 0 or partition_of(account_id, partitions) == partition:
            return account_id
        attempt += 1


def generate(plan: Plan) -> Iterator[Event]:
    """Yield the events of a plan; use `Simulation` where the truth is wanted too."""
    return iter(Simulation(plan))
