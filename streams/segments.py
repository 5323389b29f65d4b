"""An append-only log of packed rows as state records: cheap to checkpoint, exact to restore."""

from typing import Any

import numpy as np

from streams.errors import StateError
from streams.rows import joined

SEGMENT_BYTES = 512_000  # half of Kafka's default limit for a record

Rows = np.ndarray[Any, np.dtype[Any]]


class SegmentLog:
    """Rows of one dtype (with a field ``time``, ms) in numbered state records under a key prefix.

    Full records are never written again; the newest is rewritten at each checkpoint until it is full. What a row means,
    and which of two rows for one thing counts, is the owner's affair.
    """

    def __init__(self, prefix: bytes, dtype: Any) -> None:
        self.rows = 0  # in all live records
        self._prefix = prefix
        self._dtype = np.dtype(dtype)
        self._limit = SEGMENT_BYTES // self._dtype.itemsize
        self._new: list[Rows] = []
        self._open = np.empty(0, self._dtype)
        self._full: dict[int, int] = {}  # number -> largest time
        self._next = 0

    def append(self, rows: Rows) -> None:
        """Add rows; they are part of the next checkpoint."""
        self._new.append(rows)
        self.rows += rows.size

    def checkpoint(self, oldest_ms: int) -> list[tuple[bytes, bytes | None]]:
        """Unsealed records that changed since the last call; full ones that end before ``oldest_ms`` are deleted."""
        out: list[tuple[bytes, bytes | None]] = []
        for number in [n for n, last in self._full.items() if last < oldest_ms]:
            del self._full[number]
            self.rows -= self._limit
            out.append((self._key(number), None))
        if not self._new:
            return out
        rows = joined([self._open, *self._new])
        self._new.clear()
        whole = rows.size - rows.size % self._limit
        for start in range(0, rows.size, self._limit):
            part = rows[start : start + self._limit]
            out.append((self._key(self._next), part.tobytes()))
            if start < whole:
                self._full[self._next] = int(part["time"].max())
                self._next += 1
        self._open = rows[whole:]
        return out

    def rewrite(self, rows: Rows) -> list[tuple[bytes, bytes | None]]:
        """Replace the whole log by ``rows``: unsealed records and tombstones."""
        old = [*self._full, self._next]
        self._full, self._open, self._new = {}, np.empty(0, self._dtype), [rows]
        self._next += 1
        self.rows = rows.size
        return [(self._key(number), None) for number in old] + self.checkpoint(-(2**62))

    def restore(self, segments: dict[bytes, bytes]) -> Rows:
        """Take over state records by key and return all their rows in the order they were appended."""
        parts = [np.empty(0, self._dtype)]
        try:
            numbered = sorted((int(key[len(self._prefix) :]), value) for key, value in segments.items())
            for number, value in numbered:
                rows = np.frombuffer(value, self._dtype)
                self.rows += rows.size
                parts.append(rows)
                if rows.size >= self._limit:
                    self._full[number] = int(rows["time"].max())
                    self._next, self._open = number + 1, parts[0]
                else:
                    self._next, self._open = number, rows
        except ValueError as error:
            raise StateError(f"a segment under {self._prefix!r} is malformed: {error}") from None
        return joined(parts)

    def _key(self, number: int) -> bytes:
        return self._prefix + b"%012d" % number
