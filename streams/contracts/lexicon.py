"""The phrase lexicon of the prompt fingerprint as hash tables for the compiled core.

`prompt_lexicon.toml` is written by hand, `prompt_lexicon_learned.toml` by `streams/evaluate/wordings/learn.py`.
"""

import tomllib
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.contracts.prompt_chars import N_COUNTS
from streams.contracts.prompt_kernel import LANGUAGES, PHRASE_MAX_WORDS, SCORED_TOPICS, phrase_key
from streams.contracts.prompt_words import tokenize

CLASSES = (
    "elicitation",
    "grading",
    *(f"topic.{name}" for name in SCORED_TOPICS),
    *(f"language.{name}" for name in LANGUAGES),
    "learned.elicitation",
    "learned.grading",
)


FILES = ("prompt_lexicon.toml", "prompt_lexicon_learned.toml")


class Lexicon(NamedTuple):
    """Open-addressing tables; see `prompt_kernel.lexicon_sums`."""

    last_words: NDArray[np.uint64]
    phrase_keys: NDArray[np.uint64]
    phrases: NDArray[np.int32]
    n_phrases: int


class Phrase(NamedTuple):
    """A phrase as word hashes, and what it adds, in thousandths, to which class (an index into `CLASSES`)."""

    words: NDArray[np.uint64]
    class_: int
    milli: int


def load_lexicon() -> Lexicon:
    """Read the packaged phrases, by hand and learned; their order does not matter.

    Raises ValueError for a section without a class and for a phrase that is empty, too long or twice in one file.
    """
    return tables_of([phrase for name in FILES for phrase in phrases_of(load_document(name))])


def load_document(name: str) -> dict[str, Any]:
    """Read one of `FILES`."""
    return tomllib.loads(files("streams.contracts").joinpath(name).read_text("utf-8"))


def phrases_of(document: dict[str, Any]) -> list[Phrase]:
    """Read phrases given as class -> phrase -> weight, with topics, languages and what is learned one level deeper."""
    entries: list[Phrase] = []
    for section, phrases in _sections(document):
        if section not in CLASSES:
            raise ValueError(f"the lexicon has no class {section}")
        known: set[bytes] = set()
        for phrase, weight in phrases.items():
            words = words_of(phrase)
            if not 0 < len(words) <= PHRASE_MAX_WORDS or words.tobytes() in known:
                raise ValueError(f"phrase {phrase!r} of {section} is empty, too long or written twice")
            known.add(words.tobytes())
            entries.append(Phrase(words, CLASSES.index(section), round(weight * 1000)))
    return entries


def tables_of(entries: list[Phrase]) -> Lexicon:
    """Build the tables of these phrases."""
    lengths: dict[int, int] = {}
    for words, _, _ in entries:
        last = int(words[-1])
        lengths[last] = lengths.get(last, 0) | 1 << (len(words) - 1)
    last_words = np.zeros((_table_size(len(lengths)), 2), np.uint64)
    for last, bits in lengths.items():
        slot = last & (len(last_words) - 1)
        while last_words[slot, 0]:
            slot = (slot + 1) & (len(last_words) - 1)
        last_words[slot] = last, bits

    phrase_keys = np.zeros(_table_size(len(entries)), np.uint64)
    table = np.zeros((len(phrase_keys), 3), np.int32)
    for number, (words, class_, milli) in enumerate(entries):
        key = int(phrase_key(words, len(words), len(words)))
        slot = key & (len(phrase_keys) - 1)
        while phrase_keys[slot]:
            slot = (slot + 1) & (len(phrase_keys) - 1)
        phrase_keys[slot] = key
        table[slot] = number, class_, milli
    return Lexicon(last_words, phrase_keys, table, len(entries))


def words_of(phrase: str) -> NDArray[np.uint64]:
    """Cut a phrase into word hashes exactly as a prompt is cut; a final ``|`` is the mark that ends every prompt."""
    data = phrase.removesuffix("|").encode()
    hashes = np.empty(len(data) + 2, np.uint64)
    kinds = np.empty(len(data) + 2, np.uint8)
    count = tokenize(data, len(data), hashes, kinds, np.zeros(N_COUNTS, np.int64))
    return hashes[: count + phrase.endswith("|")]


def _sections(document: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    sections: list[tuple[str, dict[str, float]]] = []
    for name, content in document.items():
        if name in ("topic", "language", "learned"):
            sections += [(f"{name}.{inner}", phrases) for inner, phrases in content.items()]
        else:
            sections.append((name, content))
    return sections


def _table_size(entries: int) -> int:
    return 1 << max(4, (4 * entries - 1).bit_length())  # at most a quarter full: probes are short
