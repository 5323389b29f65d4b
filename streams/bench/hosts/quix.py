"""Quix Streams: a dataframe over bytes, one call for each message, its state in a Python object."""

from typing import Any

from quixstreams import Application, message_context

from streams.bench.hosts import Job
from streams.bench.hosts.hosted import Hosted


def run(job: Job) -> None:
    """Host stage accounts."""
    hosted = Hosted(job)
    kafka = job.settings.kafka
    app = Application(
        broker_address=kafka.bootstrap,
        consumer_group=kafka.group_prefix,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        state_dir=job.folder,
        loglevel="ERROR",
    )
    topic = app.topic(kafka.requests_topic, key_deserializer="bytes", value_deserializer="bytes")

    def accounts(value: bytes, key: bytes, timestamp: int, headers: Any) -> None:
        message = message_context()
        hosted.add(message.partition, message.offset, key, value)

    app.dataframe(topic).update(accounts, metadata=True)
    app.run()
