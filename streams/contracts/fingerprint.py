"""What is kept of a prompt: numbers that say whether two prompts are alike and what they are after, and no text.

Cannot see a paraphrase (other words, same request), a request spread over several turns, languages the lexicon has no
phrases of, or what stands between the first and the last 4 KiB. Scores are lexical: whoever knows the phrases can avoid
them, which is why they are one axis of evidence among several.
"""

from typing import NamedTuple

from streams.contracts import prompt_kernel as kernel
from streams.contracts.lexicon import Lexicon, load_lexicon
from streams.contracts.prompt_kernel import SCORED_TOPICS
from streams.contracts.request import Prompt

EDGE_BYTES = 4096  # read at each end of a prompt: bounds the cost, and templates sit at the ends
TOPICS = (*SCORED_TOPICS, "chat", "other")
LANGUAGES = (*kernel.LANGUAGES, "zh", "ja", "ko", "ru", "ar", "he", "hi", "th", "el", "other")


class Fingerprint(NamedTuple):
    """What is known of one prompt.

    The four hashes are unsigned 64-bit integers; 0 means too short to say anything. ``simhash``: near prompts differ in
    few bits. ``template_hash``: of the skeleton, with numbers, quoted spans, code, URLs and mail addresses masked; of
    the opening paragraph alone if that has 12 words or more, since the rest is then what an instruction is applied to.
    ``head_hash``, ``tail_hash``: of the first six and the last five words of the skeleton (12 and 10 characters where
    words are not spaced); the tail is of the whole closing paragraph if that has 10 words or more.
    ``reasoning_elicitation`` and ``grading`` are scores in 0..1, ``chars`` counts code points.
    """

    simhash: int
    template_hash: int
    head_hash: int
    tail_hash: int
    reasoning_elicitation: float
    grading: float
    topic: str
    language: str
    chars: int

    def as_prompt(self, system_hash: str | None = None) -> Prompt:
        """Put the fingerprint into the fields of the input contract, for a gateway that keeps the text to itself."""
        return Prompt(
            simhash=f"{self.simhash:016x}" if self.simhash else None,
            template_hash=f"{self.template_hash:016x}" if self.template_hash else None,
            system_hash=system_hash,
            chars=self.chars,
            reasoning_elicitation=self.reasoning_elicitation,
            grading=self.grading,
            topic=self.topic,
            language=self.language,
        )


_lexicon: Lexicon | None = None


def fingerprint(text: str) -> Fingerprint:
    """Take the fingerprint of a prompt: a few microseconds, at most 0.2 ms, and never an exception for any text.

    >>> near = fingerprint("Who wrote the book of 1984?").simhash ^ fingerprint("Who wrote the book of 1985?").simhash
    >>> near.bit_count()
    0
    """
    global _lexicon
    if _lexicon is None:
        _lexicon = load_lexicon()
    simhash, template, head, tail, elicitation, grading, topic, language = kernel.analyse(edges(text), *_lexicon)
    return Fingerprint(
        simhash, template, head, tail, elicitation, grading, TOPICS[topic], LANGUAGES[language], len(text)
    )


def edges(text: str) -> bytes:
    """Give the first and last 4 KiB of a text's UTF-8 form, cut between characters; all of it up to 8 KiB."""
    if len(text) <= 2 * EDGE_BYTES:
        data = text.encode("utf-8", "surrogatepass")
        if len(data) <= 2 * EDGE_BYTES:
            return data
    first = text[:EDGE_BYTES].encode("utf-8", "surrogatepass")
    last = text[-EDGE_BYTES:].encode("utf-8", "surrogatepass")
    end = EDGE_BYTES
    while end < len(first) and first[end] & 0xC0 == 0x80:
        end -= 1
    start = len(last) - EDGE_BYTES
    while last[start] & 0xC0 == 0x80:
        start += 1
    return first[:end] + b"\n" + last[start:]
