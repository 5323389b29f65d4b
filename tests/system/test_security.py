"""SASL over TLS against a real listener: credentials that work, and what is said of those that do not."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.config import Kafka, Settings
from streams.errors import BrokerError
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import client_config, producer_config, reach
from streams.runtime.ports import free_ports
from streams.runtime.topics import create_topics

pytestmark = pytest.mark.system

PASSWORD = "correct horse"


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in a folder; the test fails with its words if it does."""
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert 0 == done.returncode, done.stderr


def certificates(folder: Path) -> None:
    """Make an authority (ca.pem), a broker's keystore (broker.p12) signed by it, and a stranger (other.pem)."""
    for name in ("ca", "other"):
        subject = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject)
    request = ["-subj", "/CN=localhost", "-keyout", "broker.key", "-out", "broker.csr"]
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", *request)
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-out", "broker.pem"]
    openssl(folder, "x509", "-req", "-in", "broker.csr", "-days", "2", *signing)
    store = ["-inkey", "broker.key", "-out", "broker.p12", "-passout", "pass:changeit"]
    openssl(folder, "pkcs12", "-export", "-in", "broker.pem", *store)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings for a broker with a SASL_SSL listener."""
    assert shutil.which("openssl"), "this test needs the openssl command"
    folder = tmp_path_factory.mktemp("tls")
    certificates(folder)
    plain, secure, controller = free_ports(3)
    listeners = f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{secure}"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": listeners,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(folder / "broker.p12"),
        "ssl.keystore.password": "changeit",
        "ssl.key.password": "changeit",
    }
    scram = ["--add-scram", f"SCRAM-SHA-512=[name=stillwatch,password={PASSWORD}]"]
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "wrong").write_text("wrong\n")
    kafka = Kafka(
        bootstrap=f"127.0.0.1:{secure}",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="stillwatch",
        sasl_password_file=str(folder / "password"),
        ssl_ca_file=str(folder / "ca.pem"),
    )
    with LocalBroker(port=plain, properties=properties, format_args=scram):
        yield Settings(kafka=kafka)


def changed(settings: Settings, **kafka: str) -> Settings:
    """Replace fields of the section kafka."""
    return msgspec.structs.replace(settings, kafka=msgspec.structs.replace(settings.kafka, **kafka))


def poll_often(consumer: Consumer) -> None:
    """Poll in short steps, up to 20 s in all."""
    for _ in range(100):
        consumer.poll(0.2)


def test_topics_are_made_and_records_pass(secured: Settings):
    """With the right password and authority everything works as without them."""
    assert "llm.alerts" in create_topics(secured)
    producer = Producer(producer_config(secured))
    producer.produce("llm.alerts", b"value")
    assert 0 == producer.flush(20)
    consumer = Consumer(client_config(secured) | {"group.id": "reader"})
    consumer.assign([TopicPartition("llm.alerts", 0, 0)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert b"value" == message.value()


def test_a_wrong_password_is_told_at_once(secured: Settings):
    """The error names the user and the settings to check, not the password."""
    wrong = changed(secured, sasl_password_file=secured.kafka.sasl_password_file.replace("password", "wrong"))
    with pytest.raises(BrokerError) as error:
        reach(wrong, timeout_s=60)
    assert "refuses the log-in of 'stillwatch'" in error.value.message
    assert "kafka.sasl_password_file" in error.value.message


def test_an_unknown_authority_is_told_at_once(secured: Settings):
    """The error names the setting to check."""
    with pytest.raises(BrokerError) as error:
        reach(changed(secured, ssl_ca_file=secured.kafka.ssl_ca_file.replace("ca.pem", "other.pem")), timeout_s=60)
    assert "kafka.ssl_ca_file" in error.value.message


def test_a_running_client_that_is_refused_ends(secured: Settings):
    """The library would retry for ever; the error callback raises out of poll instead."""
    wrong = changed(secured, sasl_password_file=secured.kafka.sasl_password_file.replace("password", "wrong"))
    consumer = Consumer(client_config(wrong) | {"group.id": "reader"})
    consumer.assign([TopicPartition("llm.alerts", 0, 0)])
    with pytest.raises(BrokerError, match="refuses this client"):
        poll_often(consumer)
    consumer.close()
