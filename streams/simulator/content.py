"""What the exchanges of a population say: everyday use by style, and work that replaces a part of it.

A `Content` sets ``text``, ``system`` and ``purpose`` of exchanges in place. Everyday use is the same for benign
accounts and for the cover traffic of hostile ones.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import xxhash

from streams.simulator import texts, wrappers
from streams.simulator.accounts import API, CHAT, CODE, STYLES, Accounts
from streams.simulator.languages import foreign

Write = Callable[[np.random.Generator, np.ndarray], list[str]]  # texts for the given exchanges


class Content(Protocol):
    """Write the texts of exchanges."""

    def __call__(self, rng: np.random.Generator, accounts: Accounts, rows: np.ndarray) -> None:
        """Set ``text``, ``system`` and ``purpose`` in place."""


def digest(text: str) -> str:
    """Hash a system prompt as a gateway would: 64 bits in hex."""
    return xxhash.xxh3_64_hexdigest(text.encode())


# The system prompts of the provider's own chat window and of popular harnesses: each seen on very many accounts.
WINDOW_SYSTEMS = tuple(digest(f"chat window release {n}") for n in range(3))
HARNESS_SYSTEMS = tuple(digest(f"harness release {n}") for n in range(6))


class Everyday:
    """Ordinary use: people type, harnesses report, programs send what their users typed, some in words of their own."""

    def __init__(self, rng: np.random.Generator, accounts: Accounts) -> None:
        n = len(accounts)
        own = [digest(f"{rng.integers(1 << 62)}") for _ in range(n)]
        known = rng.random(n) < np.where(accounts.style == API, 0.7, np.where(accounts.style == CODE, 0.9, 0.6))
        popular = rng.random(n) ** 2
        self.systems = np.array(
            [
                None
                if not seen
                else own[i]
                if style == API
                else HARNESS_SYSTEMS[int(part * 6)]
                if style == CODE
                else WINDOW_SYSTEMS[int(part * 3)]
                for i, (style, seen, part) in enumerate(
                    zip(accounts.style.tolist(), known.tolist(), popular.tolist(), strict=True)
                )
            ],
            object,
        )
        # a third of the programs wrap what they send, each in words of its own
        self.frames = [
            wrappers.wrapper(rng, "plain") if style == API and rng.random() < 0.33 else None
            for style in accounts.style.tolist()
        ]

    def __call__(self, rng: np.random.Generator, accounts: Accounts, rows: np.ndarray) -> None:
        """Write everyday texts."""
        who = rows["account"]
        rows["system"] = self.systems[who]
        style = accounts.style[who]
        observed = (style == CODE) & (rows["turn"] > 1) & (rng.random(len(rows)) < 0.65)
        column = rows["text"]
        column[observed] = texts.steps(rng, int(observed.sum()))
        typed = np.flatnonzero(~observed)
        person = who[typed]
        turn = np.where(style[typed] == CHAT, rows["turn"][typed], 1)
        written = said(rng, accounts.topic[person], turn, accounts.language[person])
        frames = self.frames
        column[typed] = [
            text if (frame := frames[i]) is None else wrappers.fill(frame, text)
            for i, text in zip(person.tolist(), written, strict=True)
        ]


class Overheard:
    """Prompts that ordinary accounts have just sent, by style, for whoever copies them; of the last slice only."""

    def __init__(self) -> None:
        self.texts: list[list[str]] = [[] for _ in STYLES]

    def listen(self, accounts: Accounts, rows: np.ndarray) -> None:
        """Take note of exchanges."""
        style = accounts.style[rows["account"]]
        for one, heard in enumerate(self.texts):
            heard += rows["text"][style == one].tolist()

    def forget(self) -> None:
        """Make room for the next slice."""
        self.texts = [[] for _ in STYLES]


class Copied:
    """Everyday use that repeats, letter by letter, what others of its style sent some minutes ago."""

    def __init__(self, everyday: Everyday, heard: Overheard) -> None:
        self.everyday, self.heard = everyday, heard
        self.systems = everyday.systems

    def __call__(self, rng: np.random.Generator, accounts: Accounts, rows: np.ndarray) -> None:
        """Write copied texts, and everyday ones while nothing was heard."""
        self.everyday(rng, accounts, rows)
        style = accounts.style[rows["account"]]
        for one, heard in enumerate(self.heard.texts):
            if heard:
                mine = np.flatnonzero(style == one)
                rows["text"][mine] = [heard[i] for i in rng.integers(len(heard), size=len(mine)).tolist()]


class Job(NamedTuple):
    """Work that takes a share of the exchanges.

    ``share`` is per exchange, one number or computed for the given exchanges; ``purpose`` numbers the campaign that it
    serves (0: benign); ``system`` is the hash of its own system prompt (None: the everyday one).
    """

    write: Write
    share: float | Callable[[np.ndarray], np.ndarray] = 1.0
    purpose: int = 0
    system: str | None = None


class Work:
    """Jobs over their shares of the exchanges; the rest is everyday use."""

    def __init__(self, rng: np.random.Generator, accounts: Accounts, *jobs: Job) -> None:
        self.everyday: Everyday | Copied = Everyday(rng, accounts)
        self.jobs = jobs

    def copy(self) -> Overheard:
        """Let everyday use copy what will be overheard."""
        assert isinstance(self.everyday, Everyday)
        heard = Overheard()
        self.everyday = Copied(self.everyday, heard)
        return heard

    def __call__(self, rng: np.random.Generator, accounts: Accounts, rows: np.ndarray) -> None:
        """Write the jobs' texts, and everyday ones for what is left."""
        u = rng.random(len(rows))
        low = np.zeros(len(rows))
        rows["system"] = self.everyday.systems[rows["account"]]
        for job in self.jobs:
            high = low + (job.share(rows) if callable(job.share) else job.share)
            chosen = np.flatnonzero((u >= low) & (u < high))
            low = high
            rows["text"][chosen] = job.write(rng, rows[chosen])
            rows["purpose"][chosen] = job.purpose
            if job.system is not None:
                rows["system"][chosen] = job.system
        left = np.flatnonzero(u >= low)
        if len(left):
            rest = rows[left]
            self.everyday(rng, accounts, rest)
            rows[left] = rest


