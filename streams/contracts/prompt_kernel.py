"""Compiled core of the prompt fingerprint, over UTF-8 bytes: lexicon sums, topic and language; `analyse` does all.

`prompt_chars` tells what a character is, `prompt_words` cuts the text, `prompt_hashes` has SimHash and skeleton.
Everything is integer arithmetic, so each machine computes the same. Time is linear in the bytes for every input.
"""

# mypy: disable-error-code="no-untyped-def"
# Types are inferred by numba.

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.prompt_chars import (
    BLOCKS,
    BYTES,
    CLOSING,
    CODE_MARKS,
    GREEK,
    HAN,
    HANGUL,
    KANA,
    LATIN,
    N_COUNTS,
    NOT_ASCII,
    OPENING,
)
from streams.contracts.prompt_hashes import simhash, skeleton
from streams.contracts.prompt_words import CODE, NUMBER, QUOTED, STEP, mix, tokenize

PHRASE_MAX_WORDS = 12

SCORED_TOPICS = (
    "coding",
    "math",
    "agentic",
    "writing",
    "translation",
    "roleplay",
    "qa",
    "data",
    "law",
    "medical",
    "finance",
)
LANGUAGES = ("en", "es", "fr", "de", "pt", "it")  # of the Latin script, told apart by small words
_N_TOPICS = len(SCORED_TOPICS)
_CODING, _MATH = SCORED_TOPICS.index("coding"), SCORED_TOPICS.index("math")
_N_LANGUAGES = len(LANGUAGES)
_TOPIC_MIN = 700  # thousandths of weight: below, a prompt has no topic
_HALF_SCORE = 480_000.0  # squared thousandths: a sum of 0.69 is even odds


@compiled
def phrase_key(hashes, end, words):
    """Hash the ``words`` tokens that end before ``end``, last one first."""
    key = np.uint64(words)
    for k in range(words):
        key = key * STEP + hashes[end - 1 - k]
    return mix(key)


@compiled_with_arrays
def lexicon_sums(hashes, kinds, n, last_words, phrase_keys, phrases, n_phrases, sums):
    """Add the weights of the phrases that occur to ``sums`` by class, each once; half inside quotes and code.

    ``last_words`` is a hash table of (hash of the last word of a phrase, bit set of phrase lengths); ``phrase_keys``
    one of phrase hashes with (number, class, weight) in ``phrases``. 0 marks an empty slot in both.
    """
    seen = np.zeros(n_phrases, np.uint8)
    word_mask = np.uint64(last_words.shape[0] - 1)
    phrase_mask = np.uint64(phrase_keys.shape[0] - 1)
    for i in range(n):
        word = hashes[i]
        slot = word & word_mask
        while last_words[slot, 0] != word and last_words[slot, 0]:
            slot = (slot + np.uint64(1)) & word_mask
        lengths = last_words[slot, 1]
        length = 0
        key = np.uint64(0)
        while lengths:
            length += 1
            if length > i + 1:
                break
            if lengths & np.uint64(1):
                key = phrase_key(hashes, i + 1, length)
                at = key & phrase_mask
                while phrase_keys[at]:
                    if phrase_keys[at] == key and not seen[phrases[at, 0]]:
                        seen[phrases[at, 0]] = 1
                        inside = kinds[i] & (QUOTED | CODE)
                        sums[phrases[at, 1]] += phrases[at, 2] // 2 if inside else phrases[at, 2]
                    at = (at + np.uint64(1)) & phrase_mask
            lengths >>= np.uint64(1)


@compiled
def _score(milli):
    if milli <= 0:
        return 0.0
    square = float(milli) * float(milli)
    return np.floor(square / (square + _HALF_SCORE) * 10_000.0 + 0.5) / 10_000.0


@compiled
def _topic(sums, counts, numbers):
    """Give the index of the topic with the largest sum; then come ``chat`` and ``other``."""
    code = min(counts[BLOCKS], 1) * 1500
    if counts[CODE_MARKS] * 40 > counts[BYTES]:
        code += min(counts[CODE_MARKS], 40) * 80
    sums[2 + _CODING] += code
    if sums[2 + _MATH] > 0:
        sums[2 + _MATH] += min(numbers, 5) * 150
    best = 0
    for topic in range(1, _N_TOPICS):
        if sums[2 + topic] > sums[2 + best]:
            best = topic
    if sums[2 + best] >= _TOPIC_MIN:
        return best
    letters = 0
    for script in range(LATIN, OPENING):
        letters += counts[script]
    return _N_TOPICS if letters else _N_TOPICS + 1


@compiled
def _language(sums, counts):
    """Give the index of the language: of the script, and of the small words for the Latin one."""
    if counts[KANA] and counts[KANA] * 8 > counts[HAN]:
        counts[KANA] += counts[HAN]
        counts[HAN] = 0
    best = LATIN
    most = counts[LATIN]
    for script in range(HAN, GREEK + 1):
        weighted = counts[script] * (3 if script <= HANGUL else 1)  # a character of these stands for about 3 letters
        if weighted > most:
            best = script
            most = weighted
    if most == 0:
        return _N_LANGUAGES + 9
    if best >= HAN:
        return _N_LANGUAGES + best - HAN
    first = 2 + _N_TOPICS
    chosen = 0
    for language in range(1, _N_LANGUAGES):
        if sums[first + language] > sums[first + chosen]:
            chosen = language
    if sums[first + chosen] == 0 and counts[NOT_ASCII]:
        return _N_LANGUAGES + 9
    return chosen


@compiled_with_arrays
def analyse(data, last_words, phrase_keys, phrases, n_phrases):
    """Fingerprint one text: (simhash, template, head, tail, elicitation, grading, topic index, language index)."""
    n = len(data)
    hashes = np.empty(n + 2, np.uint64)
    kinds = np.empty(n + 2, np.uint8)
    counts = np.zeros(N_COUNTS, np.int64)
    sums = np.zeros(2 + _N_TOPICS + _N_LANGUAGES + 2, np.int64)
    words = tokenize(data, n, hashes, kinds, counts)
    lexicon_sums(hashes, kinds, words + 1, last_words, phrase_keys, phrases, n_phrases, sums)
    numbers = 0
    for i in range(words):
        numbers += (kinds[i] & 7) == NUMBER
    template, head, tail = skeleton(hashes, kinds, words, counts[OPENING], counts[CLOSING])
    topic = _topic(sums, counts, numbers)
    language = _language(sums, counts)
    # what is learned adds to what is known by hand, and takes nothing from it
    elicitation, grading = _score(sums[0] + max(sums[-2], 0)), _score(sums[1] + max(sums[-1], 0))
    return simhash(hashes, words), template, head, tail, elicitation, grading, topic, language
