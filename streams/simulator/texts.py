"""What people and programs ask: real prompts, recombined so that most human prompts are texts nobody else sends.

A few thousand real prompts cannot fill a stream of millions. A human prompt is therefore the opening of one real prompt
with details from others of its topic, words of their common vocabulary, and now and then a slip of the keyboard; its
parts are real, its whole is new. What this cannot show: a real person's coherence from sentence to sentence.
"""

import functools
import gzip
import re
from collections import Counter
from importlib import resources
from typing import NamedTuple

import msgspec
import numpy as np

from streams.simulator.accounts import TOPICS

_CODING = re.compile(
    r"(?i)\b(?:python|java|code|function|sql|script|api|class|bug|html|css|rust|regex|docker|git|c\+\+|react|linux|excel)\b"
)
_MATHS = re.compile(
    r"(?i)\b(?:prove|theorem|equation|integral|matrix|probability|polynomial|calculate|triangle|sum of)\b"
)
_SPLIT = re.compile(r"(?<=[.?!])\s+|\n+")
_WORD = re.compile(r"\b[a-z]{5,11}\b")


@functools.cache
def corpus(name: str) -> tuple[str, ...]:
    """Load one packaged set of prompts."""
    packed = resources.files("streams.simulator.corpus").joinpath(f"{name}.jsonl.gz").read_bytes()
    return tuple(msgspec.json.decode(line, type=str) for line in gzip.decompress(packed).splitlines())


class Pool(NamedTuple):
    """Parts of human prompts of one topic: first sentences, and sentences that carry on."""

    openings: tuple[str, ...]
    details: tuple[str, ...]


def _parts(prompts: tuple[str, ...]) -> Pool:
    openings: dict[str, None] = {}
    details: dict[str, None] = {}
    for prompt in prompts:
        pieces = [piece.strip() for piece in _SPLIT.split(prompt) if len(piece.strip()) >= 12]
        if not pieces:
            continue
        openings[pieces[0][:240]] = None
        details.update(dict.fromkeys(piece[:260] for piece in pieces[1:]))
    return Pool(tuple(openings), tuple(details))


@functools.cache
def pools() -> tuple[Pool, ...]:
    """The parts by topic, in the order of `TOPICS`."""
    mixed = corpus("arena_hard") + corpus("oasst") + corpus("user_oriented") + corpus("awesome_prompts")
    coding = tuple(text for text in mixed if _CODING.search(text))
    maths = tuple(text for text in mixed if _MATHS.search(text) and not _CODING.search(text))
    rest = tuple(text for text in mixed if not _CODING.search(text) and not _MATHS.search(text))
    found = {
        "general": _parts(corpus("webquestions") + corpus("oasst")),
        "writing": _parts(rest),
        "coding": _parts(coding + corpus("agent_steps")),
        "support": _parts(corpus("banking77")),
        "tools": _parts(corpus("bfcl_live")),
        "math": _parts(maths + corpus("arena_hard")[::5]),
    }
    general = found["writing"].details
    return tuple(
        pool._replace(details=pool.details if len(pool.details) > 400 else pool.details + general)
        for pool in (found[topic] for topic in TOPICS)
    )


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """Common but not universal words of the human prompts, most frequent first."""
    counts: Counter[str] = Counter()
    for name in ("arena_hard", "oasst", "user_oriented", "awesome_prompts", "webquestions", "bfcl_live"):
        for text in corpus(name):
            counts.update(set(_WORD.findall(text)))
    return tuple(
        word for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if 3 <= count <= 90
    )


FOLLOW_UPS = (
    "continue", "thanks", "thank you", "ok", "yes", "no", "go on", "explain that", "can you make it shorter?",
    "give me an example", "try again", "are you sure?", "more detail please", "summarize", "yes please",
)  # fmt: skip
GREETINGS = ("hi", "hello", "test", "ping", "hey", "hello, how are you?")
ASIDES = (
    "It is about {a} and {b}.", "This is for a {a} project on {b}.", "My {a} mentioned {b}, does that change anything?",
    "Please keep {a} in mind.", "I already tried {a} without {b}.", "What if the {a} is {b}?",
    "Focus on {a} rather than {b}.", "We use {a} at work.", "Can you compare {a} with {b}?",
    "I mean the {a} one, not {b}.",
    "how does {a} fit in here", "and {a}? also {b}", "assume {a} = {n}", "there are {n} {a} in it", "the {a} says {n}",
)  # fmt: skip
LEADS = (
    "hi, about {a} {b}:", "quick one on {a} and {b}.", "so my {a} has {b},", "for {a}, {b} side:", "re {a}: {b}?",
    "context: {a}, {b}.", "{a} {b} again.", "second try, {a} with {b}.", "new to {a}, mostly {b}.", "my {a} wants {b}.",
    "not sure if {a} or {b}, but", "{a}: {b}.", "as for {a} and {b},", "let's say {a}, no {b}.",
    "in {a} we call it {b}.",
    "this {a} needs {b}:", "{a} first, {b} later.", "ok, {a} then {b}.", "we have {a} and {b} here.",
    "still {a} {b}...",
)  # fmt: skip
TRIVIAL_SHARE = 0.07  # of later turns: "continue", "thanks"; every service sees the same few
GREETING_SHARE = 0.015  # of first turns
BARE_SHARE = 0.06  # of first turns: an opening alone, as typed into a search box
SLIP_SHARE = 0.12


