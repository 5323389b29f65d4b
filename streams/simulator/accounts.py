"""Accounts: what is fixed about each, drawn from one set of tables for every kind of owner.

A `Draft` is one account while it is made; kinds and campaigns change drafts (share a card, an organisation, a network)
before `Accounts` freezes them into arrays and ready-made JSON.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from streams.simulator import infra
from streams.simulator.draws import Choice
from streams.simulator.rhythm import DAY_MS, arrivals, client_shapes

FOREVER_MS = 1 << 62
CHAT, CODE, API = 0, 1, 2  # a person in a chat window, a person with a coding harness, a program
STYLES = ("chat", "code", "api")
PLANS = ("free", "pro", "edu", "team", "enterprise")

MODELS = ("atlas-5", "atlas-5-mini", "atlas-4.5", "atlas-code-5", "atlas-5-pro", "atlas-4", "atlas-nano", "atlas-6")
NEW_MODEL = 7  # nobody uses it until a plan releases it
LANGUAGES = ("en", "zh", "ja", "ko", "pt", "es", "fr", "de")
ADOPTION = (4.0, 2.0)  # days from a release to an account's switch, lognormal: a quarter within a day
TOPICS = ("general", "writing", "coding", "support", "tools", "math")


class Persona(NamedTuple):
    """How accounts of one style are drawn; ages in days, rates in exchanges a day, each a lognormal (median, sigma).

    Sigma 1.26 of the rate is what a production service's users show: median 2 requests, 95 % at most 16.
    """

    models: Choice[int]
    plans: Choice[str]
    programs: Choice[str]
    networks: Choice[str]
    topics: Choice[int]
    age: tuple[float, float]
    rate: tuple[float, float]
    turns: float  # mean exchanges in a session
    gap_s: tuple[float, float]  # between exchanges of a session, lognormal (median, sigma)
    foreign: float  # share that writes in the language of its country, where that is not English


def _numbered(*weights: float) -> Choice[int]:
    return Choice(enumerate(weights))


PERSONAS = (
    Persona(
        models=_numbered(42, 20, 14, 2, 8, 8, 6),
        plans=Choice((("free", 55), ("pro", 34), ("edu", 6), ("team", 5))),
        programs=Choice((("web", 72), ("phone", 28))),
        networks=Choice((("home", 66), ("mobile", 20), ("office", 6), ("campus", 4), ("vpn", 4))),
        topics=_numbered(45, 26, 14, 3, 4, 8),
        age=(160, 1.2),
        rate=(9, 1.26),
        turns=4.5,
        gap_s=(75, 1.0),
        foreign=0.6,
    ),
    Persona(
        models=_numbered(20, 8, 12, 44, 12, 3, 1),
        plans=Choice((("pro", 58), ("team", 18), ("free", 12), ("enterprise", 8), ("edu", 4))),
        programs=Choice((("harness", 84), ("web", 16))),
        networks=Choice((("home", 58), ("office", 20), ("cloud", 12), ("vpn", 6), ("campus", 4))),
        topics=_numbered(6, 4, 72, 2, 10, 6),
        age=(190, 1.1),
        rate=(45, 1.3),
        turns=14,
        gap_s=(11, 1.1),
        foreign=0.3,
    ),
    Persona(
        models=_numbered(22, 34, 10, 6, 5, 10, 13),
        plans=Choice((("pro", 34), ("team", 30), ("enterprise", 20), ("free", 12), ("edu", 4))),
        programs=Choice((("sdk", 82), ("gateway", 18))),
        networks=Choice((("cloud", 78), ("home", 12), ("office", 7), ("vpn", 3))),
        topics=_numbered(26, 18, 22, 14, 12, 8),
        age=(240, 1.1),
        rate=(110, 1.5),
        turns=1,
        gap_s=(2.5, 1.2),
        foreign=0.2,
    ),
)

_TEMPERATURES = ((100, 30), (0, 26), (70, 20), (20, 10), (30, 5), (50, 5), (10, 2), (80, 2))  # hundredths, weight


@dataclass(slots=True)
class Draft:
    """One account that is being made."""

    style: int
    where: infra.Country
    plan: str
    age_days: float
    rate: float
    topic: int
    networks: list[infra.Network]
    programs: list[tuple[str, str]]
    org: str | None
    key: str | None
    domain: str | None
    payment: str | None
    device: str | None
    group: int = 0
    model: int = 0
    shape: int = 0
    turns: float = 0.0  # 0 = the persona's
    language: str = "en"
    from_ms: int = 0  # sessions begin in [from, to)
    to_ms: int = FOREVER_MS


def draft(rng: np.random.Generator, style: int, where: infra.Country | None = None) -> Draft:
    """Draw one unrelated account of a style."""
    persona = PERSONAS[style]
    where = where or infra.country(rng)
    plan = persona.plans(rng)
    free = plan in ("free", "edu")
    places = [persona.networks(rng) for _ in range(1 + int(rng.random() ** 2 * 3))]
    business = plan in ("team", "enterprise")
    return Draft(
        style=style,
        where=where,
        plan=plan,
        age_days=float(min(rng.lognormal(np.log(persona.age[0]), persona.age[1]), 1_400)) + 0.02,
        rate=float(min(rng.lognormal(np.log(persona.rate[0]), persona.rate[1]), 20_000)),
        topic=persona.topics(rng),
        networks=[infra.network(rng, place, where) for place in places],
        programs=[infra.agent(rng, persona.programs(rng)) for _ in range(1 + int(rng.random() < 0.35))],
        org=infra.opaque(rng, "org_") if business or rng.random() < 0.12 else None,
        key=infra.opaque(rng, "key_") if style == API or rng.random() < 0.25 else None,
        domain=None
        if rng.random() < 0.08
        else infra.company_domain(rng)
        if business and rng.random() < 0.7
        else infra.school_domain(rng)
        if plan == "edu" and rng.random() < 0.5
        else infra.mail_domain(rng),
        payment=None if rng.random() < (0.8 if free else 0.1) else infra.opaque(rng, "pm_"),
        device=None if rng.random() < (0.55 if style == API else 0.3) else infra.opaque(rng, "dev_"),
        model=persona.models(rng),
        shape=int(rng.integers(len(client_shapes()))),
        language=where.language if rng.random() < persona.foreign else "en",
    )


@dataclass(slots=True)
class Accounts:
    """Frozen accounts of one population as arrays; account i has ``ids[i]`` and the JSON members ``fragments[i]``."""

    drafts: list[Draft]
    rate: np.ndarray  # exchanges a day
    utc_offset_h: np.ndarray
    style: np.ndarray
    topic: np.ndarray
    language: np.ndarray  # index in `LANGUAGES`
    from_ms: np.ndarray
    to_ms: np.ndarray
    adopts_ms: np.ndarray  # how long after its release a new model is taken up
    group: np.ndarray
    shape: np.ndarray  # ServeGen client whose burstiness and sizes it has
    turns: np.ndarray  # mean exchanges in a session
    gap_mu: np.ndarray
    gap_sigma: np.ndarray
    model: np.ndarray
    other_model: np.ndarray
    other_share: np.ndarray
    temperature: np.ndarray  # hundredths, -1 unknown
    tools: np.ndarray
    stream: np.ndarray
    context: np.ndarray  # tokens of system prompt and tools
    caches: np.ndarray
    verbosity: np.ndarray  # factor on output tokens
    conversations: np.ndarray  # whether the client sends a conversation id
    operation: np.ndarray
    clients: list[list[bytes]]
    ids: list[str] = field(default_factory=list)
    fragments: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the accounts."""
        return len(self.rate)

    def name(self, ids: list[str], start_ms: int) -> None:
        """Give the accounts their ids and encode what every event of an account repeats."""
        self.ids = ids
        self.fragments = [
            _fragment(d, i, start_ms, op) for d, i, op in zip(self.drafts, ids, self.operation, strict=True)
        ]
        self.drafts = []  # what is needed of them is in the fragments now


