"""Every setting, with its default: one frozen struct per section of `config/stillwatch.toml`."""

from typing import Annotated

from msgspec import Meta, Struct, field

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, le=1)]


class Kafka(Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach the cluster, and what its topics are called."""

    bootstrap: str = "127.0.0.1:9092"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password_file: str = ""
    ssl_ca_file: str = ""
    group_prefix: str = "stillwatch"
    requests_topic: str = "llm.requests"
    alerts_topic: str = "llm.alerts"
    dead_letters_topic: str = "llm.requests.dlq"
    internal_prefix: str = "stillwatch"  # sightings, evidence, progress and the state topics
    request_partitions: Positive = 4
    sighting_partitions: Positive = 4
    replication_factor: Positive = 1
    requests_retention_ms: Positive = 7 * 86_400_000
    internal_retention_ms: Positive = 3 * 86_400_000
    alerts_retention_ms: Positive = 90 * 86_400_000
    dead_letters_retention_ms: Positive = 14 * 86_400_000
    max_record_bytes: Annotated[int, Meta(ge=1_000_000)] = 4_000_000
    session_timeout_s: Positive = 10
    batch_max_events: Positive = 4_000
    fetch_max_bytes: Positive = 4 << 20


class Time(Struct, frozen=True, forbid_unknown_fields=True):
    """Event time: see `streams.accounts.clock`."""

    lateness_ms: NotNegative = 5_000
    tick_ms: Positive = 1_000
    far_ahead_ms: Positive = 600_000
    idle_after_s: Positive = 10
    skew_max_ms: Positive = 60_000


class Accounts(Struct, frozen=True, forbid_unknown_fields=True):
    """Stage 1."""

    max_event_bytes: Positive = 262_144
    ttl_ms: Positive = 14 * 86_400_000  # an account unseen for so long is evicted
    max_accounts: Positive = 1_000_000  # held per partition of requests
    river_from_event: Positive = 8
    dedupe_events: Positive = 32  # event ids remembered per account
    infrastructure_ttl_ms: Positive = 14 * 86_400_000
    content_ttl_ms: Positive = 14 * 86_400_000
    near_prompt_ttl_ms: Positive = 6 * 3_600_000
    first_sightings_max_bytes: Positive = 2_000_000_000


class Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    """Stage 2."""

    degree_cap: Positive = 500
    content_degree_cap: Positive = 50_000
    bucket_cap: Positive = 64
    near_max_distance: NotNegative = 3
    max_bytes: Positive = 2_000_000_000  # of the tables of a partition


class Campaigns(Struct, frozen=True, forbid_unknown_fields=True):
    """Stage 3."""

    false_cases_per_day: Annotated[float, Meta(gt=0)] = 0.02  # the alert budget
    close_after_ms: Positive = 24 * 3_600_000


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """Checkpoints."""

    interval_s: Positive = 1
    campaigns_interval_s: Positive = 5
    max_keys: Positive = 20_000


class Health(Struct, frozen=True, forbid_unknown_fields=True):
    """Metrics and probes."""

    host: str = "127.0.0.1"
    port: NotNegative = 9464
    stuck_after_s: Positive = 60


class DeadLetters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a record that cannot be used."""

    keep_payload: bool = False


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """All sections."""

    kafka: Kafka = field(default_factory=Kafka)
    time: Time = field(default_factory=Time)
    accounts: Accounts = field(default_factory=Accounts)
    tokens: Tokens = field(default_factory=Tokens)
    campaigns: Campaigns = field(default_factory=Campaigns)
    state: State = field(default_factory=State)
    health: Health = field(default_factory=Health)
    dead_letters: DeadLetters = field(default_factory=DeadLetters)
