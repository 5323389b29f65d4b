"""Hashes that others compute, too."""

from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as kafkas
from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.hashing import murmur2, partition_of


@given(st.binary(max_size=70))
def test_murmur2_is_kafkas(data):
    """The hash is that of Kafka's default partitioner for any key."""
    assert kafkas(data) & 0xFFFFFFFF == murmur2(data)


@given(st.text(min_size=1, max_size=40), st.integers(1, 500))
def test_partition_is_kafkas(key, partitions):
    """An account falls on the partition that a producer gives it."""
    try:
        data = key.encode()
    except UnicodeEncodeError:
        return
    choices = list(range(partitions))
    assert DefaultPartitioner()(data, choices, choices) == partition_of(key, partitions)
