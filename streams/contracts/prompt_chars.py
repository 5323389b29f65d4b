"""Compiled: what the characters of a prompt are, and where a quoted span ends, in UTF-8 bytes."""

# mypy: disable-error-code="no-untyped-def"
# Types are inferred by numba.

from streams.compiled import compiled

# what the tokenizer counts, by index
BYTES, CODE_MARKS, BLOCKS, ASKS, NOT_ASCII, LATIN = range(6)
HAN, KANA, HANGUL, CYRILLIC, ARABIC, HEBREW, INDIC, THAI, GREEK = range(6, 15)  # as LANGUAGES of fingerprint.py
OPENING = 15  # tokens before the first blank line, 0 if there is none
CLOSING = OPENING + 1  # tokens before the last blank line, 0 if there is none
N_COUNTS = CLOSING + 1


@compiled
def fold_case(cp):
    """Lower the code points of Latin, Greek and Cyrillic; full-width forms become ASCII."""
    if 0xFF01 <= cp <= 0xFF5E:
        cp -= 0xFEE0
    if 65 <= cp <= 90 or (0xC0 <= cp <= 0xDE and cp != 0xD7) or 0x391 <= cp <= 0x3A9 or 0x410 <= cp <= 0x42F:
        return cp + 32
    if 0x400 <= cp <= 0x40F:
        return cp + 80
    if 0x100 <= cp <= 0x137 or 0x14A <= cp <= 0x177:
        return cp | 1
    if 0x139 <= cp <= 0x148 or 0x179 <= cp <= 0x17E:
        return cp + (cp & 1)
    return cp


@compiled
def class_of(cp):
    """Give 0 for a separator, 1 for a letter, 2 for a digit, 3 for a letter that is a token, 4 for nothing at all."""
    if cp < 0x80:
        if 97 <= cp <= 122 or 65 <= cp <= 90:
            return 1
        return 2 if 48 <= cp <= 57 else 0
    if cp < 0x2000:
        if cp == 0xAD:
            return 4
        if cp < 0xC0:
            return 1 if cp in (0xAA, 0xB5, 0xBA) else 0
        if cp in (0xD7, 0xF7, 0x60C, 0x61B, 0x61F, 0x6D4, 0x964, 0x965) or 0x66A <= cp <= 0x66D:
            return 0
        if 0x660 <= cp <= 0x669 or 0x6F0 <= cp <= 0x6F9 or 0x966 <= cp <= 0x96F:
            return 2
        return 3 if 0xE00 <= cp <= 0xEFF or 0x1000 <= cp <= 0x109F or 0x1780 <= cp <= 0x17FF else 1
    if 0x200B <= cp <= 0x200F or 0x2060 <= cp <= 0x2064 or cp == 0xFEFF or 0xFE00 <= cp <= 0xFE0F:
        return 4
    if cp < 0x2C00 or 0x2E00 <= cp <= 0x2E7F or 0x3000 <= cp <= 0x3004 or 0x3008 <= cp <= 0x3020 or cp == 0x30FB:
        return 0
    if 0x3005 <= cp <= 0x9FFF or 0xAC00 <= cp <= 0xD7A3 or 0xF900 <= cp <= 0xFAFF or 0x20000 <= cp <= 0x3FFFF:
        return 3
    if 0xFF66 <= cp <= 0xFF9D:
        return 3
    if 0xFE10 <= cp <= 0xFE6F or 0xFFE0 <= cp <= 0xFFFF or 0x1F000 <= cp <= 0x1FAFF or 0xD800 <= cp <= 0xF8FF:
        return 0
    return 1


@compiled
def count_script(cp, counts):
    if cp < 0x250:
        counts[LATIN] += 1
        counts[NOT_ASCII] += cp >= 0x80
    elif 0x4E00 <= cp <= 0x9FFF or 0x3400 <= cp <= 0x4DBF:
        counts[HAN] += 1
    elif 0x3041 <= cp <= 0x30FF:
        counts[KANA] += 1
    elif 0xAC00 <= cp <= 0xD7A3:
        counts[HANGUL] += 1
    elif 0x400 <= cp <= 0x52F:
        counts[CYRILLIC] += 1
    elif 0x600 <= cp <= 0x77F:
        counts[ARABIC] += 1
    elif 0x590 <= cp <= 0x5FF:
        counts[HEBREW] += 1
    elif 0x900 <= cp <= 0xDFF:
        counts[INDIC] += 1
    elif 0xE00 <= cp <= 0xE7F:
        counts[THAI] += 1
    elif 0x370 <= cp <= 0x3FF:
        counts[GREEK] += 1


@compiled
def letter_at(data, i, n):
    """Tell whether a letter or digit starts at ``i`` (every byte from 0x80 on passes for one)."""
    if i >= n:
        return False
    b = data[i]
    return b >= 0x80 or 97 <= b <= 122 or 65 <= b <= 90 or 48 <= b <= 57


@compiled
def closing(data, start, end, mark, n):
    """Find the closing mark of a quoted span in [start, end); -1 if there is none.

    A mark is a code point; a single quote only closes where no letter follows, or it would be an apostrophe.
    """
    for j in range(start, end):
        if mark < 0x80:
            if data[j] == mark and (mark != 39 or not letter_at(data, j + 1, n)):
                return j
        elif mark < 0x800:
            if data[j] == (0xC0 | (mark >> 6)) and j + 1 < n and data[j + 1] == (0x80 | (mark & 63)):
                return j
        elif (
            data[j] == (0xE0 | (mark >> 12))
            and j + 2 < n
            and data[j + 1] == (0x80 | ((mark >> 6) & 63))
            and data[j + 2] == (0x80 | (mark & 63))
            and (mark != 0x2019 or not letter_at(data, j + 3, n))
        ):
            return j
    return -1


@compiled
def closing_mark(cp):
    """Give the slot and the closing mark of an opening one; slot -1 for what opens nothing."""
    if cp == 34:
        return 0, 34
    if cp == 39:
        return 1, 39
    if cp == 96:
        return 2, 96
    if cp == 0x201C:
        return 3, 0x201D
    if cp == 0x2018:
        return 4, 0x2019
    if cp == 0xAB:
        return 5, 0xBB
    if cp == 0x300C:
        return 6, 0x300D
    if cp == 0x300A:
        return 7, 0x300B
    if cp == 0x300E:
        return 8, 0x300F
    return -1, 0
