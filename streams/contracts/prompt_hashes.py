"""Compiled: the hashes that prompts alike in wording share: SimHash, template, head and tail."""

# mypy: disable-error-code="no-untyped-def"
# Types are inferred by numba.

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.prompt_words import CODE, MASKS, QUOTED, SEED, SINGLE, STEP, mix

HEAD_UNITS = 12  # a word is 2 units, a character of a script without spaces 1: six words or twelve characters
TAIL_UNITS = 10
TEMPLATE_MIN_UNITS = 6  # a skeleton of fewer is shared by everybody and means nothing
CLOSING_MIN_UNITS = 20  # 10 words
OPENING_MIN_UNITS = 24  # 12 words: a shorter opening is a greeting or a title


@compiled
def _vote(planes, carry):
    k = 0
    while carry:
        held = planes[k]
        planes[k] = held ^ carry
        carry &= held
        k += 1


@compiled_with_arrays
def simhash(hashes, n):
    """Give the 64-bit SimHash of single words and neighbouring pairs; 0 for no words.

    Votes are kept bit-sliced: plane k holds bit k of all 64 counters, and a feature is added with carries (Charikar,
    Similarity estimation techniques from rounding algorithms, 2002).
    """
    if n == 0:
        return np.uint64(0)
    planes = np.zeros(16, np.uint64)
    before = np.uint64(0)
    features = np.uint64(0)
    for i in range(n):
        word = hashes[i]
        _vote(planes, mix(word))
        _vote(planes, mix(before * STEP + word))
        before = word
        features += np.uint64(2)
    half = features >> np.uint64(1)
    above = np.uint64(0)  # bits whose counter is above half of the features, compared plane by plane from the top
    equal = ~np.uint64(0)
    for step in range(16):
        k = 15 - step
        if (half >> np.uint64(k)) & np.uint64(1):
            equal &= planes[k]
        else:
            above |= equal & planes[k]
            equal &= ~planes[k]
    return above


@compiled_with_arrays
def skeleton(hashes, kinds, n, opening, closing):
    """Give the template, head and tail hashes of the masked text; 0 for what is too short to mean anything.

    The template is that of the first ``opening`` tokens, the opening paragraph, if it is long enough to be an
    instruction: what follows it is then what the instruction is applied to. Otherwise it is that of the whole text. The
    tail likewise is that of all tokens from ``closing`` on, the last paragraph, if that is long enough.
    """
    masked = np.empty(n, np.uint64)
    units = np.empty(n, np.int8)
    total = 0
    m = 0
    end = 0
    close = 0
    before = 0
    for i in range(n):
        if i == opening and total >= OPENING_MIN_UNITS:
            end = m
        if i == closing:
            close = m
            before = total
        kind = kinds[i]
        mask = CODE if kind & CODE else QUOTED if kind & QUOTED else kind
        if mask > SINGLE:
            if m and units[m - 1] == 0 and masked[m - 1] == MASKS[mask]:
                continue
            masked[m] = MASKS[mask]
            units[m] = 0
        else:
            masked[m] = hashes[i]
            units[m] = 2 - mask
            total += 2 - mask
        m += 1
    if end == 0:
        end = m
    template = np.uint64(0)
    head = np.uint64(0)
    tail = np.uint64(0)
    if total >= TEMPLATE_MIN_UNITS:
        template = SEED
        for i in range(end):
            template = (template ^ masked[i]) * STEP
            template ^= template >> np.uint64(29)
        template = mix(template)
    if 2 * total >= 3 * HEAD_UNITS:
        seen = 0
        i = 0
        head = SEED
        while seen < HEAD_UNITS:
            head = mix(head * STEP + masked[i])
            seen += units[i]
            i += 1
    if closing > 0 and total - before >= CLOSING_MIN_UNITS:
        tail = ~SEED
        for i in range(close, m):
            tail = mix(tail * STEP + masked[i])
    elif 2 * total >= 3 * TAIL_UNITS:
        seen = 0
        i = m - 1
        tail = ~SEED
        while seen < TAIL_UNITS:
            tail = mix(tail * STEP + masked[i])
            seen += units[i]
            i -= 1
    return template, head, tail