def said(rng: np.random.Generator, topic: np.ndarray, turn: np.ndarray, language: np.ndarray) -> list[str]:
    """Compose what people type, in their language (indexes in `TOPICS` and `LANGUAGES`)."""
    native = np.flatnonzero(language > 0)
    if not len(native):
        return texts.human(rng, topic, turn)
    found = np.empty(len(topic), object)
    english = np.flatnonzero(language == 0)
    found[english] = texts.human(rng, topic[english], turn[english])
    found[native] = foreign(rng, language[native])
    return list(found)


def wrapped(frames: list[str], items: tuple[str, ...], *, verbatim: bool = False) -> Write:
    """Fill a random frame with an item of a question set: varied, or as everybody has it."""

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        if verbatim:
            drawn = [items[i] for i in rng.integers(len(items), size=len(rows)).tolist()]
        else:
            drawn = texts.varied(rng, items, len(rows))
        chosen = rng.integers(len(frames), size=len(rows)).tolist()
        return [wrappers.fill(frames[i], item) for i, item in zip(chosen, drawn, strict=True)]

    return write


def wrapped_human(frames: list[str], topic: int, by_account: np.ndarray | None = None) -> Write:
    """Fill a frame with what people typed; ``by_account`` gives each account's frame."""

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        typed = texts.human(rng, np.full(len(rows), topic), np.ones(len(rows), int))
        chosen = rng.integers(len(frames), size=len(rows)) if by_account is None else by_account[rows["account"]]
        return [wrappers.fill(frames[i], text) for i, text in zip(chosen.tolist(), typed, strict=True)]

    return write


def paraphrased(items: tuple[str, ...]) -> Write:
    """Ask for each item in words of its own."""
    return lambda rng, rows: wrappers.paraphrase(rng, texts.varied(rng, items, len(rows)))
