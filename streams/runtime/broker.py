"""Run a real Apache Kafka broker on this machine: one node, KRaft mode, loopback only, plaintext.

For development, tests and the demo. It is not for production: one replica, nothing is flushed to disk before it is
acknowledged, and whoever can open a port on this machine can read and write all of it.
"""

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.errors import BrokerError
from streams.runtime.broker_process import OURS, STOP_TIMEOUT_S, Running, claim, tail
from streams.runtime.kafka_jars import find_java, jars_dir, kafka_version, say
from streams.runtime.ports import HOST, free_ports, port_owner, port_taken
from streams.runtime.watcher import Watcher

HEAP_MB = 512  # measured: 370 MB resident with one topic; the default of 1 GB gains nothing on one node
START_TIMEOUT_S = 60.0  # measured: 4 s on two idle cores; a busy CI machine takes several times that
CLUSTER_ID = "c3RpbGx3YXRjaC1sb2NhbA"  # 16 bytes in base64, as StorageTool wants it

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    # A killed broker may come back only after its session (12 s with the default of 9); one on a machine that stands
    # still for as long is fenced, which 3 s did to a test run.
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "500",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",  # the default of 50 costs a second at the first group
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # tests kill workers and want to see the end of it
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.dedupe.buffer.size": "33554432",  # the default of 128 MB does not suit the heap
    "log.cleaner.backoff.ms": "1000",  # compaction can be seen within a test
    "log.message.timestamp.type": "CreateTime",
    "metrics.recording.level": "INFO",
}

