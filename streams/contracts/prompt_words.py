"""Compiled: the words of a prompt as hashes, each with its kind. Time is linear in the bytes for every input."""

# mypy: disable-error-code="no-untyped-def"
# Types are inferred by numba.

import numpy as np

from streams.compiled import compiled, compiled_with_arrays
from streams.contracts.prompt_chars import (
    ASKS,
    BLOCKS,
    BYTES,
    CLOSING,
    CODE_MARKS,
    OPENING,
    class_of,
    closing,
    closing_mark,
    count_script,
    fold_case,
    letter_at,
)

SPAN_MAX_BYTES = 1024  # a quoted span that is longer is text with stray quotes

# kinds of tokens
WORD = 0
SINGLE = 1  # one character of a script written without spaces
NUMBER = 2
URL = 3
EMAIL = 4
QUOTED = 8  # flag: inside a quoted span
CODE = 16  # flag: inside a code block

_FNV = np.uint64(0x100000001B3)
SEED = np.uint64(0xCBF29CE484222325)
_TAG = np.uint64(0x9AE16A3B2F90404F)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
STEP = np.uint64(0x9E3779B97F4A7C15)
_END = np.uint64(0x2545F4914F6CDD1D)
MASKS = np.zeros(17, np.uint64)
MASKS[[NUMBER, URL, EMAIL, QUOTED, CODE]] = STEP * np.arange(1, 6, dtype=np.uint64)


@compiled
def mix(h):
    """Finish a hash (the finalizer of splitmix64)."""
    h = (h ^ (h >> np.uint64(30))) * _MIX_1
    h = (h ^ (h >> np.uint64(27))) * _MIX_2
    return h ^ (h >> np.uint64(31))


@compiled_with_arrays
def tokenize(data, n, hashes, kinds, counts):
    """Cut data[:n] into words; fill ``hashes`` and ``kinds`` and add to ``counts``; give the number of tokens.

    One more entry than that is filled: the mark of the end.

    A word is a run of letters, case folded, without apostrophes; a word with a digit is a number. A name in angle
    brackets has a hash of its own. Characters of scripts without spaces are tokens one by one.
    """
    counts[BYTES] = n
    count = 0
    h = SEED
    length = 0
    digit = False
    tag = False
    flag = 0
    span_end = 0
    joined = 0  # words just before that dots, hyphens and the like join to the present one: part of a mail address
    next_blank = -1
    searched = np.zeros(10, np.int64)  # by slot: no closing mark lies before here, so that no byte is searched twice
    i = 0
    while i <= n:
        b = np.int64(data[i]) if i < n else np.int64(32)
        if b == 10:
            blank = i + 1
            while blank < n and (data[blank] == 32 or data[blank] == 9 or data[blank] == 13):
                blank += 1
            if blank < n and data[blank] == 10:
                counts[CLOSING] = count + (1 if length > 0 else 0)
                if counts[OPENING] == 0:
                    counts[OPENING] = counts[CLOSING]
        size = 1
        cp = b
        if b >= 0xF0 and i + 3 < n:
            cp = ((b & 7) << 18) | ((data[i + 1] & 63) << 12) | ((data[i + 2] & 63) << 6) | (data[i + 3] & 63)
            size = 4
        elif b >= 0xE0 and i + 2 < n:
            cp = ((b & 15) << 12) | ((data[i + 1] & 63) << 6) | (data[i + 2] & 63)
            size = 3
        elif b >= 0xC0 and i + 1 < n:
            cp = ((b & 31) << 6) | (data[i + 1] & 63)
            size = 2
        if cp >= 0x80 or 65 <= cp <= 90:
            cp = fold_case(cp)
        kind = class_of(cp)
        if kind == 4:
            i += size
            continue
        if kind == 1 or kind == 2:
            if length == 0:
                h = SEED ^ _TAG if tag else SEED
            h = (h ^ np.uint64(cp)) * _FNV
            length += 1
            if kind == 2:
                digit = True
            else:
                count_script(cp, counts)
            i += size
            continue
        following = data[i + size] if i + size < n else np.uint8(32)
        if length > 0:
            if (cp == 39 or cp == 0x2019) and letter_at(data, i + size, n):
                i += size
                continue
            if digit and (cp == 44 or cp == 46) and 48 <= following <= 57:
                i += size
                continue
            hashes[count] = MASKS[NUMBER] if digit else mix(h)
            kinds[count] = flag | (NUMBER if digit else WORD)
            length = 0
            digit = False
            skip_to = 0
            if cp == 58 and following == 47 and i + 2 < n and data[i + 2] == 47:
                kinds[count] = flag | URL
                skip_to = i + 3
                while skip_to < n and data[skip_to] > 32 and data[skip_to] != 34 and data[skip_to] != 62:
                    skip_to += 1
            elif cp == 64 and letter_at(data, i + 1, n):
                count -= joined
                kinds[count] = flag | EMAIL
                skip_to = i + 1
                while letter_at(data, skip_to, n) or (
                    skip_to < n and (data[skip_to] == 46 or data[skip_to] == 45) and letter_at(data, skip_to + 1, n)
                ):
                    skip_to += 1
            count += 1
            joined = joined + 1 if (cp == 46 or cp == 45 or cp == 95 or cp == 43) and letter_at(data, i + 1, n) else 0
            if skip_to:
                hashes[count - 1] = MASKS[kinds[count - 1] & 7]
                i = skip_to
                tag = False
                continue
        tag = cp == 60 or (tag and cp == 47)
        if kind == 3:
            hashes[count] = mix((SEED ^ np.uint64(cp)) * _FNV)
            kinds[count] = flag | SINGLE
            count += 1
            joined = 0
            count_script(cp, counts)
            i += size
            continue
        if cp == 63 or cp == 0x61F:
            counts[ASKS] += 1
        elif cp == 123 or cp == 125 or cp == 59 or cp == 61 or cp == 91 or cp == 93 or cp == 92 or cp == 95 or cp == 60:
            counts[CODE_MARKS] += 1
        if flag and i >= span_end:
            flag = 0
            fence = span_end + 2 < n and data[span_end] == 96 and data[span_end + 2] == 96
            i = max(i + size, span_end + (3 if fence else 1))
            continue
        if flag == 0 and i < n:
            slot, mark = closing_mark(cp)
            if slot == 2 and i + 2 < n and following == 96 and data[i + 2] == 96:
                counts[BLOCKS] += 1
                flag = CODE
                span_end = i + 3
                while span_end < n and not (
                    data[span_end] == 96 and span_end + 2 < n and data[span_end + 1] == 96 and data[span_end + 2] == 96
                ):
                    span_end += 1
                size = 3
            elif slot >= 0 and following > 32:
                if next_blank < i:  # a quoted span ends with its paragraph: a stray mark must not swallow what follows
                    next_blank = i
                    while next_blank < n and not (
                        data[next_blank] == 10 and next_blank + 1 < n and data[next_blank + 1] == 10
                    ):
                        next_blank += 1
                end = min(next_blank, i + size + SPAN_MAX_BYTES)
                start = max(i + size, searched[slot])
                found = closing(data, start, end, mark, n) if start < end else -1
                if found >= 0:
                    flag = QUOTED
                    span_end = found
                else:
                    searched[slot] = end
        i += size
    hashes[count] = _END
    kinds[count] = WORD
    return count
