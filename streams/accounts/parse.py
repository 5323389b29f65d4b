"""Compiled reading of one plain record: from JSON bytes to the columns of its fields."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
# Types are inferred by numba.

import numpy as np

from streams.accounts.fields import ANYTHING, FLAG, HEX, INTEGER, NEVER, OBJECT, REAL, REQUIRED, STRING, TEXT, find
from streams.compiled import compiled
from streams.contracts.xxh3 import load32, load64, trailing_zeros

_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES = _ONES * np.uint64(34), _ONES * np.uint64(92)
_SPACES = _ONES * np.uint64(32)
_DIGITS_MAX = 18  # of a number, so that it fits into 63 bits
_EXACT = 10**15  # such integers and powers of ten are doubles, so that their quotient is rounded but once
_POWERS = np.array([10.0**i for i in range(_DIGITS_MAX + 1)])


@compiled
def _special(word, tops):
    """Mark the quotes, backslashes and controls among 8 bytes, and the ``tops``; exact up to the first mark."""
    quote, slash = word ^ _QUOTES, word ^ _BACKSLASHES
    found = ((quote - _ONES) & ~quote) | ((slash - _ONES) & ~slash) | ((word - _SPACES) & ~word)
    return (found & _TOPS) | (word & tops)


@compiled
def _string_end(data, i):
    """Give the place of the quote that ends a plain string, -1 for a string that is not plain."""
    i = np.int64(i)
    found = _special(load64(data, i), _TOPS)
    while found == 0:
        i += 8
        found = _special(load64(data, i), _TOPS)
    i += trailing_zeros(found) >> 3
    return i if data[i] == 34 else np.int64(-1)


@compiled
def _text_end(data, i):
    """Give the place of the quote that ends a string of any kind, -1 for none; escapes are not looked at."""
    i = np.int64(i)
    while True:
        found = _special(load64(data, i), np.uint64(0))
        if found == 0:
            i += 8
            continue
        i += trailing_zeros(found) >> 3
        if data[i] == 34:
            return i
        if data[i] != 92 or data[i + 1] < 32:
            return np.int64(-1)
        i += 2


@compiled
def _blank(c):
    return c == 32 or c == 10 or c == 13 or c == 9


@compiled
def _number(data, i):
    """Read a number without exponent; give its end (-1: not plain), digits as an integer, and how many are decimals."""
    negative = data[i] == 45
    if negative:
        i += 1
    start = i
    value = np.int64(0)
    while 48 <= data[i] <= 57:
        value = value * 10 + (np.int64(data[i]) - 48)
        i += 1
        if i - start > _DIGITS_MAX:
            return -1, value, 0
    digits = i - start
    if digits == 0 or (data[start] == 48 and (digits > 1 or negative)):
        return -1, value, 0
    decimals = 0
    if data[i] == 46:
        i += 1
        start = i
        while 48 <= data[i] <= 57:
            value = value * 10 + (np.int64(data[i]) - 48)
            i += 1
            if i - start + digits > _DIGITS_MAX:
                return -1, value, 0
        decimals = i - start
        if decimals == 0:
            return -1, value, 0
    return i, -value if negative else value, decimals


@compiled
def _real(value, decimals):
    """Give digits with so many decimals as a double; NaN if rounding might matter to a quarter."""
    real = value / _POWERS[decimals]
    if abs(value) > _EXACT and abs(4.0 * real - np.floor(4.0 * real + 0.5)) < 1e-9:
        return np.nan
    return real


@compiled
def _hex64(data, i):
    """Give 16 hexadecimal digits as an integer, and whether that is what they are."""
    value = np.uint64(0)
    for k in range(16):
        c = data[i + k]
        if 48 <= c <= 57:
            digit = c - 48
        elif 97 <= c <= 102:
            digit = c - 87
        else:
            return value, False
        value = (value << np.uint64(4)) | np.uint64(digit)
    return value, True


@compiled
def parse(schema, data, i, end, at, size, number, real):
    """Read one record into the columns of its fields; give the set of those that are there, 0 if it is not plain.

    ``at`` and ``size`` are of strings (size -1: unknown), ``number`` of integers, flags and SimHashes.
    """
    slots, keys, scopes, opens, kinds, nullable, low, high, _ = schema
    seen = np.uint64(0)
    there = np.uint64(0)
    while i < end and _blank(data[i]):
        i += 1
    if data[i] != 123:
        return np.uint64(0)
    i += 1
    scope = 0
    comma, close = False, True  # what may come: a comma, the end of the object, else a key
    while True:
        while _blank(data[i]):
            i += 1
        c = data[i]
        if c == 125 and close:
            i += 1
            if scope == 0:
                break
            scope = 0
            comma, close = True, True
            continue
        if comma:
            if c != 44:
                return np.uint64(0)
            i += 1
            comma, close = False, False
            continue
        if c != 34:
            return np.uint64(0)
        stop = _string_end(data, i + 1)
        if stop < 0:
            return np.uint64(0)
        field = find(slots, keys, data, i + 1, stop - i - 1)
        i = stop + 1
        while _blank(data[i]):
            i += 1
        if data[i] != 58:
            return np.uint64(0)
        i += 1
        while _blank(data[i]):
            i += 1
        c = data[i]
        kind = ANYTHING
        bit = np.uint64(0)
        if field >= 0 and scopes[field] == scope:
            kind = kinds[field]
            bit = np.uint64(1) << np.uint64(field)
            if seen & bit or kind == NEVER:
                return np.uint64(0)
            seen |= bit
        if c == 34:
            if kind == TEXT:
                stop = _text_end(data, i + 1)
            elif kind in (STRING, HEX, ANYTHING):
                stop = _string_end(data, i + 1)
            else:
                return np.uint64(0)
            if stop < 0:
                return np.uint64(0)
            n = stop - i - 1
            if kind in (STRING, HEX):
                if not low[field] <= n <= high[field]:
                    return np.uint64(0)
                if kind == HEX:
                    value, valid = _hex64(data, i + 1)
                    if not valid:
                        return np.uint64(0)
                    number[field] = np.int64(value)
            if kind != ANYTHING:
                at[field], size[field] = i + 1, n
                there |= bit
            i = stop + 1
        elif c == 45 or 48 <= c <= 57:
            if kind != INTEGER and kind != REAL and kind != ANYTHING:
                return np.uint64(0)
            i, digits, decimals = _number(data, i)
            if i < 0:
                return np.uint64(0)
            if kind == INTEGER:
                if decimals or not low[field] <= digits <= high[field]:
                    return np.uint64(0)
                number[field] = digits
            elif kind == REAL:
                found = _real(digits, decimals)
                if not low[field] <= found <= high[field]:  # nor is NaN
                    return np.uint64(0)
                real[field] = found
            there |= bit
        elif c == 123:
            if kind != OBJECT:
                return np.uint64(0)
            i += 1
            scope = opens[field]
            comma, close = False, True
            continue
        else:
            word = load32(data, i)
            if word == 0x6C6C756E:  # null
                if kind != ANYTHING and not nullable[field]:
                    return np.uint64(0)
                i += 4
            elif word == 0x65757274 or (word == 0x736C6166 and data[i + 4] == 101):  # true, false
                if kind != FLAG and kind != ANYTHING:
                    return np.uint64(0)
                if kind == FLAG:
                    number[field] = word == 0x65757274
                there |= bit
                i += 4 if word == 0x65757274 else 5
            else:
                return np.uint64(0)
        comma, close = True, True
    while i < end and _blank(data[i]):
        i += 1
    return there if i == end and there & REQUIRED == REQUIRED else np.uint64(0)
