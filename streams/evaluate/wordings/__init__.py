"""Requests for reasoning, requests for grades and ordinary prompts, from which the fingerprint's lexicon is learned.

All are synthetic, made for this project by a language model: ``training`` in twenty-eight styles (templates, chat,
experts, developers, catchwords avoided, other languages, ...), each by itself, and so the other two, without sight of
the lexicon, of the simulator's sentences or of each other. They have the project's licence. `learn` reads ``training``,
its settings were chosen on ``development``, and ``exam`` is for nothing but `exam`'s table: whoever reads its prompts
to mend the lexicon has used it up. That one model made them all makes the exam easier than people would.
"""

import gzip
from importlib.resources import files
from typing import Literal

import msgspec

Purpose = Literal["reasoning", "grading", "none"]


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt and what it asks for; ``language`` is its ISO 639-1 code."""

    purpose: Purpose
    prompt: str
    language: str = "en"


def wordings(name: Literal["training", "development", "exam"]) -> list[Wording]:
    """Read one of the three sets."""
    data = gzip.decompress(files(__name__).joinpath(f"{name}.jsonl.gz").read_bytes())
    return msgspec.json.decode(b"[" + data.strip().replace(b"\n", b",") + b"]", type=list[Wording])
