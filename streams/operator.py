"""The one seam between the pure stages and their hosts.

A host (the Faust worker, ``replay``, a benchmark, a test) feeds an operator with batches of one input partition and
carries its records away. An operator knows no Kafka, no Faust, no wall clock and no randomness but seeded state.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

# Roles of topics; `runtime` maps a role to the configured topic name.
REQUESTS = "requests"
SIGHTINGS = "sightings"
EVIDENCE = "evidence"
ALERTS = "alerts"
DEAD_LETTERS = "dead_letters"

MARKER_KEY = b"\x00marker"  # sorts before every other key; written last, so that its presence proves the rest


class Record(NamedTuple):
    """One output record, addressed by role; ``partition`` None leaves the choice to the key (murmur2)."""

    role: str
    partition: int | None
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Batch(NamedTuple):
    """Consecutive records of one input partition, as raw bytes; the three sequences have one length."""

    partition: int
    offsets: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]


class Checkpoint(NamedTuple):
    """One consistent cut of an operator's state.

    ``snapshots`` are (key, sealed value) records for the state topic, value None being a tombstone. ``marker`` is the
    sealed value of the record `MARKER_KEY`, written last. ``offset`` is the next input offset to read after a restore.
    """

    snapshots: list[tuple[bytes, bytes | None]]
    marker: bytes
    offset: int
    more: bool = False  # dirty keys remain: take the next checkpoint soon


class Operator(Protocol):
    """A stage over one input partition: accounts and tokens have one per partition, campaigns has one in all."""

    stage: str
    partition: int
    # cumulative counts since this object was made, such as ("events", "accepted") or ("dead_letters", "broken_json")
    counters: dict[tuple[str, ...], int]

    @property
    def finished(self) -> bool:
        """Every source has declared the end of its input and everything up to it is acted on."""

    def on_batch(self, batch: Batch) -> list[Record]:
        """Take in a batch and return what follows from it, in order. Never raises for bad data."""

    def on_idle(self) -> list[Record]:
        """The owner of the partition saw no record for a while (accounts only): let the stages below go on."""

    def on_end(self) -> list[Record]:
        """The input ends here (accounts only): close the tick that holds the largest event time."""

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Capture what changed since the last checkpoint; None if nothing did.

        Synchronous and fast; the operator takes it as durable at once (a host that fails to write it must end).
        """

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load the state topic's records (last value of each key) into a new operator.

        Returns the next input offset to read, None if there is no marker (a new partition).
        Raises `StateError` for corrupt, truncated or newer state.
        """

    def gauges(self) -> dict[tuple[str, ...], float]:
        """Present values for the health page, such as ("held", "accounts") or ("watermark_ms",)."""
