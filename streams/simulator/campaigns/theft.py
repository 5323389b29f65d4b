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
LAG_MAX_MS = 4 * HOUR_MS


class Theft(Population):
    """Normal use by the owner, and the thief's probe and burst on top of it."""

    probes: list[int]
    bursts: list[tuple[int, int]]
    per_burst: int
    thieves: list[list[bytes]]

    def slice(self, start_ms: int, end_ms: int) -> np.ndarray:
        """The owner's exchanges, and the thief's whose probe or burst begins in the slice."""
        parts = [super().slice(start_ms, end_ms)]
        for account, (probe, (begin, end)) in enumerate(zip(self.probes, self.bursts, strict=True)):
            if start_ms <= probe < end_ms:
                parts.append(self._steal(account, np.array([probe]), probe=True))
            if start_ms <= begin < end_ms:
                parts.append(self._steal(account, np.sort(self.rng.integers(begin, end, self.per_burst)), probe=False))
        return np.concatenate(parts)

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
    return np.maximum(weekly(WORK)(time_ms, utc_offset_h), 0.6)


def stolen_key(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Established accounts; one tiny probe on a model never used, from a new network, and hours later a burst.

    ``per_day`` is the rate of the burst in exchanges a day; a burst lasts 40 minutes.
    """
    rng = span.rng("campaign", name)
    drafts = [draft(rng, CODE if rng.random() < 0.5 else API) for _ in range(spec.accounts)]
    for one in drafts:
        one.age_days = max(one.age_days, 60.0)
        # a developer's rate: a key that is stolen from the heaviest users hides in their own traffic
        one.rate, one.turns = 100 + 150 * float(rng.random()), 4.0
        one.key = one.key or infra.opaque(rng, "key_")
    accounts = freeze(rng, drafts)
    accounts.other_share[:] = 0
    population = Theft(name, rng, accounts, _awake, Everyday(rng, accounts))
    start, end = window(span, spec)
    population.probes = [start + int(rng.random() * HOUR_MS / 2) for _ in drafts]
    lag = max(min((end - start) - BURST_MS - HOUR_MS // 2, LAG_MAX_MS), HOUR_MS // 2)
    population.bursts = [(probe + lag, probe + lag + BURST_MS) for probe in population.probes]
    population.per_burst = max(1, round(spec.per_day * BURST_MS / (24 * HOUR_MS)))
    population.thieves = [[_client(rng, i) for i in range(int(rng.integers(3, 7)))] for _ in drafts]
    moments = {"probe_ms": min(population.probes), "burst_ms": min(begin for begin, _ in population.bursts)}
    return [Campaign(name, spec, STOLEN, start, end, population, [], moments=moments)]
