"""Configure confluent-kafka clients from the settings, and say clearly why a cluster cannot be used."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.config import Settings
from streams.errors import BrokerError, ConfigError

REACH_TIMEOUT_S = 5.0  # loopback answers in milliseconds; a TLS handshake with a far cluster takes up to a second
PROBE_S = 0.5

# librdkafka retries these for ever and only mentions them to the error callback; no retry can mend them.
FATAL = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError._FATAL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    }
)


def raise_fatal(error: KafkaError) -> None:
    """Raise `BrokerError` for an error that no retry can mend: out of the client's own ``poll`` or ``flush``.

    It is raised when that call comes to its end, so poll in short steps (measured: 53 s late in a poll of 60 s).
    """
    if error.code() in FATAL or error.fatal():
        raise BrokerError(f"Kafka refuses this client: {error.str()}.")


def client_config(settings: Settings, on_error: Callable[[KafkaError], None] = raise_fatal) -> dict[str, Any]:
    """Return what every confluent-kafka client needs: addresses, credentials, error callback.

    Raises `ConfigError` if the password file cannot be read.
    """
    kafka = settings.kafka
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap,
        "client.id": "stillwatch",
        "security.protocol": kafka.security_protocol,
        "error_cb": on_error,
        "log_level": 3,  # errors: its warnings are of retries that go on by themselves, as on a broker's first seconds
        "log.connection.close": False,  # idle connections are closed by brokers; that is no news
        "reconnect.backoff.max.ms": 1_000,  # a restarted broker is found again within a second, not ten
    }
    if kafka.security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.sasl_username,
            "sasl.password": sasl_password(settings),
        }
    if kafka.security_protocol.endswith("SSL") and kafka.ssl_ca_file:
        config["ssl.ca.location"] = kafka.ssl_ca_file
    return config


def producer_config(settings: Settings, on_error: Callable[[KafkaError], None] = raise_fatal) -> dict[str, Any]:
    """Return the configuration of a producer that loses, repeats and reorders nothing.

    Keys go to partitions as Kafka's Java clients and aiokafka send them (murmur2): librdkafka's own default is CRC32.
    """
    return client_config(settings, on_error) | {
        "partitioner": "murmur2_random",
        "acks": "all",
        "enable.idempotence": True,
        "message.max.bytes": settings.kafka.max_record_bytes,
        "linger.ms": 5,  # librdkafka's default; 0 sends a request per record
        "queue.buffering.max.messages": 1_000_000,
    }


def sasl_password(settings: Settings) -> str:
    """Return the password that ``kafka.sasl_password_file`` holds, without the line's end.

    Raises `ConfigError` if the file cannot be read.
    """
    try:
        return Path(settings.kafka.sasl_password_file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"kafka.sasl_password_file: {error}") from error


def reach(settings: Settings, timeout_s: float = REACH_TIMEOUT_S) -> AdminClient:
    """Return an administrator's client of a cluster that has just answered.

    Raises `BrokerError` that says what to do: at once if the cluster refuses us, after ``timeout_s`` if it is silent.
    """
    errors: list[KafkaError] = []
    admin = AdminClient(client_config(settings, errors.append) | {"log_level": 0})
    deadline, probes = time.monotonic() + timeout_s, 0
    while time.monotonic() < deadline or probes * PROBE_S < timeout_s:  # a machine may have stood still
        probes += 1
        try:
            admin.list_topics(timeout=PROBE_S)
            return admin
        except KafkaException as error:
            admin.poll(0)  # serves the error callback
            reason = error.args[0]
            if reason.code() in FATAL:
                errors.append(reason)
            if any(each.code() in FATAL for each in errors):
                break
    raise BrokerError(_advice(settings, errors))


def _advice(settings: Settings, errors: list[KafkaError]) -> str:
    kafka = settings.kafka
    fatal = next((each for each in errors if each.code() in FATAL), None)
    if fatal is None:
        # "all brokers down" only counts the attempts; the one before it says why
        told = [each.str() for each in errors if each.code() != KafkaError._ALL_BROKERS_DOWN]
        return (
            f"No Kafka answers at {kafka.bootstrap}{f': {told[-1]}' if told else ''}.\n"
            "Start one with `stillwatch kafka up`, or give the address of yours with --bootstrap, "
            "STILLWATCH_KAFKA__BOOTSTRAP or kafka.bootstrap in the settings file."
        )
    if fatal.code() == KafkaError._SSL:
        return (
            f"Kafka at {kafka.bootstrap}: the TLS connection fails: {fatal.str()}.\n"
            "Check kafka.ssl_ca_file (the certificate authority of the brokers) and kafka.security_protocol."
        )
    return (
        f"Kafka at {kafka.bootstrap} refuses the log-in of {kafka.sasl_username!r}: {fatal.str()}.\n"
        "Check kafka.sasl_mechanism, kafka.sasl_username and the contents of kafka.sasl_password_file."
    )
