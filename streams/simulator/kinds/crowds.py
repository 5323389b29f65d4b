"""Many people at once for a reason: a homework, a viral prompt, a hackathon, a model's release day."""

import numpy as np

from streams.simulator import infra, texts, wrappers
from streams.simulator.accounts import API, CHAT, CODE, NEW_MODEL, TOPICS, draft, freeze
from streams.simulator.content import Everyday, Job, Work, wrapped
from streams.simulator.draws import one_of
from streams.simulator.population import Population, Span
from streams.simulator.rhythm import DAY_MS, HOUR_MS, LEISURE, WORK, Moments, occasion, weekly

HOMEWORK_D, VIRAL_D = 7.0, 3.0  # days between two homeworks, between two prompts that everybody copies
AFTER_MS = 12 * HOUR_MS  # stragglers
TEST_QUESTIONS = 1_319  # of GSM8K's test set


def _moments(span: Span, rng: np.random.Generator, hours: float, every_d: float) -> list[tuple[int, int]]:
    """Place occasions of so many hours in the span: one in each ``every_d`` days, one if the span is shorter."""
    length = span.end_ms - span.start_ms
    number = max(1, int(length / (every_d * DAY_MS)))
    part = length // number
    lasts = int(min(hours * HOUR_MS, part * 0.8))
    starts = [span.start_ms + i * part + int(rng.random() * (part - lasts)) for i in range(number)]
    return [(start, start + lasts) for start in starts]


def _questions(prompts: list[str], moments: Moments, bare: float, share: float) -> Job:
    """Send the prompt of the last occasion, mostly with something of one's own after it; ``bare`` send it alone.

    It is ``share`` of the exchanges until `AFTER_MS` after the occasion.
    """
    starts = np.array([start for start, _ in moments])
    ends = np.array([end for _, end in moments])

    def last(rows: np.ndarray) -> np.ndarray:
        return np.maximum(np.searchsorted(starts, rows["time"], side="right") - 1, 0)

    def lately(rows: np.ndarray) -> np.ndarray:
        time = rows["time"]
        return np.where((time >= starts[last(rows)]) & (time < ends[last(rows)] + AFTER_MS), share, 0.0)

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        own = texts.human(rng, np.full(len(rows), TOPICS.index("math")), np.full(len(rows), 2))
        alone = rng.random(len(rows)) < bare
        return [
            prompts[i] if only else f"{prompts[i]}\n{text}"
            for i, only, text in zip(last(rows).tolist(), alone.tolist(), own, strict=True)
        ]

    return Job(write, lately)


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
    moments = _moments(span, rng, 4, HOMEWORK_D)
    prompts = [f"{one_of(rng, texts.corpus('gsm8k')[:2_000])} {one_of(rng, wrappers.REASONING)}" for _ in moments]
    content = Work(rng, accounts, _questions(prompts, moments, 0.45, 0.7))
    return Population("course", rng, accounts, occasion(moments, HOUR_MS, weekly(LEISURE), 12, 0.3), content)


def viral_prompt(span: Span, count: int) -> Population:
    """Unrelated people all over who copy one prompt from a social network within a few hours."""
    rng = span.rng("viral")
    accounts = freeze(rng, [draft(rng, CHAT) for _ in range(count)])
    moments = _moments(span, rng, 8, VIRAL_D)
    prompts = [texts.corpus("awesome_prompts")[int(rng.integers(400))][:400] for _ in moments]
    content = Work(rng, accounts, _questions(prompts, moments, 0.7, 0.5))
    return Population("viral_prompt", rng, accounts, occasion(moments, HOUR_MS, weekly(LEISURE), 6), content)


def hackathon(span: Span, count: int) -> Population:
    """New accounts on free credits, in one hall, that work on their own ideas for a day."""
    rng = span.rng("hackathon")
    where = infra.country(rng)
    hall = [infra.home(rng, where) for _ in range(2)]
    drafts = [draft(rng, CODE if rng.random() < 0.6 else API, where) for _ in range(count)]
    moments = _moments(span, rng, 24, np.inf)
    start = moments[0][0]
    for one in drafts:
        one.plan, one.payment, one.org = "free", None, None
        one.age_days = 0.05 + rng.random() - (start - span.start_ms) / DAY_MS
        one.from_ms = span.start_ms - int(one.age_days * DAY_MS)
        one.networks = [hall[int(rng.integers(2))]]
    accounts = freeze(rng, drafts)
    rhythm = occasion(moments, HOUR_MS, weekly(WORK), 8, 0.1)
    return Population("hackathon", rng, accounts, rhythm, Everyday(rng, accounts))


def release_rush(span: Span, count: int) -> Population:
    """Unrelated people who run public benchmark questions on a model in the hours after its release."""
    rng = span.rng("release")
    drafts = [draft(rng, API) for _ in range(count)]
    for one in drafts:
        one.model = NEW_MODEL if span.release_ms is not None else one.model
    accounts = freeze(rng, drafts)
    released = span.release_ms if span.release_ms is not None else _moments(span, rng, 6, np.inf)[0][0]
    frames = [wrappers.wrapper(rng, "reasoning") for _ in range(4)]
    content = Work(rng, accounts, Job(wrapped(frames, texts.corpus("gsm8k")[:TEST_QUESTIONS], verbatim=True), 0.6))
    rhythm = occasion([(released, released + 12 * HOUR_MS)], HOUR_MS, weekly(WORK), 8, 0.2)
    population = Population("release_rush", rng, accounts, rhythm, content)
    population.start_ms = released if span.release_ms is not None else 0
    return population
