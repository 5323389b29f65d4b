"""Files in, alerts out, without a broker."""

import gzip
import io
import json
import sys
from types import SimpleNamespace

import pytest
import zstandard
from click.testing import CliRunner

from streams.cli import main
from streams.config import Kafka, Settings
from streams.contracts.hashing import partition_of
from streams.errors import InputError
from streams.operator import DEAD_LETTERS
from streams.replay import Replay, key_of, replay
from streams.simulator.campaigns import parse
from streams.simulator.campaigns.shapes import DEFAULTS
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan

SETTINGS = Settings(kafka=Kafka(request_partitions=3, sighting_partitions=2))


def lines(hours: float = 0.5) -> bytes:
    return b"".join(event.value + b"\n" for event in Simulation(Plan(seed=4, accounts=60, hours=hours)))


def write(path, data: bytes) -> str:
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.jsonl.zst"])
def test_formats(tmp_path, name):
    """Plain and compressed files are read to their end, and counted."""
    data = lines()
    summary = replay([write(tmp_path / name, data)], SETTINGS, lambda record: None)
    assert data.count(b"\n") == summary.events == summary.outcomes["accepted"]
    assert 0 < summary.accounts <= 60
    assert summary.peak_memory_bytes > 10**7


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_archives_in_parts(tmp_path, suffix):
    """An archive that was appended to is read to its end."""
    data = lines()
    path = tmp_path / f"t.jsonl{suffix}"
    write(path, data)
    first = path.read_bytes()
    write(path, b'{"no": "event"}\n')
    path.write_bytes(first + path.read_bytes())
    assert data.count(b"\n") + 1 == replay([str(path)], SETTINGS, lambda record: None).events


def test_standard_input(monkeypatch):
    """A dash is the standard input."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines())))
    assert replay(["-"], SETTINGS, lambda record: None).events > 0


def test_several_files_are_one_input(tmp_path):
    """Files are read in order, as if they were one."""
    data = lines().splitlines(keepends=True)
    half = len(data) // 2
    parts = [write(tmp_path / f"{i}.jsonl", b"".join(part)) for i, part in enumerate((data[:half], data[half:]))]
    one = replay([write(tmp_path / "one.jsonl", b"".join(data))], SETTINGS, lambda record: None)
    two = replay(parts, SETTINGS, lambda record: None)
    assert (one.events, one.accounts, one.outcomes) == (two.events, two.accounts, two.outcomes)


@pytest.mark.parametrize("name", ["missing.jsonl", "cut.jsonl.gz", "cut.jsonl.zst", "noise.jsonl.gz"])
def test_unreadable(tmp_path, name):
    """A file that is missing, cut off or no such archive is an error that names it."""
    path = tmp_path / name
    if name.startswith("cut"):
        write(path, lines())
        path.write_bytes(path.read_bytes()[:-100])
    elif name.startswith("noise"):
        path.write_bytes(b"this is no archive")
    with pytest.raises(InputError, match=name):
        replay([str(path)], SETTINGS, lambda record: None)


def test_lines_that_are_no_events(tmp_path):
    """What is no event goes to the dead letters; empty lines are nothing; the rest is not touched."""
    good = lines().splitlines()
    mixed = [*good[:5], b"", b"{", b"\xff\xfe", b'"text"', *good[5:], b""]
    letters = []

    def keep(record):
        if record.role == DEAD_LETTERS:
            letters.append(json.loads(record.value)["reason"])

    summary = replay([write(tmp_path / "t.jsonl", b"\r\n".join(mixed))], SETTINGS, keep)
    assert sorted(["broken_json", "broken_json", "not_an_object"]) == sorted(letters)
    assert (3, len(good)) == (summary.dead_letters, summary.outcomes["accepted"])


def test_empty_input(tmp_path):
    """No event at all is a result, too."""
    summary = replay([write(tmp_path / "t.jsonl", b"")], SETTINGS, lambda record: None)
    assert (0, 0, 0) == (summary.events, summary.accounts, summary.alerts)


def test_every_stage_ends():
    """The end of input reaches all stages, whether or not a partition had any."""
    for data in (b"", lines()):
        host = Replay(SETTINGS, lambda record: None)
        for line in data.splitlines():
            host.feed(line)
        host.end()
        pipeline = host.pipeline
        assert all(stage.finished for stage in [*pipeline.accounts, *pipeline.tokens, pipeline.campaigns])


def test_accounts_fall_on_kafkas_partitions():
    """No event counts as misrouted: a replay deals accounts out as a producer does."""
    host = Replay(SETTINGS, lambda record: None)
    names = set()
    for line in lines().splitlines():
        names.add(key_of(line))
        host.feed(line)
    host.end()
    counters = [operator.counters for operator in host.pipeline.accounts]
    assert 0 == sum(
        each.get(("events", "misrouted"), 0) + each.get(("misrouted", "missing_key"), 0) for each in counters
    )
    held = [operator.gauges()["held", "accounts"] for operator in host.pipeline.accounts]
    assert [sum(partition_of(name.decode(), 3) == p for name in names) for p in range(3)] == held


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"account_id":"a"}', b"a"),
        (b'{"account_id" : "a\\u00e4"}', "aä".encode()),
        (b'{"account_id":5}', None),
        (b"{", None),
        (b"\xff", None),
    ],
)
def test_key_of(line, key):
    """The key is the account's name in UTF-8, or nothing."""
    assert key == key_of(line)


