"""Follow the alert topic as any consumer downstream would: a group of its own, JSON, and the fold of the contract."""

import contextlib

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.config import Settings
from streams.contracts.alert import AlertEvent, decode_alert
from streams.contracts.fold import Case, fold
from streams.runtime.kafka_client import client_config

TAKE = 500
ANSWER_S = 5.0


class Inbox:
    """Every case so far, by alert_id in order of appearance: all its revisions, and the case as it stands."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.kafka.alerts_topic
        self._consumer = Consumer(
            client_config(settings)
            | {"group.id": f"{settings.kafka.group_prefix}-demo", "auto.offset.reset": "earliest", "log_level": 0}
        )
        self._consumer.subscribe([self._topic])
        self._next: dict[int, int] = {}
        self.revisions: dict[str, list[AlertEvent]] = {}

    def poll(self, timeout_s: float) -> list[AlertEvent]:
        """Take in what has come, waiting at most ``timeout_s`` for it, and return the revisions that are new."""
        new = []
        for message in self._consumer.consume(TAKE, timeout_s):
            if message.error() is not None:
                continue  # passing trouble, such as a broker that moves; what no retry mends raises in the callback
            self._next[message.partition() or 0] = (message.offset() or 0) + 1
            alert = decode_alert(message.value() or b"")
            known = self.revisions.setdefault(alert.alert_id, [])
            if alert.revision > len(known):  # else a repeat, which at-least-once delivery allows
                known.append(alert)
                new.append(alert)
        return new

    def case(self, alert_id: str) -> Case:
        """Return the case as it stands."""
        return fold(self.revisions[alert_id])

    def at_end(self) -> bool:
        """Tell whether everything that the topic holds now has been taken in."""
        try:
            partitions = self._consumer.list_topics(self._topic, ANSWER_S).topics[self._topic].partitions
            ends = [
                (each, self._consumer.get_watermark_offsets(TopicPartition(self._topic, each), ANSWER_S)[1])
                for each in partitions
            ]
        except KafkaException:
            return False
        return all(self._next.get(each, 0) >= end for each, end in ends)

    def close(self) -> None:
        """Leave the group."""
        with contextlib.suppress(KafkaException):
            self._consumer.close()
