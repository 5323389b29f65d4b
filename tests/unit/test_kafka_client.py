"""Configuration of confluent-kafka clients, and what is said when a cluster does not answer."""

import socket
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from streams.config import Kafka, Settings
from streams.errors import BrokerError, ConfigError
from streams.runtime.kafka_client import client_config, producer_config, raise_fatal, reach


def secured(tmp_path: Path, **kafka: str) -> Settings:
    """Return settings for SASL over TLS with a password in a file."""
    password = tmp_path / "password"
    password.write_text("pa ss\n")
    fields = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "me",
        "sasl_password_file": str(password),
        "ssl_ca_file": "ca.pem",
    }
    return Settings(kafka=Kafka(**fields | kafka))


def test_credentials_come_from_settings_and_password_file(tmp_path: Path):
    """The password is the file's contents without the line's end."""
    config = client_config(secured(tmp_path))
    assert ("SASL_SSL", "SCRAM-SHA-512", "me", "pa ss", "ca.pem") == tuple(
        config[name]
        for name in ("security.protocol", "sasl.mechanism", "sasl.username", "sasl.password", "ssl.ca.location")
    )


def test_without_security_there_are_no_credentials():
    """A plaintext client is given nothing to leak."""
    assert [] == [name for name in client_config(Settings()) if name.startswith(("sasl", "ssl"))]


def test_a_missing_password_file_is_named(tmp_path: Path):
    """The error has the setting's name and the path."""
    with pytest.raises(ConfigError, match=r"kafka\.sasl_password_file.*nowhere"):
        client_config(secured(tmp_path, sasl_password_file=str(tmp_path / "nowhere")))


def test_producers_place_keys_as_java_and_lose_nothing():
    """Murmur2, all replicas, no repeats by retries."""
    config = producer_config(Settings())
    assert ("murmur2_random", "all", True) == tuple(config[n] for n in ("partitioner", "acks", "enable.idempotence"))


@pytest.mark.parametrize("code", [KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED])
def test_what_no_retry_mends_is_raised(code: int):
    """A refused log-in or certificate ends the client's work; the library would go on trying for ever."""
    with pytest.raises(BrokerError, match="refuses this client"):
        raise_fatal(KafkaError(code))


def test_what_a_retry_mends_is_not_raised():
    """A broker that is down may come back."""
    assert raise_fatal(KafkaError(KafkaError._ALL_BROKERS_DOWN)) is None
    assert raise_fatal(KafkaError(KafkaError._TRANSPORT)) is None


def test_an_unreachable_cluster_is_told_with_what_to_do():
    """The message has the address, the reason, and the ways out."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: refuses, and nobody else can take it
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(BrokerError) as error:
            reach(Settings(kafka=Kafka(bootstrap=address)), timeout_s=1)
    for expected in (
        address,
        "Connection refused",
        "stillwatch kafka up",
        "--bootstrap",
        "STILLWATCH_KAFKA__BOOTSTRAP",
    ):
        assert expected in error.value.message


def test_a_silent_cluster_is_given_up():
    """A port that accepts and says nothing does not hold the command for ever."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerError, match=f"No Kafka answers at {address}"):
            reach(Settings(kafka=Kafka(bootstrap=address)), timeout_s=1)