def human(rng: np.random.Generator, topic: np.ndarray, turn: np.ndarray) -> list[str]:
    """Compose what a person types, one text per (topic, turn)."""
    n = len(topic)
    parts, words = pools(), vocabulary()
    u = rng.random((8, n))
    extra = np.minimum(rng.geometric(0.7, n) - 1, 4)
    many = rng.integers(1 << 30, size=(4, n))
    later = turn > 1
    carries = later & (u[2] < 0.75)
    told = np.where(
        carries, np.array([len(p.details) for p in parts])[topic], np.array([len(p.openings) for p in parts])[topic]
    )
    columns = (
        np.where(later & (u[0] < TRIVIAL_SHARE), 1, np.where((turn == 1) & (u[0] > 1 - GREETING_SHARE), 2, 0)),
        topic,
        carries,
        (u[1] * told).astype(np.int64),
        ~carries & (u[0] < BARE_SHARE),
        (u[3] ** 1.5 * len(words)).astype(np.int64),
        (u[4] ** 1.5 * len(words)).astype(np.int64),
        extra,
        many[2],
        np.where(u[5] < 0.8, many[0] % len(ASIDES), -1),
        many[1] % 9_000,
        np.where(u[5] > 0.25, many[3] % len(LEADS), -1),
        np.where(u[6] < SLIP_SHARE, u[7], 1.0),
        u[1] ** 2,
    )
    result = []
    for short, subject, carry, first, bare, a, b, more, at, aside, number, lead, slip, which in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        if short:
            known = FOLLOW_UPS if short == 1 else GREETINGS
            result.append(known[int(which * len(known))])
            continue
        openings, details = parts[subject]
        text = details[first] if carry else openings[first]
        if bare:
            result.append(text)
            continue
        for j in range(more):
            text += " " + details[(at + j * 7_919) % len(details)]
        if aside >= 0:
            text += " " + ASIDES[aside].format(a=words[a], b=words[b], n=number)
        if lead >= 0:
            text = LEADS[lead].format(a=words[b], b=words[a]) + " " + text
        if slip < 1.0:
            place = int(slip * len(text))
            text = text[:place] + text[place + 1 :]
        result.append(text)
    return result


def steps(rng: np.random.Generator, n: int) -> list[str]:
    """Compose what a coding harness sends between turns: observations of its tools, each of its own length."""
    seen, words = corpus("agent_steps"), vocabulary()
    details = pools()[TOPICS.index("coding")].details
    u = rng.random((5, n)).tolist()
    many = rng.integers(1 << 30, size=(2, n)).tolist()
    result = []
    for i in range(n):
        piece = seen[int(u[0][i] * len(seen))]
        start = int(u[1][i] * len(piece) * 0.7)
        word, other = words[int(u[2][i] * len(words))], words[int(u[3][i] * len(words))]
        path = f"{word}/{other}.py:{many[0][i] % 900}"
        detail = details[int(u[4][i] * len(details))]
        result.append(f"{path}\n{piece[start : start + 180]}\n{detail}\n{other} {many[1][i] % 800} {word}")
    return result


_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,8}\b")


def _moved(by: int, number: re.Match[str]) -> str:
    return str(int(number[0]) + by) if len(number[0]) < 6 else number[0]


def varied(rng: np.random.Generator, items: tuple[str, ...], n: int) -> list[str]:
    """Draw items of a question set with numbers moved, a name changed or a word added, as augmented sets have them."""
    words = vocabulary()
    u = rng.random((4, n)).tolist()
    moved = rng.integers(1, 40, size=n).tolist()
    result = []
    for i in range(n):
        text = items[int(u[0][i] * len(items))]
        word = words[int(u[2][i] * len(words))]
        if u[1][i] < 0.7:
            text = _NUMBER.sub(functools.partial(_moved, moved[i]), text, count=3)
        if u[3][i] < 0.6 and (name := _NAME.search(text)):
            text = text.replace(name[0], word.capitalize())
        if u[1][i] < 0.35:
            text += f" ({word})"
        result.append(text)
    return result
