"""As much of Kafka as the operators can tell: topics, committed state and crashes, in lists and dicts.

Each stage and partition has a host of its own. `run` lets the hosts work, deliver, checkpoint and crash in random order
until everything is worked through.
"""

from collections.abc import Collection
from random import Random

from law_traffic import Line

from streams.config import Settings
from streams.contracts.packets import decode_evidence, decode_sightings
from streams.operator import ALERTS, EVIDENCE, MARKER_KEY, REQUESTS, SIGHTINGS, Batch, Operator, Record
from streams.pipeline import make_operator

INPUT = {"accounts": REQUESTS, "tokens": SIGHTINGS, "campaigns": EVIDENCE}
STEPS_MAX = 200_000  # far more than a run needs: a host that never finishes is a fault

Log = list[tuple[bytes | None, bytes | None]]


class Host:
    """One operator with its place in the input, its undelivered output and its committed state."""

    def __init__(self, broker: "ListBroker", stage: str, partition: int) -> None:
        self.stage, self.partition = stage, partition
        self.state: dict[bytes, bytes] = {}
        self.crashes = 0
        self._broker = broker
        self._input = broker.log(INPUT[stage], partition)
        self._outbox: list[Record] = []
        self._new()

    def _new(self) -> None:
        self.operator: Operator = make_operator(self.stage, self._broker.settings, self.partition)
        self._position = self.operator.restore(iter(self.state.items())) or 0
        self._ended = False

    @property
    def lag(self) -> int:
        return len(self._input) - self._position

    @property
    def done(self) -> bool:
        """Nothing is left to read or to deliver, and the end is declared."""
        return self.lag == 0 and not self._outbox and self.operator.finished

    def read(self, most: int) -> None:
        """Take in up to ``most`` records, or the end of input."""
        records = self._input[self._position : self._position + most]
        if records:
            offsets = range(self._position, self._position + len(records))
            self._position += len(records)
            keys, values = zip(*records, strict=True)
            self._outbox += self.operator.on_batch(Batch(self.partition, offsets, keys, values))
        elif self.stage == "accounts" and not self.operator.finished:
            self._outbox += self.operator.on_end()

    def deliver(self, most: int | None = None) -> None:
        """Put undelivered records into their topics."""
        out, self._outbox = self._outbox[:most], self._outbox[len(self._outbox[:most]) :]
        for record in out:
            self._broker.put(record)

    def checkpoint(self, max_keys: int | None) -> None:
        """Deliver everything, then commit state as a compacted topic keeps it: last value per key, no tombstones."""
        self.deliver()
        found = self.operator.checkpoint(max_keys)
        if found is None:
            return
        for key, value in [*found.snapshots, (MARKER_KEY, found.marker)]:
            self.state.pop(key, None)
            if value is not None:
                self.state[key] = value

    def crash(self, random: Random) -> None:
        """Lose the operator and what was not delivered, after any part of each destination was."""
        for place in {(record.role, record.partition): None for record in self._outbox}:
            mine = [record for record in self._outbox if (record.role, record.partition) == place]
            for record in mine[: random.randint(0, len(mine))]:
                self._broker.put(record)
        self._outbox = []
        self.crashes += 1
        self._new()


class ListBroker:
    """All topics, and a host for each stage and partition."""

    def __init__(self, settings: Settings, requests: list[list[Line]]) -> None:
        self.settings = settings
        self._logs: dict[tuple[str, int], Log] = {}
        self.alerts: list[Record] = []
        for partition, lines in enumerate(requests):
            self.log(REQUESTS, partition).extend((line.key, line.value) for line in lines)
        kafka = settings.kafka
        self.hosts = [
            *(Host(self, "accounts", partition) for partition in range(kafka.request_partitions)),
            *(Host(self, "tokens", partition) for partition in range(kafka.sighting_partitions)),
            Host(self, "campaigns", 0),
        ]

    def log(self, role: str, partition: int) -> Log:
        """Return the records of one partition."""
        return self._logs.setdefault((role, partition), [])

    def put(self, record: Record) -> None:
        """Append a record to its topic."""
        if record.role == ALERTS:
            self.alerts.append(record)
        elif record.partition is not None:
            self.log(record.role, record.partition).append((record.key, record.value))

    def run(
        self,
        random: Random,
        most: int = 300,
        crashing: Collection[str] = (),
        crash_share: float = 0.05,
        checkpoint_share: float = 0.1,
    ) -> None:
        """Work until every host is done; hosts of the stages ``crashing`` crash between any two steps.

        Batches have up to ``most`` records; checkpoints of accounts hold a random number of keys.
        """
        for _ in range(STEPS_MAX):
            if self._step(random, most, crashing, crash_share, checkpoint_share) < 0.1 and self.done:
                return
        unfinished = [(host.stage, host.partition, host.lag) for host in self.hosts if not host.done]
        raise AssertionError(f"not finished after {STEPS_MAX} steps: {unfinished}")

    @property
    def done(self) -> bool:
        """Every host is done."""
        return all(host.done for host in self.hosts)

    def work(self, random: Random, steps: int, most: int = 60) -> None:
        """Let random hosts take so many steps, without crashes."""
        for _ in range(steps):
            self._step(random, most, (), 0.0, 0.1)

    def _step(
        self, random: Random, most: int, crashing: Collection[str], crash_share: float, checkpoint_share: float
    ) -> float:
        host = random.choice(self.hosts)
        luck = random.random()
        if luck < crash_share and host.stage in crashing:
            host.crash(random)
        elif luck < crash_share + checkpoint_share:
            host.checkpoint(random.choice([None, 1, 7, 40]))
        elif luck < 0.6:
            host.read(random.choice([1, 3, most // 10 + 1, most]))
        else:
            host.deliver(random.choice([1, 3, None]))
        return luck

    def items(self) -> dict[tuple[str, int, int], bytes]:
        """Return what passed between the stages as receivers take it: without items seen before of their source."""
        out: dict[tuple[str, int, int], bytes] = {}
        seen: dict[tuple[str, int, int], int] = {}
        for (role, partition), log in self._logs.items():
            if role == REQUESTS:
                continue
            for _, value in log:
                packet, items = (decode_sightings if role == SIGHTINGS else decode_evidence)(value or b"")
                place = (type(packet).__name__, packet.source, partition)
                new = items[items["offset"] > seen.get(place, -1)]
                if new.size:
                    seen[place] = int(new["offset"][-1])
                    out[place] = out.get(place, b"") + new.tobytes()
        return out

    def once(self) -> list[Record]:
        """Return the alerts without repeats, which are identical records."""
        return list(dict.fromkeys(self.alerts))