OPERATIONS = ("chat", "responses", "completion")


def _fragment(d: Draft, account_id: str, start_ms: int, operation: int) -> bytes:
    members: dict[str, object] = {"account_id": account_id}
    if d.org is not None:
        members["org_id"] = d.org
    if d.key is not None:
        members["api_key_id"] = d.key
    members["plan"] = d.plan
    members["account_created_at"] = int(start_ms - d.age_days * DAY_MS)
    if operation:
        members["operation"] = OPERATIONS[operation]
    identity = {
        name: value
        for name, value in (
            ("payment_fingerprint", d.payment),
            ("device_fingerprint", d.device),
            ("email_domain", d.domain),
        )
        if value is not None
    }
    members["identity"] = identity or None
    return infra.encode_json(members)[1:-1]


def freeze(rng: np.random.Generator, drafts: Iterable[Draft]) -> Accounts:
    """Turn drafts into arrays, drawing each account's habits of use."""
    drafts = list(drafts)
    n = len(drafts)
    style = np.array([d.style for d in drafts], np.int8)
    chat, code, api = style == CHAT, style == CODE, style == API
    burst = (np.array([arrivals()["clients"][d.shape]["cv"] for d in drafts]) ** 2 + 1) / 2
    # a compound Poisson process with geometric batches of mean m has dispersion 2m - 1; a renewal process has cv^2
    turns = np.where(api, np.minimum(burst, 40), np.array([PERSONAS[d.style].turns for d in drafts]))
    turns *= rng.lognormal(0, 0.35, n)
    own = np.array([d.turns for d in drafts])
    temperatures = np.array([t for t, _ in _TEMPERATURES], np.int16)
    p = np.array([w for _, w in _TEMPERATURES], float)
    temperature = rng.choice(temperatures, n, p=p / p.sum())
    known = rng.random(n) < np.where(api, 0.75, np.where(code, 0.4, 0.1))
    context = np.where(chat, rng.lognormal(5.5, 0.8, n), np.where(code, rng.lognormal(8.6, 0.7, n), 0))
    served = arrivals()["clients"]
    typical = np.array([served[d.shape]["input"][2] for d in drafts], float)
    context = np.where(api, typical * rng.lognormal(-0.4, 0.6, n), context)
    return Accounts(
        drafts=drafts,
        rate=np.array([d.rate for d in drafts]),
        utc_offset_h=np.array([d.where.utc_offset_h for d in drafts]),
        style=style,
        topic=np.array([d.topic for d in drafts], np.int8),
        language=np.array([LANGUAGES.index(d.language) for d in drafts], np.int8),
        from_ms=np.array([d.from_ms for d in drafts], np.int64),
        to_ms=np.array([d.to_ms for d in drafts], np.int64),
        adopts_ms=np.minimum(rng.lognormal(np.log(ADOPTION[0] * DAY_MS), ADOPTION[1], n), FOREVER_MS).astype(np.int64),
        group=np.array([d.group for d in drafts], np.int32),
        shape=np.array([d.shape for d in drafts], np.int16),
        turns=np.maximum(np.where(own > 0, own, turns), 1.0),
        gap_mu=np.array([np.log(PERSONAS[d.style].gap_s[0]) for d in drafts]) + rng.normal(0, 0.4, n),
        gap_sigma=np.array([PERSONAS[d.style].gap_s[1] for d in drafts]),
        model=np.array([d.model for d in drafts], np.int16),
        other_model=rng.choice(NEW_MODEL, n).astype(np.int16),
        other_share=rng.beta(0.6, 6, n),
        temperature=np.where(known, temperature, -1).astype(np.int16),
        tools=np.where(
            chat,
            rng.integers(0, 4, n) * (rng.random(n) < 0.3),
            np.where(
                code, rng.integers(4, 26, n) * (rng.random(n) < 0.93), rng.integers(1, 12, n) * (rng.random(n) < 0.35)
            ),
        ).astype(np.int16),
        stream=rng.random(n) < np.where(chat, 0.95, np.where(code, 0.9, 0.35)),
        context=np.minimum(context, 60_000).astype(np.int32),
        caches=rng.random(n) < np.where(chat, 0.6, np.where(code, 0.92, 0.35)),
        verbosity=rng.lognormal(0, 0.35, n),
        conversations=rng.random(n) < np.where(chat, 0.92, np.where(code, 0.8, 0.2)),
        operation=np.where(api, rng.choice(3, n, p=(0.76, 0.16, 0.08)), rng.choice(3, n, p=(0.9, 0.1, 0))).astype(
            np.int8
        ),
        clients=[[infra.client(rng, net, program) for net in d.networks for program in d.programs] for d in drafts],
    )
