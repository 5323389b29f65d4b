"""Distillation over pools of accounts: one prompt, many, none twice; over one pool, two, or one after the other."""

import msgspec
import numpy as np

from streams.simulator import texts, wrappers
from streams.simulator.accounts import NEW_MODEL, freeze
from streams.simulator.campaigns import evasions
from streams.simulator.campaigns.pool import recruit
from streams.simulator.campaigns.spec import Campaign, CampaignSpec
from streams.simulator.content import Job, Work, Write, digest, paraphrased, wrapped
from streams.simulator.population import Adjust, Population, Span
from streams.simulator.rhythm import DAY_MS, HOUR_MS

DISTILLATION, SEARCH = "distillation", "technique_search"
BURNER_EXCHANGES = 50  # of an account before it is thrown away
REFUSED_SHARE = 0.85  # of what a search for a technique tries
SURVIVORS = 3
WARM_RATE = 0.15  # of its rate a warm account keeps up with everyday use
BANNED_MS = 10 * 60_000  # how long a banned client keeps knocking


def window(span: Span, spec: CampaignSpec) -> tuple[int, int]:
    """First and last moment of a campaign."""
    start = span.start_ms + int(spec.start_h * HOUR_MS)
    end = span.end_ms if spec.hours == 0 else start + int(spec.hours * HOUR_MS)
    return start, min(end, span.end_ms)


def _campaign(
    span: Span,
    spec: CampaignSpec,
    name: str,
    jobs: list[Job],
    *,
    adjust: Adjust | None = None,
    even: bool = True,
    moments: dict[str, int] | None = None,
) -> Campaign:
    """Run jobs over the pools of a specification."""
    rng = span.rng("campaign", name)
    drafts = recruit(rng, spec)
    accounts = freeze(rng, drafts)
    start, end = window(span, spec)
    asleep = spec.evades("sleepers")
    content = Work(rng, accounts, *([evasions.from_then_on(job, start) for job in jobs] if asleep else jobs))
    population = Population(
        name,
        rng,
        accounts,
        evasions.rhythm(span, spec, name),
        content,
        start_ms=span.start_ms if asleep else start,
        end_ms=end,
        fresh=evasions.addresses(drafts) if spec.evades("residential") else None,
        even=even and not spec.evades("own_pace"),
        adjust=adjust,
    )
    if spec.evades("jitter"):
        accounts.gap_sigma *= evasions.JITTER_GAPS
    if spec.evades("copied_cover"):
        population.overheard = content.copy()
    pools = [np.flatnonzero(accounts.group == pool).tolist() for pool in range(spec.pools)]
    return Campaign(name, spec, DISTILLATION, start, end, population, pools, moments=moments or {})


def _frames(span: Span, spec: CampaignSpec, name: str) -> list[str]:
    return wrappers.variants(span.rng("frames", name), spec.purpose, spec.variants)


def _job(span: Span, spec: CampaignSpec, name: str) -> Job:
    """The work of a specification: its wrappers around its items, or its wrapper as system prompt."""
    items = texts.corpus(spec.items)
    if spec.place == "system":
        return Job(wrapped(["{item}"], items), spec.share, 1, digest(_frames(span, spec, name)[0]))
    if spec.evades("rotate"):
        return Job(evasions.rotated(lambda period: _frames(span, spec, f"{name}/{period}"), items), spec.share, 1)
    return Job(wrapped(_frames(span, spec, name), items), spec.share, 1)


