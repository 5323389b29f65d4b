"""The three stages in a row, pure: records in, records out. What every host runs, and what ``replay`` is made of."""

from collections.abc import Callable

from streams.accounts.operator import AccountsOperator
from streams.campaigns.operator import CampaignsOperator
from streams.config import Settings
from streams.operator import ALERTS, DEAD_LETTERS, EVIDENCE, SIGHTINGS, Batch, Operator, Record
from streams.tokens.operator import TokensOperator

STAGES: dict[str, Callable[[Settings, int], Operator]] = {
    "accounts": AccountsOperator,
    "tokens": TokensOperator,
    "campaigns": CampaignsOperator,
}


def make_operator(stage: str, settings: Settings, partition: int) -> Operator:
    """The operator of a stage over one of its input partitions."""
    return STAGES[stage](settings, partition)


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
