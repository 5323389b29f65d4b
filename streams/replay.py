"""Run the whole pipeline over files, in one process and without a broker."""

import gzip
import io
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import zstandard

from streams.campaigns.carried import seal_reference, unseal_reference
from streams.config import Settings
from streams.contracts.hashing import partition_of
from streams.errors import InputError
from streams.operator import ALERTS, Batch, Record
from streams.pipeline import Pipeline

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes
READ_BYTES = 1 << 20
BATCH_EVENTS = 2_000  # a file has no latency to keep; larger batches are no faster


class AccountId(msgspec.Struct):
    """All that is needed of an event to give it its partition."""

    account_id: str


_account_id = msgspec.json.Decoder(AccountId).decode


def key_of(line: bytes) -> bytes | None:
    """Record key that a producer would give to this event; None if it cannot be told."""
    try:
        return _account_id(line).account_id.encode()
    except (msgspec.MsgspecError, UnicodeEncodeError, UnicodeDecodeError):
        return None


class _Zstandard(io.RawIOBase):
    """Read all frames of a file; unlike the library's own reader, refuse one that is cut off."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._fresh = True  # at the start of a frame
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame, self._fresh = zstandard.ZstdDecompressor().decompressobj(), True
            else:
                data = b""
            data = data or self._raw.read(READ_BYTES)
            if not data:
                if not self._fresh:
                    raise EOFError("it is cut off within a frame")
                return 0
            self._fresh = False
            self._ready = self._frame.decompress(data)
        n = min(len(buffer), len(self._ready))
        buffer[:n], self._ready = self._ready[:n], self._ready[n:]
        return n


@contextmanager
def open_input(path: str) -> Iterator[tuple[IO[bytes], Callable[[], int], int | None]]:
    """Open ``.jsonl``, ``.jsonl.gz``, ``.jsonl.zst`` or ``-`` (standard input).

    Yields lines, a function that tells how many bytes of the file were read, and its size (None if it has none).
    Raises `InputError` if it cannot be read.
    """
    if path == "-":
        yield sys.stdin.buffer, lambda: 0, None
        return
    try:
        raw = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    with raw:
        size = Path(path).stat().st_size
        lines: Any = raw
        if path.endswith(".gz"):
            lines = gzip.GzipFile(fileobj=raw)
        elif path.endswith(".zst"):
            lines = io.BufferedReader(_Zstandard(raw), READ_BYTES)
        yield lines, raw.tell, size


class Summary(msgspec.Struct):
    """What a replay did, as `--json` prints it."""

    events: int = 0
    accounts: int = 0
    clusters: int = 0
    cases: int = 0
    alerts: int = 0
    dead_letters: int = 0
    late: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    events_per_second: float = 0.0
    peak_memory_bytes: int = 0
    outcomes: dict[str, int] = {}
    reference: dict[str, int] = {}  # accounts learned by plan, in the reference that scored at the end


class Replay:
    """Feed lines to a pipeline as the workers would get them: murmur2(account_id) modulo the configured partitions."""

    def __init__(self, settings: Settings, on_record: Callable[[Record], None], reference: bytes | None = None) -> None:
        """``reference`` is what `reference` of an earlier replay gave."""
        self.pipeline = Pipeline(settings)
        if reference is not None:
            self.pipeline.campaigns.begin_with(unseal_reference(reference))
        self.lines = 0
        self._partitions = settings.kafka.request_partitions
        self._on_record = on_record
        self._cache: dict[bytes, int] = {}
        self._offsets = [0] * self._partitions
        self._pending: list[list[tuple[bytes | None, bytes]]] = [[] for _ in range(self._partitions)]
        self._waiting = 0

    def feed(self, line: bytes) -> None:
        """Take in one line, which may be anything."""
        key = key_of(line)
        if key is None:
            partition = 0
        else:
            found = self._cache.get(key)
            if found is None:
                if len(self._cache) >= 1 << 20:
                    self._cache.clear()
                found = self._cache[key] = partition_of(key.decode(), self._partitions)
            partition = found
        self._pending[partition].append((key, line))
        self.lines += 1
        self._waiting += 1
        if self._waiting >= BATCH_EVENTS:
            self.flush()

    def flush(self) -> None:
        """Hand what is waiting to the pipeline."""
        for partition, waiting in enumerate(self._pending):
            if not waiting:
                continue
            start = self._offsets[partition]
            self._offsets[partition] = start + len(waiting)
            batch = Batch(
                partition,
                range(start, start + len(waiting)),
                [key for key, _ in waiting],
                [line for _, line in waiting],
            )
            self._pending[partition] = []
            for record in self.pipeline.feed(batch):
                self._on_record(record)
        self._waiting = 0

    def end(self) -> None:
        """Declare the end of input."""
        self.flush()
        for record in self.pipeline.end():
            self._on_record(record)

    def reference(self) -> bytes:
        """Return what was learned of the benign, for another run to begin with."""
        state = self.pipeline.campaigns.state
        return seal_reference(state.reference, len(state.groups_seen))


def replay(
    inputs: list[str],
    settings: Settings,
    on_record: Callable[[Record], None],
    on_progress: Callable[[str, int, int | None, "Replay"], None] | None = None,
    reference: bytes | None = None,
    on_end: Callable[["Replay"], None] | None = None,
) -> Summary:
    """Replay files in order; ``on_record`` gets every alert and dead letter, in order.

    ``on_progress(path, bytes read, size, replay)`` is called now and then, ``on_end(replay)`` when all is done.
    ``reference`` is one to begin with.
    """
    started = time.perf_counter()
    host = Replay(settings, on_record, reference)
    alerts = 0
    cases: set[bytes | None] = set()  # those that are held at the end are the last weeks' only

    def count(record: Record) -> None:
        nonlocal alerts
        if record.role == ALERTS:
            alerts += 1
            cases.add(record.key)
        on_record(record)

    host._on_record = count
    for path in inputs:
        with open_input(path) as (lines, tell, size):
            try:
                for line in lines:
                    stripped = line.rstrip(b"\r\n")
                    if stripped:
                        host.feed(stripped)
                        if on_progress is not None and host.lines % 5_000 == 0:
                            on_progress(path, tell(), size, host)
            except (OSError, EOFError, zstandard.ZstdError) as error:
                raise InputError(f"{path} cannot be read to its end: {error}") from None
    host.end()
    if on_end is not None:
        on_end(host)
    seconds = time.perf_counter() - started
    pipeline = host.pipeline
    outcomes: dict[str, int] = {}
    for operator in pipeline.accounts:
        for key, n in operator.counters.items():
            if key[0] == "events":
                outcomes[key[1]] = outcomes.get(key[1], 0) + n
    return Summary(
        events=host.lines,
        accounts=len(pipeline.campaigns.table),
        clusters=len(pipeline.campaigns.families.families),
        cases=len(cases),
        alerts=alerts,
        dead_letters=outcomes.get("dead_letter", 0),
        late=outcomes.get("late", 0),
        duplicates=outcomes.get("duplicate", 0),
        seconds=round(seconds, 3),
        events_per_second=round(host.lines / seconds, 1) if seconds else 0.0,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024),
        outcomes=dict(sorted(outcomes.items())),
        reference=pipeline.campaigns.state.reference.sizes(),
    )