def test_truth_tells_what_was_caught(tmp_path):
    """A campaign of thirty accounts is caught and named, nobody else is; a table for people, figures for programs."""
    campaign = parse("fixed_prompt:accounts=30,per_day=100", DEFAULTS)
    simulation = Simulation(Plan(seed=4, accounts=200, hours=4.0, campaigns=(campaign,)))
    traffic = write(tmp_path / "t.jsonl.zst", b"".join(event.value + b"\n" for event in simulation))
    truth = tmp_path / "truth.json"
    simulation.truth.write(truth)

    text = CliRunner().invoke(main, ["replay", traffic, "--truth", str(truth)])
    fields = CliRunner().invoke(main, ["replay", traffic, "--truth", str(truth), "--json"])

    assert 0 == text.exit_code, text.output
    assert "caught 1 of 1 campaign and named" in text.output
    found = json.loads(fields.stdout)
    assert found["score"]["passed"], found["score"]["faults"]
    (caught,) = found["score"]["campaigns"]
    assert ("fixed_prompt", True) == (caught["shape"], caught["caught"])
    assert 0 < caught["right"] <= caught["accounts"] <= 30
    assert 0 < caught["leaked"] < caught["exchanges"]
    assert 1.0 == caught["precision"]
    assert found["events"] == simulation.truth.events


def test_a_failure_leaves_what_was_there(tmp_path):
    """An input that is missing, cut off, or given as an output as well, destroys no file."""
    (tmp_path / "alerts.jsonl").write_text("of yesterday")
    whole = write(tmp_path / "t.jsonl", lines())
    cut = write(tmp_path / "cut.jsonl.gz", lines())
    (tmp_path / "cut.jsonl.gz").write_bytes((tmp_path / "cut.jsonl.gz").read_bytes()[:-100])
    size = (tmp_path / "t.jsonl").stat().st_size
    alerts = str(tmp_path / "alerts.jsonl")
    for arguments in (
        [str(tmp_path / "missing.jsonl"), "--alerts", alerts],
        [cut, "--alerts", alerts],
        [whole, "--alerts", whole],
        [whole, "--alerts", alerts, "--dead-letters", alerts],
        [whole, "--alerts", alerts, "--reference", whole],
    ):
        assert CliRunner().invoke(main, ["replay", *arguments]).exit_code in (2, 4), arguments
    assert "of yesterday" == (tmp_path / "alerts.jsonl").read_text()
    assert size == (tmp_path / "t.jsonl").stat().st_size
    assert [] == list(tmp_path.glob("*.part"))

    assert 0 == CliRunner().invoke(main, ["replay", whole, "--alerts", alerts]).exit_code
    assert "of yesterday" != (tmp_path / "alerts.jsonl").read_text()


def test_a_full_disk_is_not_blamed_on_the_input(tmp_path):
    """The output that cannot be written is named."""
    (tmp_path / "broken.jsonl").write_bytes(b"{\n" * 100_000)
    result = CliRunner().invoke(main, ["replay", str(tmp_path / "broken.jsonl"), "--dead-letters", "/dev/full"])
    assert 2 == result.exit_code
    assert "cannot write /dev/full" in result.output


def test_what_is_no_truth_is_refused_before_the_work(tmp_path):
    """Exit 2 and the file, not a traceback after an hour."""
    (tmp_path / "t.json").write_text("[]")
    result = CliRunner().invoke(main, ["replay", str(tmp_path / "missing.jsonl"), "--truth", str(tmp_path / "t.json")])
    assert 2 == result.exit_code
    assert "t.json is no truth" in result.output
