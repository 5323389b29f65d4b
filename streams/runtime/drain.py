"""The end of a drain: nobody leaves before everything is worked through, whoever had it.

Of a worker that was killed the group learns only after the session timeout. Those left must still be there then, or
nobody takes its partitions over, although all of them have ended in order.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.config import Settings
from streams.errors import BrokerError
from streams.operator import EVIDENCE, REQUESTS, SIGHTINGS
from streams.runtime.checkpoint import committed_reader
from streams.runtime.topics import STAGES, input_partitions, topic_name

INPUTS = {"accounts": REQUESTS, "tokens": SIGHTINGS, "campaigns": EVIDENCE}
ANSWER_TIMEOUT_S = 10.0


class Drain:
    """Tell what the groups have not worked through of what was there at the start, and of what followed from it.

    A stage is done once its group has committed the end of its input, which comes after the delivery of all output. The
    end of a later stage's input is final, and looked up, once the stages above are done.

    Cannot see that the owner of a partition without a single record was killed before it told the stages below so.
    """

    def __init__(self, settings: Settings, stages: Sequence[str]) -> None:
        """``stages``: those of this worker; the ones above its last are looked at, too."""
        self.limits = input_ends(settings, "accounts")  # where the requests end, by partition
        self._settings = settings
        self._stages = STAGES[: 1 + max(STAGES.index(stage) for stage in stages)]
        self._ends: dict[str, Mapping[int, int]] = {"accounts": self.limits}

    def missing(self, own: Mapping[str, Collection[int]]) -> dict[str, list[int]]:
        """Return the first stage with partitions not done, without our ``own``, which must be; empty if there is none.

        Waits for the broker's answer; raises `KafkaException` or `BrokerError` if there is none.
        """
        for stage in self._stages:
            ends = self._ends.get(stage)
            if ends is None:
                ends = self._ends[stage] = input_ends(self._settings, stage)
            if left := self._left(stage, {each: end for each, end in ends.items() if each not in own.get(stage, ())}):
                return {stage: left}
        return {}

    def _left(self, stage: str, ends: Mapping[int, int]) -> list[int]:
        if not ends:
            return []
        topic = topic_name(self._settings, INPUTS[stage])
        with closing(committed_reader(self._settings, f"{self._settings.kafka.group_prefix}-{stage}")) as reader:
            places = reader.committed([TopicPartition(topic, partition) for partition in ends], ANSWER_TIMEOUT_S)
            starts = {each.partition: max(0, each.offset) for each in places}  # below 0: nothing is committed yet
            return [
                partition
                for partition, end in ends.items()
                if starts[partition] < end
                and _anything(reader, TopicPartition(topic, partition, starts[partition]), end)
            ]


def _anything(reader: Any, start: TopicPartition, end: int) -> bool:
    """Tell whether there is a record from ``start`` to before ``end``: a log may end with those of a transaction."""
    reader.assign([start])
    found = reader.consume(1, ANSWER_TIMEOUT_S)
    if not found:
        raise BrokerError(f"{start.topic} cannot be read.")
    message = found[0]
    if message.error() is not None:
        if message.error().code() == KafkaError._PARTITION_EOF:
            return False
        raise KafkaException(message.error())
    return bool(message.offset() < end)


def input_ends(settings: Settings, stage: str) -> dict[int, int]:
    """Return where each partition of a stage's input ends now; raises `BrokerError`."""
    topic = topic_name(settings, INPUTS[stage])
    with closing(committed_reader(settings, f"{settings.kafka.group_prefix}-{stage}")) as reader:
        try:
            return {
                partition: reader.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_TIMEOUT_S)[1]
                for partition in range(input_partitions(settings, stage))
            }
        except KafkaException as error:
            raise BrokerError(f"The end of {topic} cannot be read: {error.args[0].str()}.") from error
