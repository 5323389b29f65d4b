"""Hashes that every process, version and language computes alike (never Python's ``hash``)."""

import xxhash

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF

hash64 = xxhash.xxh3_64_intdigest
hash32 = xxhash.xxh32_intdigest


def murmur2(data: bytes) -> int:
    """Kafka's default partitioner hash (32-bit MurmurHash2, seed 0x9747b28c), as an unsigned integer."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: str, partitions: int) -> int:
    """Partition that Kafka's default partitioner (and librdkafka's murmur2_random) gives to ``key``.

    >>> partition_of("account-0", 4)
    3
    """
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
