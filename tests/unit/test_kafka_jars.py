"""Fetching Kafka: what is said when Java or Maven is missing, fails, or is too old."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streams.errors import BrokerError
from streams.runtime.kafka_jars import STAMP, complete, find_java, jars_dir, kafka_version


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole path, and a cache of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def script(folder: Path, name: str, text: str) -> Path:
    """Put a program on the path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


MAVEN = """
for argument; do case $argument in -DoutputDirectory=*) out=${argument#*=};; esac; done
echo run >> "${0%/*}/runs"
/bin/mkdir -p "$out"
echo jar > "$out/kafka_2.13-4.jar"
echo jar > "$out/other.jar"
echo '[INFO] Downloaded from central: https://repo/other.jar (1 kB)'
"""


def test_missing_java_is_told_with_what_to_install(tools: Path):
    """No java on the path: how to install it, and that a cluster elsewhere will do."""
    with pytest.raises(BrokerError) as error:
        find_java()
    for expected in ("Java 17", "no java was found", "apt-get install openjdk-17", "brew install", "--bootstrap"):
        assert expected in error.value.message


@pytest.mark.parametrize(
    ("text", "version"), [('openjdk version "11.0.2"', 11), ('java version "1.8.0_292"', 8)], ids=["11", "8"]
)
def test_an_old_java_is_named(tools: Path, text: str, version: int):
    """The message says which java was found and how old it is."""
    java = script(tools, "java", f"echo '{text}' >&2")
    with pytest.raises(BrokerError, match=f"{java} is version {version}"):
        find_java()


def test_a_good_java_on_the_path_serves_though_java_home_is_old(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first one that can run Kafka is taken."""
    home = tmp_path / "jdk" / "bin"
    home.mkdir(parents=True)
    script(home, "java", "echo 'openjdk version \"11\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(home.parent))
    java = script(tools, "java", "echo 'openjdk version \"21.0.1\"' >&2")
    assert str(java) == find_java()


def test_missing_maven_is_told_with_what_to_install(tools: Path):
    """Maven is needed once; without it the message says so."""
    with pytest.raises(BrokerError) as error:
        jars_dir(report=lambda _: None)
    for expected in (kafka_version(), "no mvn was found", "apt-get install", "--bootstrap"):
        assert expected in error.value.message


def test_a_failing_maven_shows_its_last_lines_and_leaves_no_half(tools: Path, tmp_path: Path):
    """What Maven said is in the message, downloads are not, and nothing that looks complete is left."""
    script(tools, "mvn", "echo Downloading from central: x\necho '[ERROR] Unknown host'\nexit 3")
    with pytest.raises(BrokerError) as error:
        jars_dir(report=lambda _: None)
    assert "exit 3" in error.value.message
    assert "[ERROR] Unknown host" in error.value.message
    assert "Downloading" not in error.value.message
    assert [] == [path for path in (tmp_path / "cache" / "stillwatch").iterdir() if path.is_dir()]


def test_jars_are_fetched_once_and_again_if_one_is_cut_short(tools: Path):
    """A complete folder is used as it is; a damaged one is fetched anew."""
    script(tools, "mvn", MAVEN)
    first = jars_dir(report=lambda _: None)
    assert first == jars_dir(report=lambda _: None)
    assert 1 == len((tools / "runs").read_text().splitlines())

    (first / "other.jar").write_bytes(b"")
    assert not complete(first)
    assert first == jars_dir(report=lambda _: None)

    assert complete(first)
    assert 2 == len((tools / "runs").read_text().splitlines())


def test_a_folder_without_a_stamp_is_not_complete(tmp_path: Path):
    """A stamp that is missing, damaged or empty proves nothing."""
    assert not complete(tmp_path)
    for text in ("", "[]", "{}", json.dumps({"a.jar": 3})):
        (tmp_path / STAMP).write_text(text)
        assert not complete(tmp_path)
    (tmp_path / "a.jar").write_bytes(b"abc")
    assert complete(tmp_path)


def test_a_maven_that_brings_no_broker_is_refused(tools: Path):
    """A mirror that answers with something else does not end as a complete folder."""
    script(tools, "mvn", MAVEN.replace("kafka_2.13-4.jar", "nothing.jar"))
    with pytest.raises(BrokerError, match="no Kafka server jar"):
        jars_dir(report=lambda _: None)


def test_processes_at_once_fetch_once(tools: Path):
    """The others wait for the first and find its work done."""
    script(tools, "mvn", MAVEN)
    code = "from streams.runtime.kafka_jars import jars_dir; jars_dir()"
    children = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [0, 0, 0] == [child.wait(60) for child in children]
    assert 1 == len((tools / "runs").read_text().splitlines())
