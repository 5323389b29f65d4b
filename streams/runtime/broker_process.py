"""Find and stop a broker that another command started: `broker.json` in its data folder says which process it is."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from streams.errors import BrokerError, InputError
from streams.runtime.ports import HOST

STOP_TIMEOUT_S = 20.0  # measured: 0.5 s; a loaded machine with many open segments takes longer
OURS = "# Written by stillwatch."  # first line of server.properties: what has it may be overwritten and removed
FILES = ("server.properties", "log4j2.properties", "broker.log", "broker.json")


class Running(msgspec.Struct, frozen=True):
    """What `broker.json` in the data folder says of a broker that was started from it."""

    pid: int
    port: int
    version: str

    @property
    def bootstrap(self) -> str:
        """The address to give to clients."""
        return f"{HOST}:{self.port}"


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log file, indented; empty if there is none."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def running(data_dir: Path) -> Running | None:
    """Return the broker that runs from this folder, None if there is none.

    A process id that was given to another program since is recognised by its command line.
    """
    try:
        found = msgspec.json.decode((data_dir / "broker.json").read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if str(data_dir.resolve() / "server.properties") in command_line(found.pid) else None


def command_line(pid: int) -> str:
    """Return the command line of a process, empty if it is gone."""
    proc = Path("/proc", str(pid), "cmdline")
    if Path("/proc/self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout


def stop(data_dir: Path) -> Running | None:
    """Stop the broker that runs from this folder, by force if need be; return what was stopped."""
    found = running(data_dir)
    if found is None:
        return None
    for number, timeout_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, STOP_TIMEOUT_S)):
        os.kill(found.pid, number)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if running(data_dir) is None:
                (data_dir / "broker.json").unlink(missing_ok=True)
                return found
            time.sleep(0.05)
    raise BrokerError(f"Kafka (process {found.pid}) does not end.")


def claim(data_dir: Path) -> None:
    """Make the folder if need be; raises `InputError` if it holds something that is not ours."""
    data_dir.mkdir(parents=True, exist_ok=True)
    properties = data_dir / "server.properties"
    if not _ours(properties) and any(data_dir.iterdir()):
        raise InputError(f"{data_dir} is not empty and was not made by `stillwatch kafka up`: give another folder.")


def remove(data_dir: Path) -> bool:
    """Remove what a broker left in the folder, and the folder if that empties it; False if there is nothing of ours."""
    if not _ours(data_dir / "server.properties"):
        return False
    shutil.rmtree(data_dir / "log", ignore_errors=True)
    for name in FILES:
        (data_dir / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody keeps a file of their own in it
        data_dir.rmdir()
    return True


def _ours(properties: Path) -> bool:
    try:
        return properties.read_text().startswith(OURS)
    except (OSError, UnicodeDecodeError):
        return False
