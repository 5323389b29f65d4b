"""Whether two hosts of stage accounts gave the same: a digest of its sightings and signals, however they are packed."""

from typing import Any

import msgspec
import xxhash

from streams.config import Settings
from streams.contracts.packets import decode_evidence, decode_sightings
from streams.operator import EVIDENCE, SIGHTINGS
from streams.runtime.topics import topic_name


class Digest(msgspec.Struct):
    """Counts, and a sum of hashes that does not depend on how items are cut into packets. Cannot see their order."""

    sightings: int = 0
    signals: int = 0
    total: int = 0

    def add(self, role: str, value: bytes) -> None:
        """Add one output record; other roles than sightings and evidence are left out."""
        if role == SIGHTINGS:
            items: Any = decode_sightings(value)[1]
            self.sightings += items.size
        elif role == EVIDENCE:
            items = decode_evidence(value)[1]
            self.signals += items.size
        else:
            return
        data, size = items.tobytes(), items.dtype.itemsize
        found = sum(xxhash.xxh3_64_intdigest(data[at : at + size]) for at in range(0, len(data), size))
        self.total = (self.total + found) % 2**64


def digest_of_topics(settings: Settings) -> Digest:
    """Digest what the topics of sightings and evidence hold."""
    from streams.bench.topics import read_all

    found = Digest()
    for role in (SIGHTINGS, EVIDENCE):
        for message in read_all(settings, topic_name(settings, role)):
            found.add(role, message.value())
    return found


def void(found: Digest, expected: Digest) -> str:
    """Say why a row does not count; nothing if it does."""
    if found == expected:
        return ""
    if (found.signals, found.sightings) == (expected.signals, expected.sightings):
        return "its sightings and signals are as many, but others"
    return (
        f"{found.signals:,} signals and {found.sightings:,} sightings instead of "
        f"{expected.signals:,} and {expected.sightings:,}"
    )
