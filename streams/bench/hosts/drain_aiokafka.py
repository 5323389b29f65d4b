"""The limit of one client: aiokafka fetches everything, and nothing is done with it."""

import asyncio

from aiokafka import AIOKafkaConsumer

from streams.bench.hosts import Job
from streams.bench.meter import Meter
from streams.runtime.faust_app import MAX_POLL_RECORDS


def run(job: Job) -> None:
    """Fetch and drop."""
    asyncio.run(_drain(job))


async def _drain(job: Job) -> None:
    kafka, meter = job.settings.kafka, Meter(job.meter, job.events)
    consumer = AIOKafkaConsumer(
        kafka.requests_topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=kafka.group_prefix,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=kafka.fetch_max_bytes,
    )
    await consumer.start()
    meter.count(0)
    while meter.events < job.events:
        found = await consumer.getmany(timeout_ms=1_000, max_records=MAX_POLL_RECORDS)
        meter.count(sum(map(len, found.values())))
    await consumer.stop()