LOG4J = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
"""


class LocalBroker:
    """One broker, started by `start` or on entering the context, gone on leaving it.

    ``port`` 0 takes a free one. ``data_dir`` None makes a temporary folder that is removed at the end; a given one is
    kept and used again by the next start. ``properties`` are added to server.properties, ``format_args`` to the
    arguments of StorageTool, ``java_args`` to those of the broker's JVM. Unless it is started with ``detach``, the
    broker dies with this process, however that ends: a watcher waits for the end of a pipe that only this one holds.
    """

    def __init__(
        self,
        port: int = 0,
        data_dir: Path | None = None,
        *,
        properties: Mapping[str, str] | None = None,
        format_args: Sequence[str] = (),
        java_args: Sequence[str] = (),
        report: Callable[[str], None] = say,
    ) -> None:
        self._temporary = data_dir is None
        self._data_dir = data_dir
        self.port = port
        self._any_port = port == 0
        self._extra = dict(properties or {})
        self._format_args = list(format_args)
        self._java_args = list(java_args)
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: Watcher | None = None

    @property
    def bootstrap(self) -> str:
        """The address to give to clients."""
        return f"{HOST}:{self.port}"

    @property
    def data_dir(self) -> Path:
        """The folder of data and log; raises `BrokerError` if it is temporary and the broker does not run."""
        if self._data_dir is None:
            raise BrokerError("The local broker has not been started.")
        return self._data_dir

    @property
    def pid(self) -> int:
        """The process id of the broker; raises `BrokerError` if it was not started."""
        return self._child().pid

    def start(self, *, detach: bool = False) -> "LocalBroker":
        """Start and return when the broker answers an administrator's request.

        Raises `BrokerError`: Java or Maven missing, the port taken, or the broker ended at once (with its last lines).
        """
        java, jars = find_java(), jars_dir(self._report)
        if self._temporary:
            self._data_dir = Path(tempfile.mkdtemp(prefix="stillwatch-kafka-"))
        self._data_dir = self.data_dir.resolve()
        claim(self.data_dir)
        try:
            self._prepare(java, jars)
            self._launch(java, jars, detach)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the broker in order, by force if that takes too long, and remove a temporary data folder."""
        if self._process is not None:
            self.resume()
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._unwatch()
        atexit.unregister(self.stop)
        if self._temporary and self._data_dir is not None:
            shutil.rmtree(self._data_dir, ignore_errors=True)
            self._data_dir = None
        elif self._data_dir is not None:
            (self._data_dir / "broker.json").unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill the broker as a crash would (SIGKILL); its data stays for `restart`."""
        process = self._child()
        process.kill()
        process.wait()
        self._unwatch()

    def restart(self) -> None:
        """Start again on the same port and data, after `kill` or while it runs (then in order)."""
        process = self._child()
        if process.poll() is None:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
        self._unwatch()
        self._launch(find_java(), jars_dir(self._report), detach=False)

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP): clients see a broker that hangs."""
        self._child().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused broker go on."""
        self._child().send_signal(signal.SIGCONT)

    def __enter__(self) -> "LocalBroker":
        return self.start() if self._process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BrokerError("The local broker has not been started.")
        return self._process

    def _prepare(self, java: str, jars: Path) -> None:
        if self._any_port:
            self.port, controller = free_ports(2)
        else:
            if port_taken(self.port):
                raise BrokerError(
                    f"Port {self.port} is taken{port_owner(self.port)}. Give another one with --port, stop the other "
                    f"program, or use that cluster with --bootstrap {self.bootstrap}."
                )
            (controller,) = free_ports(1)
        properties = PROPERTIES | {
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "log.dirs": str(self.data_dir / "log"),
        }
        lines = [f"{name}={value}" for name, value in (properties | self._extra).items()]
        (self.data_dir / "server.properties").write_text("\n".join([OURS, *lines]) + "\n")
        (self.data_dir / "log4j2.properties").write_text(LOG4J)
        if not (self.data_dir / "log" / "meta.properties").exists():
            self._format(java, jars)

    def _format(self, java: str, jars: Path) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self.data_dir / "server.properties")]
        # Interpreting beats compiling in a JVM that lives for a second.
        command = [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}/*", *tool, *self._format_args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)  # noqa: S603
        if done.returncode != 0:
            raise BrokerError(f"Kafka could not format {self.data_dir}:\n{(done.stdout + done.stderr).strip()[-2000:]}")

    def _launch(self, java: str, jars: Path, detach: bool) -> None:
        log4j = self.data_dir / "log4j2.properties"
        command = [
            java,
            f"-Xms{HEAP_MB // 2}m",
            f"-Xmx{HEAP_MB}m",
            "-XX:+UseSerialGC",  # two cores are shared with the workers; G1's helper threads take their share
            "-XX:+ExitOnOutOfMemoryError",
            *self._java_args,
            f"-Dlog4j2.configurationFile={log4j}",
            "-cp",
            f"{jars}/*",
            "kafka.Kafka",
            str(self.data_dir / "server.properties"),
        ]
        with (self.data_dir / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.data_dir
            )
        if not detach:
            self._watch(self._process.pid)
        running = Running(self._process.pid, self.port, kafka_version())
        (self.data_dir / "broker.json").write_bytes(msgspec.json.encode(running))
        wait_until_up(self.bootstrap, self._process, self.data_dir / "broker.log")

    def _watch(self, pid: int) -> None:
        atexit.register(self.stop)
        self._watcher = Watcher(pid, self.data_dir if self._temporary else None)

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None


def wait_until_up(
    bootstrap: str, process: subprocess.Popen[bytes], log: Path, timeout_s: float = START_TIMEOUT_S
) -> None:
    """Return when the broker is registered, so that topics can be created on it.

    Raises `BrokerError` with the end of ``log`` if the process ends or the time runs out.
    """
    host, port = bootstrap.split(":")
    deadline = time.monotonic() + timeout_s
    listening = False
    admin: AdminClient | None = None
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokerError(f"Kafka ended at once (exit {process.returncode}); the end of {log}:\n{tail(log)}")
        if not listening:
            with socket.socket() as probe:
                listening = probe.connect_ex((host, int(port))) == 0
        else:
            admin = admin if admin is not None else AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
            try:
                if admin.describe_cluster(request_timeout=2).result().nodes:  # only brokers that may hold partitions
                    return
            except KafkaException:
                pass
        time.sleep(0.05)
    raise BrokerError(f"Kafka did not answer at {bootstrap} within {timeout_s:.0f} s; the end of {log}:\n{tail(log)}")