def templated(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Put one wrapper, or ``variants`` reworded ones, around diverse content.

    The shapes fixed_prompt, template_variants, low_and_slow, hydra and others differ in their parameters only.
    """
    return [_campaign(span, spec, name, [_job(span, spec, name)])]


def paraphrase(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Ask each time in words of its own: only focus and infrastructure in common."""
    return [_campaign(span, spec, name, [Job(paraphrased(texts.corpus(spec.items)), spec.share, 1)])]


def two_in_pool(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Two campaigns over the same accounts: one wants reasoning about its items, the other coding."""
    other = msgspec.structs.replace(spec, items="codegen", purpose="tools")
    first, second = _job(span, spec, name), _job(span, other, f"{name}b")
    jobs = [first._replace(share=spec.share / 2), second._replace(share=spec.share / 2, purpose=2)]
    one = _campaign(span, spec, name, jobs)
    return [one, msgspec.structs.replace(one, id=f"{name}b", spec=other, purpose=2)]


def failover(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Lose the first pool to a ban, and go on at once with a second, warm one that shares nothing with it."""
    start, _ = window(span, spec)
    ban = start + int(spec.turn_h * HOUR_MS)
    job = _job(span, spec, name)
    campaign = _campaign(span, spec, name, [], even=False, moments={"ban_ms": ban})
    accounts, base = campaign.population.accounts, campaign.population.rhythm
    warm = accounts.group > 0

    def share(rows: np.ndarray) -> np.ndarray:
        idle = (rows["time"] < start) | (warm[rows["account"]] & (rows["time"] < ban))
        return np.where(idle, 0.0, spec.share)

    def rhythm(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        return base(time_ms, utc_offset_h) * np.where(warm, WARM_RATE if time_ms < ban else 1.0, 1.0)

    def adjust(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        banned = ~warm[rows["account"]] & (rows["time"] >= ban)
        rows["status"][banned], rows["output"][banned], rows["cache"][banned] = 403, 0, 0
        rows["refused"][banned] = False
        return rows[~banned | (rows["time"] < ban + BANNED_MS)]

    accounts.to_ms[~warm] = ban + BANNED_MS
    content = campaign.population.content
    assert isinstance(content, Work)
    content.jobs = (job._replace(share=share),)
    campaign.population.rhythm, campaign.population.adjust = rhythm, adjust
    return [campaign]


def pivot(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Move to another model within a day, half of them in its first quarter: to the new one if there is one."""
    start, _ = window(span, spec)
    moment = span.release_ms if span.release_ms is not None else start + int(spec.turn_h * HOUR_MS)
    model = NEW_MODEL if span.release_ms is not None else 4
    campaign = _campaign(span, spec, name, [_job(span, spec, name)], moments={"pivot_ms": moment})
    accounts = campaign.population.accounts
    delay = (campaign.population.rng.random(len(accounts)) ** 2 * DAY_MS).astype(np.int64)

    def adjust(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        rows["model"][rows["time"] >= moment + delay[rows["account"]]] = model
        return rows

    accounts.model[accounts.model == model] = 0
    accounts.other_model[accounts.other_model == model] = 0
    accounts.adopts_ms[:] = DAY_MS * 365
    campaign.population.adjust = adjust
    return [campaign]


def search(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Try many ways around a safeguard from a third of the accounts, mostly refused; then scale up what passed."""
    start, _ = window(span, spec)
    scale_up = start + int(spec.turn_h * HOUR_MS)
    tried = _frames(span, spec, name)
    items = texts.corpus(spec.items)
    attempt, use = wrapped(tried, items), wrapped(tried[:SURVIVORS], items)

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        early = rows["time"] < scale_up
        found = np.empty(len(rows), object)
        found[early], found[~early] = attempt(rng, rows[early]), use(rng, rows[~early])
        return list(found)

    def adjust(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        refused = (rows["time"] < scale_up) & (rng.random(len(rows)) < REFUSED_SHARE)
        refused &= (rows["purpose"] == 1) & (rows["status"] == 200)
        rows["refused"][refused] = True
        rows["output"][refused] = rows["output"][refused] % 90 + 20  # as long as anybody's refusals
        return rows

    searching: Write = write
    campaign = _campaign(
        span, spec, name, [Job(searching, spec.share, 1)], adjust=adjust, even=False, moments={"scale_up_ms": scale_up}
    )
    accounts = campaign.population.accounts
    accounts.from_ms[len(accounts) // 3 :] = scale_up
    accounts.rate[: len(accounts) // 3] *= 3  # a search is in a hurry
    campaign.category = SEARCH
    return [campaign]


def burner(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Throw each account away after some 50 exchanges and go on with the next: bought ones, some opened just before."""
    burnt = spec.opened  # each is opened just before it is used, not before the campaign
    job = _job(span, spec, name)
    campaign = _campaign(span, msgspec.structs.replace(spec, opened=0.0), name, [job], even=False)
    campaign.spec = spec
    accounts, rng = campaign.population.accounts, campaign.population.rng
    n = len(accounts)
    life_ms = int(BURNER_EXCHANGES / spec.per_day * DAY_MS)
    places = max((campaign.end_ms - campaign.start_ms) - life_ms, 1)
    accounts.from_ms[:] = campaign.start_ms + (np.arange(n) / n * places).astype(np.int64)
    accounts.to_ms[:] = accounts.from_ms + (life_ms * rng.lognormal(0, 0.15, n)).astype(np.int64)
    opened = rng.random(n) < (0.0 if spec.evades("aged") else burnt)
    for one, begins, new in zip(accounts.drafts, accounts.from_ms.tolist(), opened.tolist(), strict=True):
        if new:
            one.age_days = (span.start_ms - begins) / DAY_MS + 0.005 + 0.05 * rng.random()
    return [campaign]
