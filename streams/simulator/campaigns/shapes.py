"""The hostile shapes: what is asked, over which accounts, and when."""

from collections.abc import Callable

import numpy as np

from streams.simulator import exchanges, infra, texts, wrappers
from streams.simulator.accounts import API, CODE, NEW_MODEL, draft, freeze
from streams.simulator.campaigns.pool import recruit
from streams.simulator.campaigns.spec import Campaign, CampaignSpec
from streams.simulator.content import Everyday, Work, Write, paraphrased, wrapped
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import HOUR_MS, WORK, Rhythm, clients, flat, weekly

DISTILLATION, RESELLER, STOLEN = "distillation", "reseller", "stolen_credential"


def _window(span: Span, spec: CampaignSpec) -> tuple[int, int]:
    start = span.start_ms + int(spec.start_h * HOUR_MS)
    end = span.end_ms if spec.hours == 0 else start + int(spec.hours * HOUR_MS)
    return start, min(end, span.end_ms)


def _rhythm(spec: CampaignSpec) -> Rhythm:
    return weekly(WORK) if spec.evades("human_hours") else flat


def _pooled(span: Span, spec: CampaignSpec, name: str, write: Write) -> Campaign:
    """Run one sort of work over a pool."""
    rng = span.rng("campaign", name)
    accounts = freeze(rng, recruit(rng, spec))
    content = Work(rng, accounts, write, share=spec.share, hostile=True)
    start, end = _window(span, spec)
    population = Population(name, rng, accounts, _rhythm(spec), content, start_ms=start, end_ms=end)
    return Campaign(name, spec, DISTILLATION, start, end, population, [list(range(len(accounts)))])


def templated(span: Span, spec: CampaignSpec, name: str) -> Campaign:
    """One wrapper, or ``variants`` reworded ones, around diverse content (fixed_prompt, template_variants,
    low_and_slow, hydra: they differ in their parameters)."""
    frames = wrappers.variants(span.rng("frames", name), spec.purpose, spec.variants)
    return _pooled(span, spec, name, wrapped(frames, texts.corpus(spec.items)))


def paraphrase(span: Span, spec: CampaignSpec, name: str) -> Campaign:
    """Each request in words of its own: only focus and infrastructure in common."""
    return _pooled(span, spec, name, paraphrased(texts.corpus(spec.items)))


def reseller(span: Span, spec: CampaignSpec, name: str) -> Campaign:
    """A relay deals the requests of many customers out over a few accounts, customers' clients showing through."""
    rng = span.rng("campaign", name)
    drafts = [draft(rng, API) for _ in range(spec.accounts)]
    for one in drafts:
        one.rate, one.turns = spec.per_day, 4.0
    accounts = freeze(rng, drafts)
    customers = []
    for _ in range(max(40, spec.accounts * 40)):
        customer = draft(rng, (0, 0, 0, 1, 2)[int(rng.integers(5))])
        customers.append((infra.client(rng, customer.networks[0], customer.programs[0]), customer.topic))
    clients_of = [client for client, _ in customers]

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        topics = np.array([topic for _, topic in customers])[rows["session"] % len(customers)]
        return texts.human(rng, topics, rows["turn"])

    def fresh(rng: np.random.Generator, account: int) -> bytes:
        return clients_of[int(rng.random() ** 1.5 * len(clients_of))]

    start, end = _window(span, spec)
    population = Population(
        name,
        rng,
        accounts,
        flat,
        Work(rng, accounts, write, hostile=True),
        start_ms=start,
        end_ms=end,
        fresh=fresh,
        even=True,
    )
    return Campaign(name, spec, RESELLER, start, end, population, [list(range(len(accounts)))])


