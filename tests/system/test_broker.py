"""The local broker: it starts, survives a crash, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from support import until

from streams.config import Kafka, Settings
from streams.errors import BrokerError
from streams.runtime.broker import LocalBroker
from streams.runtime.broker_process import command_line
from streams.runtime.kafka_client import reach

pytestmark = pytest.mark.system


def test_records_survive_a_killed_broker(tmp_path: Path):
    """What was acknowledged before kill -9 is read after the restart, on the same port."""
    with LocalBroker(data_dir=tmp_path) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result()
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        producer.produce("kept", b"value")
        assert 0 == producer.flush(20)
        bootstrap = broker.bootstrap

        broker.kill()
        broker.restart()

        assert bootstrap == broker.bootstrap
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "reader"})
        consumer.assign([TopicPartition("kept", 0, 0)])
        message = consumer.poll(20)
        consumer.close()
        assert message is not None
        assert b"value" == message.value()


def test_a_paused_broker_is_silent_until_it_resumes(kafka: LocalBroker):
    """Clients of a stopped process find nobody, and find it again afterwards."""
    settings = Settings(kafka=Kafka(bootstrap=kafka.bootstrap))
    kafka.pause()
    try:
        with pytest.raises(BrokerError, match="No Kafka answers"):
            reach(settings, timeout_s=1)
    finally:
        kafka.resume()
    assert kafka.port == next(iter(reach(settings, timeout_s=30).list_topics().brokers.values())).port


def test_a_taken_port_is_named_with_its_holder():
    """The error says which port, who holds it and what to do."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BrokerError) as error:
            LocalBroker(port=port).start()
    assert f"Port {port} is taken by" in error.value.message
    assert f"(process {os.getpid()})" in error.value.message
    assert "--bootstrap" in error.value.message


def test_the_broker_dies_with_a_killed_parent():
    """After kill -9 of the program that started it, neither the broker nor its temporary folder remains."""
    code = (
        "import sys; from streams.runtime.broker import LocalBroker; b = LocalBroker().start();"
        "print(b.pid, b.data_dir, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert "server.properties" in command_line(int(pid))
        parent.send_signal(signal.SIGKILL)
    assert until(lambda: "server.properties" not in command_line(int(pid)))
    assert until(lambda: not Path(folder).exists())
