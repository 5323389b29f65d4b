"""Programs: apps, pipelines and routers, most of which fire some indicator of a campaign all day long."""

import numpy as np

from streams.simulator import infra, texts, wrappers
from streams.simulator.accounts import API, CHAT, LANGUAGES, TOPICS, Draft, draft, freeze
from streams.simulator.content import Everyday, Job, Work, digest, said, wrapped, wrapped_human
from streams.simulator.draws import one_of
from streams.simulator.kinds.people import newcomers
from streams.simulator.population import FreshClient, Population, Span
from streams.simulator.rhythm import DAY_MS, HOUR_MS, LEISURE, WORK, clients, flat, nightly, occasion, weekly

# System prompts that anybody may copy, so that neither is one kind's own: the quick start's, and a public action's.
QUICK_START, REVIEW_ACTION = digest("You are a helpful assistant."), digest("public review action v2")
BACKFILL_MS = 2 * DAY_MS
FAILS_EVERY_MS = 5 * DAY_MS  # how often the other provider of a router fails


def _programs(rng: np.random.Generator, count: int, low: float, high: float) -> list[Draft]:
    """Draw programs with rates between ``low`` and ``high`` a day, log-uniform."""
    drafts = [draft(rng, API) for _ in range(count)]
    for one in drafts:
        one.rate = float(low * (high / low) ** rng.random())
    return drafts


def startup_app(span: Span, count: int) -> Population:
    """Apps with many users behind one account, after the weeks of real API clients.

    Most that tell their system prompt have one of their own; a third kept the quick start's, and some run a public
    action's.
    """
    rng = span.rng("startup")
    drafts = [draft(rng, API) for _ in range(count)]
    newcomers(span, rng, drafts)
    for one in drafts:
        one.rate *= 3
    accounts = freeze(rng, drafts)
    content = Everyday(rng, accounts)
    for start, step, copied in ((0, 3, QUICK_START), (1, 8, REVIEW_ACTION)):
        for i in range(start, count, step):
            if content.systems[i] is not None:
                content.systems[i] = copied
    return Population("startup_app", rng, accounts, clients(accounts.shape), content)


def sdk_defaults(span: Span, count: int) -> Population:
    """Unrelated beginners with the quick start's program: its user agent, temperature and system prompt."""
    rng = span.rng("sdk")
    drafts = [draft(rng, API) for _ in range(count)]
    program = infra.official_sdk(rng)
    for one in drafts:
        one.programs, one.rate, one.turns = [program], one.rate / 4, 2.0
    accounts = freeze(rng, drafts)
    accounts.temperature[:] = 70

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        who = rows["account"]
        return said(rng, accounts.topic[who], np.ones(len(rows), int), accounts.language[who])

    content = Work(rng, accounts, Job(write, system=QUICK_START))
    return Population("sdk_defaults", rng, accounts, weekly(WORK), content)


def byok_app(span: Span, count: int) -> Population:
    """One app whose unrelated users bring their own accounts: one system prompt and client program, any use."""
    rng = span.rng("byok")
    drafts = [draft(rng, CHAT) for _ in range(count)]
    program = infra.agent(rng, "sdk")
    for one in drafts:
        one.programs = [program]
        one.key = one.key or infra.opaque(rng, "key_")
    accounts = freeze(rng, drafts)

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        who = rows["account"]
        return said(rng, accounts.topic[who], rows["turn"], accounts.language[who])

    system = digest(f"app {rng.integers(1 << 62)}")
    content = Work(rng, accounts, Job(write, system=system))
    return Population("byok_app", rng, accounts, weekly(LEISURE), content)


def _runners(rng: np.random.Generator, drafts: list[Draft]) -> FreshClient:
    """Run each session on a new machine in one of the account's one or two cloud regions, with its own program."""
    regions = [[infra.region(rng) for _ in range(1 + int(rng.random() < 0.4))] for _ in drafts]
    programs = [one.programs[0] for one in drafts]

    def fresh(rng: np.random.Generator, account: int) -> bytes:
        return infra.client(rng, infra.cloud(rng, one_of(rng, regions[account])), programs[account])

    return fresh


def ci_review(span: Span, count: int) -> Population:
    """Review bots of unrelated companies: one public action's prompt over diffs, from a new runner each time."""
    rng = span.rng("ci")
    drafts = _programs(rng, count, 150, 900)
    for one in drafts:
        one.topic, one.turns = TOPICS.index("coding"), 6.0
    accounts = freeze(rng, drafts)
    frames = [wrappers.wrapper(rng, "reasoning", "software engineering") for _ in range(2)]

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        diffs = texts.steps(rng, len(rows))
        chosen = (rows["account"] % 2).tolist()
        return [wrappers.fill(frames[i], diff) for i, diff in zip(chosen, diffs, strict=True)]

    content = Work(rng, accounts, Job(write, system=REVIEW_ACTION))
    return Population("ci_review", rng, accounts, weekly(WORK), content, fresh=_runners(rng, drafts))


