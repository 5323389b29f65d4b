"""Stock Faust, an agent that takes events in batches with Faust's own buffer."""

from collections import defaultdict
from typing import Any

import faust

from streams.bench.hosts import Job
from streams.bench.hosts.faust_agent import app_of
from streams.bench.hosts.hosted import Hosted

WITHIN_S = 0.1  # the last batch is not full


def run(job: Job) -> None:
    """Host stage accounts."""
    hosted = Hosted(job)
    app = app_of(job)
    topic = app.topic(job.settings.kafka.requests_topic, key_serializer="raw", value_serializer="raw")

    @app.agent(topic)
    async def accounts(stream: Any) -> None:
        async for events in stream.take_events(job.settings.kafka.batch_max_events, within=WITHIN_S):
            messages: dict[int, list[Any]] = defaultdict(list)
            for event in events:
                messages[event.message.partition].append(event.message)
            for partition, found in messages.items():
                hosted.take(partition, [m.offset for m in found], [m.key for m in found], [m.value for m in found])

    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
