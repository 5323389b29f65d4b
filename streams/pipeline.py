"""The three stages in a row, pure: records in, records out. What every host runs, and what ``replay`` is made of."""

from collections.abc import Callable
from functools import cache

import numpy as np

from streams.accounts.operator import AccountsOperator
from streams.accounts.sightings import FirstSightings
from streams.campaigns import cohorts
from streams.campaigns.operator import CampaignsOperator
from streams.campaigns.singles import watch
from streams.campaigns.state import CampaignsState
from streams.config import Kafka, Settings
from streams.contracts.fingerprint import fingerprint
from streams.contracts.packets import ENDED, SIGHTING, SIGNAL, Sightings, encode_packet
from streams.operator import ALERTS, DEAD_LETTERS, EVIDENCE, SIGHTINGS, Batch, Operator, Record
from streams.slots import START_SLOTS
from streams.tokens.near import NearPrompts
from streams.tokens.operator import TokensOperator
from streams.tokens.table import TokenTable

STAGES: dict[str, Callable[[Settings, int], Operator]] = {
    "accounts": AccountsOperator,
    "tokens": TokensOperator,
    "campaigns": CampaignsOperator,
}


def make_operator(stage: str, settings: Settings, partition: int) -> Operator:
    """The operator of a stage over one of its input partitions."""
    warm_up()
    return STAGES[stage](settings, partition)


@cache
def warm_up() -> None:
    """Load what numba has compiled, and compile what it has not yet: later it would hold a batch up for seconds.

    Measured on two busy cores: 32 s of CPU at the first start on a machine, 0.2 s at later ones.
    """
    n = START_SLOTS  # more than the tables hold at first, so that they grow
    hashes = np.arange(1, n + 1, dtype=np.uint64) << np.uint64(32)
    times = np.full(n, 10**12)
    FirstSightings(b"", 10**6, 10**9).see(hashes, times, hashes, times)
    tokens = TokenTable([10**6], [9])
    tokens.open(n, times)
    TokenTable([10**6], [9]).load(tokens.rows(hashes))
    NearPrompts(0, 10**6, 3, 64).open(n, times)
    sightings = np.zeros(n, SIGHTING)
    sightings["token"] = sightings["account"] = hashes
    sightings["time"], sightings["offset"] = times, range(n)
    packet = encode_packet(Sightings(0, 10**12 + 1, 10**12, ENDED, sightings.tobytes()))
    TokensOperator(Settings(kafka=Kafka(request_partitions=1)), 0).on_batch(Batch(0, range(1), [None], [packet]))
    state, signals = CampaignsState(Settings()), np.zeros(n, SIGNAL)
    rows = state.table.insert(hashes)
    state.table.absorb(rows, signals)
    state.shared.absorb(rows, signals)
    watch(state, 0, signals, rows)
    for column in ("prompts", "exchanges"):  # as many alike as a cohort needs
        state.table.used[column][: cohorts.ACCOUNTS_MIN] = cohorts.PROMPTS_MIN
    cohorts.cohorts(state.table, state.shared, set(), 0)
    state.table.insert(hashes + np.uint64(1))
    fingerprint("Why is the sky blue?")
    operator = AccountsOperator(Settings(), 0)
    line = b'{"event_id":"%d","event_time":1,"account_id":"%d","model":"m","input_tokens":1,"output_tokens":1}'
    operator.on_batch(Batch(0, range(n), [None] * n, [line % (i, i // 9) for i in range(n)]))


class Pipeline:
    """All partitions of all stages in one process, with lists for topics and no checkpoints."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        self.accounts = [AccountsOperator(settings, p, durable=False) for p in range(kafka.request_partitions)]
        self.tokens = [TokensOperator(settings, p, durable=False) for p in range(kafka.sighting_partitions)]
        self.campaigns = CampaignsOperator(settings, 0)
        self.dead_letters = 0
        self._offsets: dict[tuple[str, int], int] = {}

    def feed(self, batch: Batch) -> list[Record]:
        """Take in a batch of requests; returns alerts and dead letters."""
        return self._down(self.accounts[batch.partition].on_batch(batch))

    def end(self) -> list[Record]:
        """Declare the end of input of every partition."""
        out: list[Record] = []
        for operator in self.accounts:
            out += self._down(operator.on_end())
        return out

    def _down(self, records: list[Record]) -> list[Record]:
        out = [record for record in records if record.role in (ALERTS, DEAD_LETTERS)]
        evidence = [record for record in records if record.role == EVIDENCE]
        for operator in self.tokens:
            mine = [record for record in records if record.role == SIGHTINGS and record.partition == operator.partition]
            if mine:
                evidence += operator.on_batch(self._batch(SIGHTINGS, operator.partition, mine))
        if evidence:
            out += self.campaigns.on_batch(self._batch(EVIDENCE, 0, evidence))
        return out

    def _batch(self, role: str, partition: int, records: list[Record]) -> Batch:
        start = self._offsets.get((role, partition), 0)
        self._offsets[role, partition] = start + len(records)
        return Batch(
            partition,
            range(start, start + len(records)),
            [record.key for record in records],
            [record.value for record in records],
        )
