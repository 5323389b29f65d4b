"""Stolen keys: a tiny probe, and hours later a burst, on top of the owner's normal use."""

import numpy as np

from streams.simulator import exchanges, infra
from streams.simulator.accounts import API, CODE, NEW_MODEL, draft, freeze
from streams.simulator.campaigns.pooled import window
from streams.simulator.campaigns.spec import Campaign, CampaignSpec
from streams.simulator.content import Everyday
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import HOUR_MS, WORK, weekly

STOLEN = "stolen_credential"
BURST_MS = 40 * 60_000
LAG_MIN_MS, LAG_MAX_MS = HOUR_MS // 2, 4 * HOUR_MS
# A key is stolen from whoever has been at work for a while: nine days in the report, a few sessions in a run of hours.
ESTABLISHED_EXCHANGES = 16
ESTABLISHED_MS = 10 * 60_000  # after the last of these
ESTABLISHED_TIMES = 2.5  # as many are expected in time: hardly anybody is robbed without a past
LEAST_AWAKE = 0.6


class Theft(Population):
    """Normal use by the owner, and the thief's probe and burst on top of it.

    Probe and burst are put off until the owner has habits that they can break, as far as the campaign's end allows.
    """

    probes: list[int]
    lag_ms: int
    stop_ms: int
    per_burst: int
    thieves: list[list[bytes]]
    moments: dict[str, int]

    def begin(self) -> None:
        """Get ready: nothing is known of the owners."""
        self.uses: list[list[int]] = [[] for _ in self.probes]  # times of an owner's first exchanges
        self.bursts: list[int | None] = [None] * len(self.probes)  # known from the probe on

    def slice(self, start_ms: int, end_ms: int) -> np.ndarray:
        """The owner's exchanges, and the thief's whose probe or burst begins in the slice."""
        own = super().slice(start_ms, end_ms)
        for account, time in zip(own["account"].tolist(), own["time"].tolist(), strict=True):
            if len(self.uses[account]) < ESTABLISHED_EXCHANGES:
                self.uses[account].append(time)
        parts = [own]
        for account in range(len(self.probes)):
            burst = self.bursts[account]
            if burst is None and (probe := self._probe(account, start_ms)) < end_ms:
                burst = self.bursts[account] = max(
                    min(probe + self.lag_ms, self.stop_ms - BURST_MS), probe + LAG_MIN_MS
                )
                self._note(probe_ms=probe, burst_ms=burst)
                parts.append(self._steal(account, np.array([probe]), probe=True))
            if burst is not None and start_ms <= burst < end_ms:
                times = np.sort(self.rng.integers(burst, burst + BURST_MS, self.per_burst))
                parts.append(self._steal(account, times, probe=False))
        return np.concatenate(parts)

    def _probe(self, account: int, start_ms: int) -> int:
        """When an account is probed, as far as is known by now: once its owner is known, early enough for a burst."""
        times = self.uses[account]
        latest = self.stop_ms - BURST_MS - LAG_MIN_MS
        known = max(times) + ESTABLISHED_MS if len(times) >= ESTABLISHED_EXCHANGES else latest
        return max(start_ms, min(max(self.probes[account], known), max(self.probes[account], latest)))

    def _note(self, **moments: int) -> None:
        for name, time in moments.items():
            self.moments[name] = min(self.moments.get(name, time), time)

    def _steal(self, account: int, times: np.ndarray, *, probe: bool) -> np.ndarray:
        rows = np.zeros(len(times), exchanges.EXCHANGE)
        rows["time"], rows["account"], rows["turn"] = times, account, 1
        rows["session"] = self.sessions + np.arange(len(times))
        self.sessions += len(times)
        rows = self.finish(rows)
        rows["purpose"] = 1
        rows["model"] = (self.accounts.model[account] + 1) % NEW_MODEL  # one that the owner never took
        known = self.thieves[account]
        chosen = np.zeros(len(rows), int) if probe else self.rng.integers(len(known), size=len(rows))
        rows["client"] = np.array([known[i] for i in chosen.tolist()], object)
        if probe:
            rows["text"][0], rows["input"], rows["output"], rows["status"], rows["refused"] = "hi", 9, 12, 200, False
            rows["cache"] = 0
        else:
            rows["input"] = np.minimum(rows["input"] + self.rng.integers(2_000, 60_000, len(rows)), 190_000)
        return rows


def _client(rng: np.random.Generator, number: int) -> bytes:
    """A client on a network the owner never used."""
    where = infra.network(rng, ("vpn", "cloud", "home")[number % 3], infra.country(rng))
    return infra.client(rng, where, infra.agent(rng, "sdk"))


def _awake(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
    """Working hours, but never silent: an owner's habits must have been seen before they can be broken."""
    return np.maximum(weekly(WORK)(time_ms, utc_offset_h), LEAST_AWAKE)


def stolen_key(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Established accounts; one tiny probe on a model never used, from a new network, and hours later a burst.

    ``per_day`` is the rate of the burst in exchanges a day; a burst lasts 40 minutes.
    """
    rng = span.rng("campaign", name)
    start, end = window(span, spec)
    days = max(end - BURST_MS - LAG_MIN_MS - span.start_ms, HOUR_MS) / (24 * HOUR_MS)
    drafts = [draft(rng, CODE if rng.random() < 0.5 else API) for _ in range(spec.accounts)]
    for one in drafts:
        one.age_days = max(one.age_days, 60.0)
        # a developer's rate: a key that is stolen from the heaviest users hides in their own traffic
        one.rate, one.turns = 100 + 150 * float(rng.random()), 4.0
        one.rate = max(one.rate, ESTABLISHED_TIMES * ESTABLISHED_EXCHANGES / days / LEAST_AWAKE)
        one.key = one.key or infra.opaque(rng, "key_")
    accounts = freeze(rng, drafts)
    accounts.other_share[:] = 0
    population = Theft(name, rng, accounts, _awake, Everyday(rng, accounts))
    population.probes = [start + int(rng.random() * HOUR_MS / 2) for _ in drafts]
    population.stop_ms, population.moments = end, {}
    population.lag_ms = max(min((end - start) - BURST_MS - LAG_MIN_MS, LAG_MAX_MS), LAG_MIN_MS)
    population.per_burst = max(1, round(spec.per_day * BURST_MS / (24 * HOUR_MS)))
    population.thieves = [[_client(rng, i) for i in range(int(rng.integers(3, 7)))] for _ in drafts]
    population.begin()
    return [Campaign(name, spec, STOLEN, start, end, population, [], moments=population.moments)]
