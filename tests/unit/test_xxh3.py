"""The compiled hashes are those of the library `xxhash`, and of a plain producer."""

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts import hashing
from streams.contracts.xxh3 import LENGTH_MAX, PADDING, murmur2, xxh3, xxh32


@pytest.mark.parametrize("length", range(LENGTH_MAX + 1))
def test_every_length(length: int) -> None:
    """Each length has its own way through the function."""
    text = bytes((37 * i + length) % 251 for i in range(length))
    data = np.frombuffer(text + PADDING, np.uint8)
    for seed in (0, 1, 68):
        assert xxhash.xxh3_64_intdigest(text, seed) == xxh3(data, 0, length, np.uint64(seed))
    assert xxhash.xxh32_intdigest(text) == xxh32(data, 0, length)
    assert hashing.murmur2(text) == murmur2(data, 0, length)


@given(st.binary(max_size=20), st.binary(max_size=LENGTH_MAX), st.binary(max_size=20), st.integers(0, 2**64 - 1))
def test_within_other_bytes(before: bytes, text: bytes, after: bytes, seed: int) -> None:
    """What stands before and behind a string has no say, nor does its place."""
    data = np.frombuffer(before + text + after + PADDING, np.uint8)
    assert xxhash.xxh3_64_intdigest(text, seed) == xxh3(data, len(before), len(text), np.uint64(seed))
    assert xxhash.xxh32_intdigest(text) == xxh32(data, len(before), len(text))
    assert hashing.murmur2(text) == murmur2(data, len(before), len(text))
