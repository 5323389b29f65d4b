"""Many people at once for a reason: a homework, a viral prompt, a hackathon, a model's release day."""

import numpy as np

from streams.simulator import infra, texts, wrappers
from streams.simulator.accounts import API, CHAT, CODE, NEW_MODEL, TOPICS, draft, freeze
from streams.simulator.content import Everyday, Job, Work, Write, wrapped
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import HOUR_MS, LEISURE, WORK, occasion, weekly


def _moment(span: Span, rng: np.random.Generator, hours: float) -> tuple[int, int]:
    """Place an occasion of so many hours somewhere in the span."""
    length = int(min(hours * HOUR_MS, (span.end_ms - span.start_ms) * 0.8))
    start = span.start_ms + int(rng.random() * (span.end_ms - span.start_ms - length))
    return start, start + length


def _questions(prompt: str, share: float) -> Write:
    """Send the common prompt, mostly with something of one's own after it."""

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        own = texts.human(rng, np.full(len(rows), TOPICS.index("math")), np.full(len(rows), 2))
        bare = rng.random(len(rows)) < share
        return [prompt if alone else f"{prompt}\n{text}" for alone, text in zip(bare.tolist(), own, strict=True)]

    return write


def course(span: Span, count: int) -> Population:
    """Students of one course who all paste one homework on one evening, from campus and from home."""
    rng = span.rng("course")
    where = infra.country(rng)
    nat = [infra.campus(rng, where) for _ in range(2)]
    domain = infra.school_domain(rng)
    drafts = [draft(rng, CHAT, where) for _ in range(count)]
    for one in drafts:
        one.plan = "edu" if rng.random() < 0.6 else one.plan
        one.domain = domain if rng.random() < 0.7 else one.domain
        one.networks = [nat[int(rng.integers(2))], *one.networks[:1]] if rng.random() < 0.8 else one.networks
        one.turns = 3.0
        one.age_days = min(one.age_days, 90.0)
    accounts = freeze(rng, drafts)
    question = texts.corpus("gsm8k")[int(rng.integers(2_000))]
    prompt = f"{question} {wrappers.REASONING[int(rng.integers(len(wrappers.REASONING)))]}"
    start, end = _moment(span, rng, 4)
    content = Work(rng, accounts, Job(_questions(prompt, 0.45), 0.55))
    return Population("course", rng, accounts, occasion(start, end, HOUR_MS, weekly(LEISURE), 12, 0.3), content)


def viral_prompt(span: Span, count: int) -> Population:
    """Unrelated people all over who copy one prompt from a social network within a few hours."""
    rng = span.rng("viral")
    accounts = freeze(rng, [draft(rng, CHAT) for _ in range(count)])
    prompt = texts.corpus("awesome_prompts")[int(rng.integers(400))][:400]
    start, end = _moment(span, rng, 8)
    content = Work(rng, accounts, Job(_questions(prompt, 0.7), 0.4))
    return Population("viral_prompt", rng, accounts, occasion(start, end, HOUR_MS, weekly(LEISURE), 6), content)


def hackathon(span: Span, count: int) -> Population:
    """New accounts on free credits, in one hall, that work on their own ideas for a day."""
    rng = span.rng("hackathon")
    where = infra.country(rng)
    hall = [infra.home(rng, where) for _ in range(2)]
    drafts = [draft(rng, CODE if rng.random() < 0.6 else API, where) for _ in range(count)]
    for one in drafts:
        one.plan, one.payment, one.org = "free", None, None
        one.age_days = 0.05 + rng.random()
        one.networks = [hall[int(rng.integers(2))]]
    accounts = freeze(rng, drafts)
    start, end = _moment(span, rng, 24)
    return Population(
        "hackathon", rng, accounts, occasion(start, end, HOUR_MS, weekly(WORK), 8, 0.1), Everyday(rng, accounts)
    )


def release_rush(span: Span, count: int) -> Population:
    """Unrelated people who run public benchmark questions on a model in the hours after its release."""
    rng = span.rng("release")
    drafts = [draft(rng, API) for _ in range(count)]
    for one in drafts:
        one.model = NEW_MODEL if span.release_ms is not None else one.model
    accounts = freeze(rng, drafts)
    released = span.release_ms if span.release_ms is not None else _moment(span, rng, 6)[0]
    frames = [wrappers.wrapper(rng, "reasoning") for _ in range(4)]
    content = Work(rng, accounts, Job(wrapped(frames, texts.corpus("gsm8k")[:300]), 0.6))
    rhythm = occasion(released, released + 12 * HOUR_MS, HOUR_MS, weekly(WORK), 8, 0.2)
    population = Population("release_rush", rng, accounts, rhythm, content)
    population.start_ms = released if span.release_ms is not None else 0
    return population