class _Stolen(Population):
    """Normal use by the owner, and the thief's probe and burst on top of it."""

    probes: list[int]
    bursts: list[tuple[int, int]]
    per_burst: int
    thieves: list[list[bytes]]

    def slice(self, start_ms: int, end_ms: int) -> np.ndarray:
        """The owner's exchanges, and the thief's that fall into the slice."""
        parts = [super().slice(start_ms, end_ms)]
        for account, (probe, (begin, end)) in enumerate(zip(self.probes, self.bursts, strict=True)):
            if start_ms <= probe < end_ms:
                parts.append(self._theft(account, np.array([probe]), probe=True))
            if start_ms <= begin < end_ms:
                times = np.sort(self.rng.integers(begin, end, self.per_burst))
                parts.append(self._theft(account, times, probe=False))
        return np.concatenate(parts)

    def _theft(self, account: int, times: np.ndarray, probe: bool) -> np.ndarray:
        rows = np.zeros(len(times), exchanges.EXCHANGE)
        rows["time"], rows["account"], rows["turn"] = times, account, 1
        rows["session"] = self.sessions + np.arange(len(times))
        self.sessions += len(times)
        usual = self.accounts.model[account]
        rows = self.finish(rows)
        rows["hostile"] = True
        rows["model"] = (usual + 1) % NEW_MODEL  # one the owner hardly ever takes
        known = self.thieves[account]
        chosen = np.zeros(len(rows), int) if probe else self.rng.integers(len(known), size=len(rows))
        rows["client"] = np.array([known[i] for i in chosen.tolist()], object)
        if probe:
            rows["text"][0], rows["input"], rows["output"], rows["status"], rows["refused"] = "hi", 9, 12, 200, False
        else:
            rows["input"] = np.minimum(rows["input"] + self.rng.integers(2_000, 60_000, len(rows)), 190_000)
        return rows


def _thief(rng: np.random.Generator, number: int) -> bytes:
    """A client on a network the owner never used."""
    where = infra.network(rng, ("vpn", "cloud", "home")[number % 3], infra.country(rng))
    return infra.client(rng, where, infra.agent(rng, "sdk"))


def stolen_key(span: Span, spec: CampaignSpec, name: str) -> Campaign:
    """Established accounts; one tiny probe on a model never used, from a new network, and hours later a burst.

    ``per_day`` is the rate of the burst in exchanges a day; a burst lasts 40 minutes.
    """
    rng = span.rng("campaign", name)
    drafts = [draft(rng, CODE if rng.random() < 0.5 else API) for _ in range(spec.accounts)]
    for one in drafts:
        one.age_days = max(one.age_days, 60.0)
        one.rate = 80 + 120 * float(rng.random())
        one.key = one.key or infra.opaque(rng, "key_")
    accounts = freeze(rng, drafts)
    accounts.other_share[:] = 0
    population = _Stolen(name, rng, accounts, clients(accounts.shape), Everyday(rng, accounts))
    start, end = _window(span, spec)
    burst_ms = HOUR_MS * 2 // 3
    population.probes = [start + int(rng.random() * HOUR_MS / 2) for _ in drafts]
    lag = max(min((end - start) - burst_ms - HOUR_MS // 2, 4 * HOUR_MS), HOUR_MS // 2)
    population.bursts = [(p + lag, p + lag + burst_ms) for p in population.probes]
    population.per_burst = max(1, round(spec.per_day * burst_ms / (24 * HOUR_MS)))
    population.thieves = [[_thief(rng, i) for i in range(int(rng.integers(3, 7)))] for _ in drafts]
    return Campaign(name, spec, STOLEN, start, end, population, [])


class Shape:
    """A shape's default parameters and its builder."""

    def __init__(self, default: CampaignSpec, make: Callable[[Span, CampaignSpec, str], Campaign]) -> None:
        self.default = default
        self.make = make


SHAPES: dict[str, Shape] = {
    shape.default.shape: shape
    for shape in (
        Shape(CampaignSpec("fixed_prompt", 60, 90.0), templated),
        Shape(CampaignSpec("template_variants", 80, 80.0, variants=60, items="codegen"), templated),
        Shape(CampaignSpec("low_and_slow", 150, 13.0, variants=3, items="flan_cot"), templated),
        Shape(CampaignSpec("hydra", 200, 240.0, share=0.1, items="gsm8k_backward"), templated),
        Shape(CampaignSpec("grading", 50, 60.0, variants=4, purpose="grading", items="arena_pairs"), templated),
        Shape(CampaignSpec("paraphrase", 80, 80.0, items="gsm8k"), paraphrase),
        Shape(CampaignSpec("reseller", 6, 4_500.0), reseller),
        Shape(CampaignSpec("stolen_key", 1, 18_000.0, start_h=0.5), stolen_key),
    )
}
DEFAULTS = {name: shape.default for name, shape in SHAPES.items()}


def build(span: Span, spec: CampaignSpec, name: str) -> Campaign:
    """Build one campaign; ``name`` is its id and the name of its random stream."""
    return SHAPES[spec.shape].make(span, spec, name)
