"""Make the Faust app of a stage: its settings, and what of Faust is left out."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import mode
from yarl import URL

from streams.config import Settings
from streams.runtime.batches import BatchSchema, batch_scheduler
from streams.runtime.kafka_client import sasl_password
from streams.runtime.transport import Hooks, Transport

QUEUED_BATCHES = 4  # per stage: what a rebalance throws away and reads again
MAX_POLL_RECORDS = 10_000  # bounds the records in memory; at 5,000 every other batch is what is left of a fetch
DAY_S = 86_400.0
NEVER_S = 10 * 365 * 86_400.0
REQUEST_TIMEOUT_S = 30.0


class _App(faust.App):
    """A Faust app without its folders on disk: there are no tables."""

    def _create_directories(self) -> None:
        pass


def faust_app(
    settings: Settings,
    group: str,
    instance: str | None,
    hooks: Hooks,
    on_batch: Callable[[Any], Awaitable[None] | None],
) -> faust.App:
    """Return an app that reads ``hooks.topic`` in the consumer group ``group`` and gives each handover to ``on_batch``.

    With ``instance`` the member is static: a restart within the session timeout gets its partitions back at once.
    """
    kafka = settings.kafka
    app = _App(
        group,
        broker=[URL(f"kafka://{address.strip()}") for address in kafka.bootstrap.split(",")],
        broker_credentials=credentials(settings),
        broker_client_id="stillwatch",
        broker_session_timeout=float(kafka.session_timeout_s),
        broker_heartbeat_interval=min(3.0, kafka.session_timeout_s / 3),
        broker_request_timeout=max(REQUEST_TIMEOUT_S, kafka.session_timeout_s + 5.0),
        broker_max_poll_records=MAX_POLL_RECORDS,
        broker_max_poll_interval=DAY_S,  # partitions may be held back for long; `worker` sees what is stuck
        broker_commit_interval=NEVER_S,  # checkpoints commit, in their transactions; acks=False below
        broker_commit_livelock_soft_timeout=NEVER_S,
        consumer_group_instance_id=instance,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=kafka.fetch_max_bytes,
        ConsumerScheduler=batch_scheduler(kafka.batch_max_events),
        agent_supervisor=mode.CrashingSupervisor,  # the default skips the batch that failed
        stream_wait_empty=False,  # else one batch that never ends keeps SIGTERM waiting for ever
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,  # the round robin assignor: no tables to co-partition
        store="memory://",
        web_enabled=False,
        autodiscover=False,
    )
    app.transport = Transport(app.conf.broker, app, hooks)
    topic = app.topic(hooks.topic, schema=BatchSchema(), maxsize=QUEUED_BATCHES, acks=False)

    @app.agent(topic, name=group)
    async def work(stream: Any) -> None:
        async for handover in stream:
            if handover is not None and (pause := on_batch(handover)) is not None:
                await pause

    return app


def credentials(settings: Settings) -> Any:
    """Return Faust's credentials for the settings, None for a plaintext cluster."""
    kafka = settings.kafka
    encrypted = kafka.security_protocol.endswith("SSL")
    context = ssl.create_default_context(cafile=kafka.ssl_ca_file or None) if encrypted else None
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            mechanism=kafka.sasl_mechanism,
            username=kafka.sasl_username,
            password=sasl_password(settings),
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context else None
