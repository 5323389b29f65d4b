"""Find free ports, and say who holds a taken one."""

import os
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
# Below the ephemeral ranges of Linux (32768 on) and macOS (49152 on): while a broker is down, a client that keeps
# trying to reconnect could else be given the very port as its own and connect to itself.
PORTS = range(15_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return distinct ports that were free a moment ago; another program may still take one first."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        if not port_taken(port):
            found.append(port)
    return found


def port_taken(port: int) -> bool:
    """Tell whether somebody listens on this port of the loopback or of all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False


def port_owner(port: int) -> str:
    """Return " by NAME (process ID)" for the listener on a port; empty if it cannot be told.

    Reads /proc, so it is empty on other systems than Linux and for another user's process.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(fd) in sockets for fd in (process / "fd").iterdir()):
                return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return ""


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
        except OSError:
            continue
        inodes += [row[9] for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == port]  # 0A: LISTEN
    return inodes
