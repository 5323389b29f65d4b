"""Compiled core of the prompt fingerprint: words, skeleton, SimHash and lexicon sums, over UTF-8 bytes.

All compiled functions live in this one file: numba's cache notices a change of the file it belongs to, no other.
Everything is integer arithmetic, so each machine computes the same. Time is linear in the bytes for every input.
"""

# mypy: disable-error-code="no-untyped-def"
# Types are inferred by numba.

import numpy as np
from numba import njit

SPAN_MAX_BYTES = 1024  # a quoted span that is longer is text with stray quotes
PHRASE_MAX_WORDS = 12
HEAD_UNITS = 12  # a word is 2 units, a character of a script without spaces 1: six words or twelve characters
TAIL_UNITS = 10
TEMPLATE_MIN_UNITS = 6  # a skeleton of fewer is shared by everybody and means nothing
CLOSING_MIN_UNITS = 20  # 10 words
OPENING_MIN_UNITS = 24  # 12 words: a shorter opening is a greeting or a title

# kinds of tokens
WORD = 0
SINGLE = 1  # one character of a script written without spaces
NUMBER = 2
URL = 3
EMAIL = 4
QUOTED = 8  # flag: inside a quoted span
CODE = 16  # flag: inside a code block

# what the tokenizer counts, by index
BYTES, CODE_MARKS, BLOCKS, ASKS, NOT_ASCII, LATIN = range(6)
HAN, KANA, HANGUL, CYRILLIC, ARABIC, HEBREW, INDIC, THAI, GREEK = range(6, 15)  # as LANGUAGES of fingerprint.py
OPENING = 15  # tokens before the first blank line, 0 if there is none
CLOSING = OPENING + 1  # tokens before the last blank line, 0 if there is none
N_COUNTS = CLOSING + 1

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

_FNV = np.uint64(0x100000001B3)
_SEED = np.uint64(0xCBF29CE484222325)
_TAG = np.uint64(0x9AE16A3B2F90404F)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_END = np.uint64(0x2545F4914F6CDD1D)
_MASKS = np.zeros(17, np.uint64)
_MASKS[[NUMBER, URL, EMAIL, QUOTED, CODE]] = _STEP * np.arange(1, 6, dtype=np.uint64)


@njit(cache=True)
def _mix(h):
    """Finish a hash (the finalizer of splitmix64)."""
    h = (h ^ (h >> np.uint64(30))) * _MIX_1
    h = (h ^ (h >> np.uint64(27))) * _MIX_2
    return h ^ (h >> np.uint64(31))


@njit(cache=True)
def _fold_case(cp):
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


@njit(cache=True)
def _class_of(cp):
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


@njit(cache=True)
def _count_script(cp, counts):
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


@njit(cache=True)
def _letter_at(data, i, n):
    """Tell whether a letter or digit starts at ``i`` (every byte from 0x80 on passes for one)."""
    if i >= n:
        return False
    b = data[i]
    return b >= 0x80 or 97 <= b <= 122 or 65 <= b <= 90 or 48 <= b <= 57


@njit(cache=True)
def _closing(data, start, end, mark, n):
    """Find the closing mark of a quoted span in [start, end); -1 if there is none.

    A mark is a code point; a single quote only closes where no letter follows, or it would be an apostrophe.
    """
    for j in range(start, end):
        if mark < 0x80:
            if data[j] == mark and (mark != 39 or not _letter_at(data, j + 1, n)):
                return j
        elif mark < 0x800:
            if data[j] == (0xC0 | (mark >> 6)) and j + 1 < n and data[j + 1] == (0x80 | (mark & 63)):
                return j
        elif (
            data[j] == (0xE0 | (mark >> 12))
            and j + 2 < n
            and data[j + 1] == (0x80 | ((mark >> 6) & 63))
            and data[j + 2] == (0x80 | (mark & 63))
            and (mark != 0x2019 or not _letter_at(data, j + 3, n))
        ):
            return j
    return -1


@njit(cache=True)
def _closing_mark(cp):
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


