"""The built wheel, installed into an empty environment with the pinned versions, works on its own."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import msgspec
import pytest

import streams
from streams.config import Settings
from streams.operator import ALERTS, Record
from streams.replay import replay
from streams.simulator.campaigns import SHAPES
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan
from streams.simulator.sinks import write_file

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEEL_MAX_BYTES = 3_000_000


def uv(*arguments: str) -> None:
    """Run uv, without what would make it choose another environment."""
    program = shutil.which("uv")
    assert program, "uv is what this project is set up with"
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run([program, "-q", *arguments], env=environ, capture_output=True, text=True, timeout=300)
    assert 0 == done.returncode, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(PROJECT["tool"]["uv"]["constraint-dependencies"]))
    python = folder / "venv/bin/python"
    uv("venv", "--python", sys.executable, str(folder / "venv"))
    uv("pip", "install", "--python", str(python), "--constraint", str(constraints), str(wheel))
    return python.parent


def run(programs: Path, folder: Path, *command: str) -> str:
    """Run a program of the environment in a folder that has nothing to do with the checkout; return its output."""
    environ = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    }
    done = subprocess.run(
        [str(programs / command[0]), *command[1:]], cwd=folder, env=environ, capture_output=True, text=True, timeout=120
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_wheel_carries_what_it_needs_and_nothing_else(wheel: Path):
    """Schemas, settings, Kafka's pom.xml, texts with their licences; no tests, no caches; small."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "streams/contracts/schemas/alert-event.schema.json",
        "streams/contracts/schemas/request-event.schema.json",
        "streams/contracts/fold_vectors.json",
        "streams/contracts/prompt_lexicon.toml",
        "streams/contracts/prompt_lexicon_learned.toml",
        "streams/packaged/stillwatch.toml",
        "streams/packaged/kafka-pom.xml",
        "streams/simulator/corpus/NOTICE.md",
    } <= names
    tracked = {str(path.relative_to(ROOT)) for path in (ROOT / "streams").rglob("*.py")}
    assert tracked == {name for name in names if name.endswith(".py")}
    tops = {name.partition("/")[0] for name in names}
    assert {"streams", f"stillwatch-{PROJECT['project']['version']}.dist-info"} == tops
    assert wheel.stat().st_size < WHEEL_MAX_BYTES


def test_nothing_of_the_checkout_is_used(installed: Path, tmp_path: Path):
    """The environment's own package answers, and of the tools for developers there is none."""
    place = run(installed, tmp_path, "python", "-c", "import streams; print(streams.__file__)").strip()
    assert Path(place).is_relative_to(installed.parent)
    assert Path(place) != Path(streams.__file__)
    missing = "import importlib.util as u; print([n for n in ('pytest', 'jsonschema', 'ruff') if u.find_spec(n)])"
    assert "[]" == run(installed, tmp_path, "python", "-c", missing).strip()


def test_files_outside_the_package_travel(installed: Path, tmp_path: Path):
    """The settings file and Kafka's pom.xml are those of the checkout, byte for byte."""
    code = "import sys; from streams.files import shipped; print(shipped(sys.argv[1]).read_text(), end='')"
    for name, place in (("stillwatch.toml", "config/stillwatch.toml"), ("kafka-pom.xml", "deploy/kafka/pom.xml")):
        assert (ROOT / place).read_text() == run(installed, tmp_path, "python", "-c", code, name)
    assert "requests_topic" in run(installed, tmp_path, "stillwatch", "config", "show")


def test_commands_are_there(installed: Path, tmp_path: Path):
    """Every command explains itself, the demo too."""
    overview = run(installed, tmp_path, "stillwatch", "--help")
    for command in ("demo", "worker", "replay", "simulate", "alerts", "kafka", "topics", "config"):
        assert command in overview
        assert "Usage: stillwatch" in run(installed, tmp_path, "stillwatch", command, "--help")


def test_replay_gives_what_the_checkout_gives(installed: Path, tmp_path: Path):
    """The same alerts from the same file, byte for byte."""
    spec = msgspec.structs.replace(SHAPES["fixed_prompt"].default, accounts=20, per_day=300, start_h=0.2)
    events = tmp_path / "events.jsonl.zst"
    total = write_file(Simulation(Plan(3, 60, 2.0, campaigns=(spec,))), events, lambda _: None)
    records: list[Record] = []
    replay([str(events)], Settings(), records.append)
    expected = [record.value for record in records if record.role == ALERTS]

    summary = msgspec.json.decode(
        run(installed, tmp_path, "stillwatch", "replay", str(events), "--alerts", "alerts.jsonl", "--json")
    )

    assert expected
    assert expected == (tmp_path / "alerts.jsonl").read_bytes().splitlines()
    assert (total, len(expected)) == (summary["events"], summary["alerts"])


def test_simulate_makes_what_replay_reads(installed: Path, tmp_path: Path):
    """The texts are there: traffic from the environment alone, and its replay."""
    run(
        installed,
        tmp_path,
        "stillwatch",
        "simulate",
        "--accounts",
        "50",
        "--hours",
        "0.5",
        "--out",
        "made.jsonl",
        "--json",
    )
    summary = msgspec.json.decode(run(installed, tmp_path, "stillwatch", "replay", "made.jsonl", "--json"))
    assert summary["events"] > 0
    assert 0 == summary["dead_letters"]
