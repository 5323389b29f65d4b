"""Fetch the jars of Apache Kafka once, by Maven, and find a Java that can run them."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.errors import BrokerError
from streams.files import cache_dir, shipped

JAVA_MIN = 17  # Kafka 4 brokers need it
STAMP = "complete.json"
INSTALL = "Debian/Ubuntu: apt-get install openjdk-17-jre-headless maven; macOS: brew install openjdk@17 maven"
ELSEWHERE = "or use a cluster that runs already, with --bootstrap HOST:PORT"


def say(line: str) -> None:
    """Print a line of progress where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)


def find_java() -> str:
    """Return a Java of version 17 or later, from ``JAVA_HOME`` or the path.

    Raises `BrokerError` that says what to install.
    """
    home = os.environ.get("JAVA_HOME")
    seen = []
    for java in (os.path.join(home, "bin", "java") if home else None, shutil.which("java")):
        if java and (version := _java_version(java)) is not None:
            if version >= JAVA_MIN:
                return java
            seen.append(f"{java} is version {version}")
    found = "; ".join(seen) or "no java was found in JAVA_HOME or PATH"
    raise BrokerError(f"Kafka needs Java {JAVA_MIN} or later: {found}.\nInstall it ({INSTALL}), {ELSEWHERE}.")


def _java_version(java: str) -> int | None:
    try:
        text = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30).stderr  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match.group(1)) if match else None


def kafka_version() -> str:
    """Return the version of Kafka that the pinned pom names, such as 4.1.1."""
    match = re.search(r"<kafka\.version>([^<]+)<", shipped("kafka-pom.xml").read_text())
    if match is None:
        raise BrokerError("kafka-pom.xml names no kafka.version: the installation of stillwatch is broken")
    return match.group(1)


def jars_dir(report: Callable[[str], None] = say) -> Path:
    """Return the folder that holds Kafka's jars, fetching them first if it is not complete.

    A second process that wants them at the same time waits. ``report`` takes lines of progress.
    Raises `BrokerError` if Maven is missing or fails.
    """
    pom = shipped("kafka-pom.xml")
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    target = cache_dir() / f"kafka-{kafka_version()}-{digest}"
    if complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock")):
        if not complete(target):
            _fetch(pom, target, report)
    return target


def complete(target: Path) -> bool:
    """Tell whether every jar that the stamp names is there in its full size."""
    try:
        sizes = json.loads((target / STAMP).read_text())
        return bool(sizes) and all((target / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released by the kernel if this process dies
        yield


def _fetch(pom: Path, target: Path, report: Callable[[str], None]) -> None:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise BrokerError(
            f"Maven is needed once, to fetch Apache Kafka {kafka_version()}, and no mvn was found in PATH.\n"
            f"Install it ({INSTALL}), {ELSEWHERE}."
        )
    report(f"Fetching Apache Kafka {kafka_version()} with Maven (46 jars, 43 MB, once) into {target}")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        # Maven writes next to the pom it is given; an installed package may be read-only.
        project, jars = Path(scratch, "pom.xml"), Path(scratch, "jars")
        shutil.copyfile(pom, project)
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
        _maven([mvn, "-B", "-f", str(project), *goal], report)
        sizes = {jar.name: jar.stat().st_size for jar in sorted(jars.glob("*.jar"))}
        if not any(name.startswith("kafka_2") for name in sizes):
            raise BrokerError(f"Maven ended well but brought no Kafka server jar, only {len(sizes)} other files.")
        (jars / STAMP).write_text(json.dumps(sizes, indent=1))
        shutil.rmtree(target, ignore_errors=True)
        jars.rename(target)
    report(f"Fetched {len(sizes)} jars, {sum(sizes.values()) / 1e6:.0f} MB")


def _maven(command: list[str], report: Callable[[str], None]) -> None:
    last: deque[str] = deque(maxlen=15)
    jars = 0
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith("Downloaded") or " Downloaded from " in line:
                if ".jar " in line:
                    jars += 1
                    if jars % 25 == 0:  # Maven's own plugins are among them, so there is no total to name
                        report(f"  {jars} files so far")
            elif " Downloading from " not in line and not line.startswith(("Downloading", "Progress")) and line.strip():
                last.append(line.rstrip())
    if process.returncode != 0:
        tail = "\n".join(f"  {line}" for line in last)
        raise BrokerError(
            f"Maven could not fetch Apache Kafka (exit {process.returncode}); its last lines:\n{tail}\n"
            f"Check the network and ~/.m2/settings.xml (a mirror or proxy), {ELSEWHERE}."
        )