@njit(cache=True)
def tokenize(data, n, hashes, kinds, counts):
    """Cut data[:n] into words; fill ``hashes`` and ``kinds`` and add to ``counts``; give the number of tokens.

    One more entry than that is filled: the mark of the end.

    A word is a run of letters, case folded, without apostrophes; a word with a digit is a number. A name in angle
    brackets has a hash of its own. Characters of scripts without spaces are tokens one by one.
    """
    counts[BYTES] = n
    count = 0
    h = _SEED
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
            cp = _fold_case(cp)
        kind = _class_of(cp)
        if kind == 4:
            i += size
            continue
        if kind == 1 or kind == 2:
            if length == 0:
                h = _SEED ^ _TAG if tag else _SEED
            h = (h ^ np.uint64(cp)) * _FNV
            length += 1
            if kind == 2:
                digit = True
            else:
                _count_script(cp, counts)
            i += size
            continue
        following = data[i + size] if i + size < n else np.uint8(32)
        if length > 0:
            if (cp == 39 or cp == 0x2019) and _letter_at(data, i + size, n):
                i += size
                continue
            if digit and (cp == 44 or cp == 46) and 48 <= following <= 57:
                i += size
                continue
            hashes[count] = _MASKS[NUMBER] if digit else _mix(h)
            kinds[count] = flag | (NUMBER if digit else WORD)
            length = 0
            digit = False
            skip_to = 0
            if cp == 58 and following == 47 and i + 2 < n and data[i + 2] == 47:
                kinds[count] = flag | URL
                skip_to = i + 3
                while skip_to < n and data[skip_to] > 32 and data[skip_to] != 34 and data[skip_to] != 62:
                    skip_to += 1
            elif cp == 64 and _letter_at(data, i + 1, n):
                count -= joined
                kinds[count] = flag | EMAIL
                skip_to = i + 1
                while _letter_at(data, skip_to, n) or (
                    skip_to < n and (data[skip_to] == 46 or data[skip_to] == 45) and _letter_at(data, skip_to + 1, n)
                ):
                    skip_to += 1
            count += 1
            joined = joined + 1 if (cp == 46 or cp == 45 or cp == 95 or cp == 43) and _letter_at(data, i + 1, n) else 0
            if skip_to:
                hashes[count - 1] = _MASKS[kinds[count - 1] & 7]
                i = skip_to
                tag = False
                continue
        tag = cp == 60 or (tag and cp == 47)
        if kind == 3:
            hashes[count] = _mix((_SEED ^ np.uint64(cp)) * _FNV)
            kinds[count] = flag | SINGLE
            count += 1
            joined = 0
            _count_script(cp, counts)
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
            slot, mark = _closing_mark(cp)
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
                found = _closing(data, start, end, mark, n) if start < end else -1
                if found >= 0:
                    flag = QUOTED
                    span_end = found
                else:
                    searched[slot] = end
        i += size
    hashes[count] = _END
    kinds[count] = WORD
    return count


@njit(cache=True)
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
        carry = _mix(word)
        k = 0
        while carry:
            held = planes[k]
            planes[k] = held ^ carry
            carry &= held
            k += 1
        carry = _mix(before * _STEP + word)
        k = 0
        while carry:
            held = planes[k]
            planes[k] = held ^ carry
            carry &= held
            k += 1
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


@njit(cache=True)
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
            if m and units[m - 1] == 0 and masked[m - 1] == _MASKS[mask]:
                continue
            masked[m] = _MASKS[mask]
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
        template = _SEED
        for i in range(end):
            template = (template ^ masked[i]) * _STEP
            template ^= template >> np.uint64(29)
        template = _mix(template)
    if 2 * total >= 3 * HEAD_UNITS:
        seen = 0
        i = 0
        head = _SEED
        while seen < HEAD_UNITS:
            head = _mix(head * _STEP + masked[i])
            seen += units[i]
            i += 1
    if closing > 0 and total - before >= CLOSING_MIN_UNITS:
        tail = ~_SEED
        for i in range(close, m):
            tail = _mix(tail * _STEP + masked[i])
    elif 2 * total >= 3 * TAIL_UNITS:
        seen = 0
        i = m - 1
        tail = ~_SEED
        while seen < TAIL_UNITS:
            tail = _mix(tail * _STEP + masked[i])
            seen += units[i]
            i -= 1
    return template, head, tail


@njit(cache=True)
def phrase_key(hashes, end, words):
    """Hash the ``words`` tokens that end before ``end``, last one first."""
    key = np.uint64(words)
    for k in range(words):
        key = key * _STEP + hashes[end - 1 - k]
    return _mix(key)


@njit(cache=True)
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


@njit(cache=True)
def _score(milli):
    if milli <= 0:
        return 0.0
    square = float(milli) * float(milli)
    return np.floor(square / (square + _HALF_SCORE) * 10_000.0 + 0.5) / 10_000.0


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def analyse(data, last_words, phrase_keys, phrases, n_phrases):
    """Fingerprint one text: (simhash, template, head, tail, elicitation, grading, topic index, language index)."""
    n = len(data)
    hashes = np.empty(n + 2, np.uint64)
    kinds = np.empty(n + 2, np.uint8)
    counts = np.zeros(N_COUNTS, np.int64)
    sums = np.zeros(2 + _N_TOPICS + _N_LANGUAGES, np.int64)
    words = tokenize(data, n, hashes, kinds, counts)
    lexicon_sums(hashes, kinds, words + 1, last_words, phrase_keys, phrases, n_phrases, sums)
    numbers = 0
    for i in range(words):
        numbers += (kinds[i] & 7) == NUMBER
    template, head, tail = skeleton(hashes, kinds, words, counts[OPENING], counts[CLOSING])
    topic = _topic(sums, counts, numbers)
    language = _language(sums, counts)
    return simhash(hashes, words), template, head, tail, _score(sums[0]), _score(sums[1]), topic, language
