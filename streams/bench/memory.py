"""What a process holds of this machine's memory, and a folder of its disk (Linux)."""

import os
import re
from collections.abc import Container
from pathlib import Path

_PARTITION = re.compile(r"-\d+$")  # of a folder's name in Kafka's log: topic-partition
_BLOCK_BYTES = 512


def resident_bytes() -> int:
    """Resident memory of this process now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for each in found:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, path.read_text().split())
            except OSError:
                continue  # a thread that has just ended
    return found


def memory_of(pid: int) -> tuple[int, int]:
    """Return resident and proportional set size in bytes of a process and its descendants; zeros without /proc.

    The second counts a page that n processes share as the n-th part of it (`smaps_rollup`).
    """
    resident = proportional = 0
    for each in family(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes = dict(re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE))
        resident += int(sizes.get("Rss", 0)) * 1_024
        proportional += int(sizes.get("Pss", 0)) * 1_024
    return resident, proportional


def disk_bytes(folder: Path, topics: Container[str] | None = None) -> int:
    """Return the space that a broker's log takes, of these topics only if they are given.

    Blocks count, not lengths: Kafka makes index files of 10 MB that are all but empty.
    """
    total = 0
    for place, _, files in os.walk(folder):
        if topics is not None and _PARTITION.sub("", Path(place).name) not in topics:
            continue
        for file in files:
            try:
                total += os.stat(os.path.join(place, file)).st_blocks * _BLOCK_BYTES
            except FileNotFoundError:
                continue  # deleted meanwhile
    return total
