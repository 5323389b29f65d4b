"""Stock Faust, an agent per event."""

from typing import Any

import faust

from streams.bench.hosts import Job
from streams.bench.hosts.hosted import Hosted


def app_of(job: Job) -> faust.App:
    """Return an app with Faust's own settings, but for those that keep it from starting what it does not need."""
    kafka = job.settings.kafka
    return faust.App(
        kafka.group_prefix,
        broker=f"kafka://{kafka.bootstrap}",
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
        datadir=job.folder,
    )


def run(job: Job) -> None:
    """Host stage accounts."""
    hosted = Hosted(job)
    app = app_of(job)
    topic = app.topic(job.settings.kafka.requests_topic, key_serializer="raw", value_serializer="raw")

    @app.agent(topic)
    async def accounts(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            hosted.add(message.partition, message.offset, message.key, message.value)

    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
