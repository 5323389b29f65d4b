"""An append-only log of packed rows as state records: cheap to checkpoint, exact to restore."""

from typing import Any

import numpy as np

from streams.errors import StateError
from streams.rows import joined

SEGMENT_BYTES = 512_000  # half of Kafka's default limit for a record

Rows = np.ndarray[Any, np.dtype[Any]]


class SegmentLog:
    """Rows of one dtype (with a field ``time``, ms) in numbered state records under a key prefix.

    Full records are never written again; the newest is rewritten at each checkpoint until it is full or closed. What a
    row means, and which of two rows for one thing counts, is the owner's affair.
    """

    def __init__(self, prefix: bytes, dtype: Any) -> None:
        self.rows = 0  # in all live records
        self._prefix = prefix
        self._dtype = np.dtype(dtype)
        self._limit = SEGMENT_BYTES // self._dtype.itemsize
        self._new: list[Rows] = []
        self._open = np.empty(0, self._dtype)
        self._full: dict[int, tuple[int, int]] = {}  # number -> largest time, rows
        self._next = 0

    def append(self, rows: Rows) -> None:
        """Add rows; they are part of the next checkpoint."""
        self._new.append(rows)
        self.rows += rows.size

    def checkpoint(self, oldest_ms: int) -> list[tuple[bytes, bytes | None]]:
        """Unsealed records that changed since the last call; full ones that end before ``oldest_ms`` are deleted."""
        out: list[tuple[bytes, bytes | None]] = []
        out += self._delete([n for n, (last, _) in self._full.items() if last < oldest_ms])
        if not self._new:
            return out
        rows = joined([self._open, *self._new])
        self._new.clear()
        whole = rows.size - rows.size % self._limit
        for start in range(0, rows.size, self._limit):
            part = rows[start : start + self._limit]
            out.append((self._key(self._next), part.tobytes()))
            if start < whole:
                self._full[self._next] = int(part["time"].max()), part.size
                self._next += 1
        self._open = rows[whole:]
        return out

    def close(self) -> int:
        """Close the newest record, full or not, and return the number of the first one that is to come."""
        if self._open.size:
            self._full[self._next] = int(self._open["time"].max()), self._open.size
            self._next += 1
            self._open = np.empty(0, self._dtype)
        return self._next

    def drop(self, before: int) -> list[tuple[bytes, bytes | None]]:
        """Delete the closed and full records below a number, for whose rows there are later ones; their tombstones."""
        return self._delete([number for number in self._full if number < before])

    def _delete(self, numbers: list[int]) -> list[tuple[bytes, bytes | None]]:
        self.rows -= sum(self._full.pop(number)[1] for number in numbers)
        return [(self._key(number), None) for number in numbers]

    def restore(self, segments: dict[bytes, bytes]) -> Rows:
        """Take over state records by key and return all their rows in the order they were appended."""
        parts = [np.empty(0, self._dtype)]
        try:
            numbered = sorted((int(key[len(self._prefix) :]), value) for key, value in segments.items())
            for i, (number, value) in enumerate(numbered, 1):
                rows = np.frombuffer(value, self._dtype)
                self.rows += rows.size
                parts.append(rows)
                if rows.size >= self._limit or (rows.size and i < len(numbered)):
                    self._full[number] = int(rows["time"].max()), rows.size
                    self._next, self._open = number + 1, parts[0]
                else:
                    self._next, self._open = number, rows
        except ValueError as error:
            raise StateError(f"a segment under {self._prefix!r} is malformed: {error}") from None
        return joined(parts)

    def _key(self, number: int) -> bytes:
        return self._prefix + b"%012d" % number