def evaluation_suite(span: Span, count: int) -> Population:
    """An organisation that grades answers and re-runs public question sets each night."""
    rng = span.rng("evaluation")
    drafts = _programs(rng, count, 900, 2_500)
    org = infra.opaque(rng, "org_")
    for one in drafts:
        one.org, one.plan, one.turns = org, "enterprise", 60.0
    accounts = freeze(rng, drafts)
    judge = [wrappers.wrapper(rng, "grading")]
    solve = [wrappers.wrapper(rng, "reasoning")]
    grading, solving = wrapped(judge, texts.corpus("arena_pairs")), wrapped(solve, texts.corpus("gsm8k")[:500])

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        graded = rng.random(len(rows)) < 0.5
        found = np.empty(len(rows), object)
        found[graded] = grading(rng, rows[graded])
        found[~graded] = solving(rng, rows[~graded])
        return list(found)

    content = Work(rng, accounts, Job(write, system=digest(f"judge {org}")))
    hour = float((span.start_ms / HOUR_MS + 2) % 24)
    return Population("evaluation_suite", rng, accounts, nightly(hour, 5), content)


def _templated(span: Span, name: str, count: int, rates: tuple[float, float], purpose: str, items: str) -> Population:
    """Unrelated accounts that each run one templated job around the clock."""
    rng = span.rng(name)
    accounts = freeze(rng, _programs(rng, count, *rates))
    frames = [wrappers.wrapper(rng, purpose) for _ in range(count)]
    source = texts.corpus(items)

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        drawn = texts.varied(rng, source, len(rows))
        return [wrappers.fill(frames[i], item) for i, item in zip(rows["account"].tolist(), drawn, strict=True)]

    return Population(name, rng, accounts, clients(accounts.shape), Work(rng, accounts, Job(write)))


def synthetic_data(span: Span, count: int) -> Population:
    """Training data for an own small model: one account, one template, thousands of items."""
    return _templated(span, "synthetic_data", count, (1_200, 3_500), "reasoning", "codegen")


def audit_logging(span: Span, count: int) -> Population:
    """A business that has the reasons of each decision written down for its auditors."""
    return _templated(span, "audit_logging", count, (500, 1_500), "reasoning", "banking77")


def rag_backfill(span: Span, count: int) -> Population:
    """A new account that runs through a whole document store in one go."""
    rng = span.rng("rag")
    drafts = _programs(rng, count, 2_000, 5_000)
    for one in drafts:
        one.age_days = 0.2 + 2 * rng.random()
    accounts = freeze(rng, drafts)
    frames = [wrappers.wrapper(rng, "plain") for _ in range(count)]
    content = Work(rng, accounts, Job(wrapped_human(frames, TOPICS.index("writing"), np.arange(count))))
    length = span.end_ms - span.start_ms
    latest = max(length - BACKFILL_MS, 0)
    begins = (rng.random(count) * latest).astype(np.int64)
    for one, begin in zip(drafts, begins.tolist(), strict=True):
        one.age_days -= begin / DAY_MS
    accounts.from_ms[:] = span.start_ms + begins
    accounts.to_ms[:] = accounts.from_ms + BACKFILL_MS
    return Population("rag_backfill", rng, accounts, flat, content)


def quality_monitor(span: Span, count: int) -> Population:
    """Monitors that send the same few probes every some minutes and have the answers graded."""
    rng = span.rng("monitor")
    accounts = freeze(rng, _programs(rng, count, 250, 700))
    probes = [wrappers.fill(wrappers.wrapper(rng, "grading"), texts.corpus("arena_pairs")[i]) for i in range(24)]

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        return [probes[i] for i in rng.integers(len(probes), size=len(rows)).tolist()]

    return Population("quality_monitor", rng, accounts, flat, Work(rng, accounts, Job(write)))


def llm_gateway(span: Span, count: int) -> Population:
    """A company's gateway: everybody's requests through one account, with the gateway's own client program."""
    rng = span.rng("gateway")
    drafts = _programs(rng, count, 1_500, 5_000)
    for one in drafts:
        one.programs, one.plan = [infra.agent(rng, "gateway")], "enterprise"
    accounts = freeze(rng, drafts)

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        language = rng.integers(len(LANGUAGES), size=len(rows)) * (rng.random(len(rows)) < 0.15)
        return said(rng, rng.integers(len(TOPICS), size=len(rows)), np.ones(len(rows), int), language)

    return Population("llm_gateway", rng, accounts, weekly(WORK), Work(rng, accounts, Job(write)))


def fallback_router(span: Span, count: int) -> Population:
    """A router that turns to this provider when another one fails: silence, then bursts of everything."""
    rng = span.rng("fallback")
    accounts = freeze(rng, _programs(rng, count, 300, 900))
    length = span.end_ms - span.start_ms
    number = max(1, int(length / FAILS_EVERY_MS))
    part = length // number
    starts = [span.start_ms + i * part + int(rng.random() * part * 0.7) for i in range(number)]
    rhythm = occasion([(start, start + HOUR_MS) for start in starts], HOUR_MS // 12, weekly(WORK), 20, 0.05)
    return Population("fallback_router", rng, accounts, rhythm, Everyday(rng, accounts))
