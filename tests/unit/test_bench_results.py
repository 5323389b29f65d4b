"""Unit tests of what `stillwatch bench` makes of its measurements."""

import subprocess
import sys
from contextlib import nullcontext
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from streams.bench import run, table
from streams.bench.alone import campaigns, evidence, without_links
from streams.bench.digest import Digest, void
from streams.bench.footprint import Footprint
from streams.bench.meter import Meter, Sample, samples_of, steady
from streams.bench.plot import bars
from streams.bench.row import Row
from streams.bench.run import Runner, void_alerts, with_helpers
from streams.bench.table import KINDS, NOT_INSTALLED, cells, lines_of, markdown
from streams.bench.traffic import TEXT_CHARS, Traffic, write_traffic
from streams.config import Settings
from streams.contracts.packets import RUNNING, SIGHTING, SIGNAL, Sightings, Signals, encode_packet
from streams.errors import StillwatchError
from streams.operator import ALERTS, EVIDENCE, SIGHTINGS


def sample(events: int, at_s: float, cpu_s: float) -> Sample:
    """Return one with threads that share its CPU time evenly."""
    return Sample(events, at_s, cpu_s, 1_000 + events, {"event loop": cpu_s / 2, "librdkafka": cpu_s / 2})


def row(name: str, cpu: float, rate: int = 1_000, run: int = 0, void: str = "") -> Row:
    """Return a measurement of a row."""
    return Row(KINDS[name].label, 100, 0.1, rate, cpu, memory_bytes=5_000_000, run=run, void=void)


def packets(cuts: tuple[int, ...]) -> list[tuple[str, bytes]]:
    """Return the same items, cut into packets at ``cuts``."""
    sightings, signals = np.zeros(6, SIGHTING), np.zeros(6, SIGNAL)
    sightings["offset"] = signals["offset"] = range(6)
    found = []
    for start, end in zip((0, *cuts), (*cuts, 6), strict=True):
        packet = Sightings(0, 1, 1, RUNNING, sightings[start:end].tobytes())
        found.append((SIGHTINGS, encode_packet(packet)))
        packet_ = Signals(0, 1, 1, RUNNING, signals[start:end].tobytes(), [])
        found.append((EVIDENCE, encode_packet(packet_)))
    return found


def digest(records: list[tuple[str, bytes]]) -> Digest:
    """Return the digest of output records."""
    found = Digest()
    for role, value in records:
        found.add(role, value)
    return found


def test_rates_are_those_between_start_and_end():
    """What it took to start and to end is left out of the rates."""
    samples = [
        sample(0, 0.0, 3.0),
        sample(100, 5.0, 8.0),
        sample(500, 6.0, 8.4),
        sample(900, 7.0, 8.8),
        sample(1_000, 60.0, 50.0),
    ]
    found = steady("worker", samples, 1_000)
    assert (800, 400, 1_000.0) == (found.events, found.events_per_s, found.cpu_us_per_event)
    assert {"event loop": 500.0, "librdkafka": 500.0} == found.threads_us_per_event
    assert (3.0, 2_000) == (found.start_cpu_s, found.memory_bytes)


@pytest.mark.parametrize("samples", [[], [sample(0, 0.0, 1.0), sample(1_000, 1.0, 2.0)]], ids=["none", "too few"])
def test_a_row_that_was_done_too_soon_is_no_row(samples):
    """Without two samples in between there is no rate, and the message says what to do."""
    with pytest.raises(StillwatchError, match="more --events"):
        steady("worker", samples, 1_000)


def test_a_meter_writes_some_twenty_samples(tmp_path):
    """However small the batches are, a sample is taken at the start, at each twentieth and at the end."""
    path = tmp_path / "meter"
    meter = Meter(str(path), 1_000)
    meter.count(0)
    for _ in range(1_000):
        meter.count(1)
    found = [each.events for each in samples_of(path)]
    assert list(range(0, 1_001, 50)) == found


def test_a_line_that_is_being_written_is_not_read(tmp_path):
    """Samples are read while the measured process writes them."""
    path = tmp_path / "meter"
    whole = msgspec.json.encode(sample(1, 1.0, 1.0))
    path.write_bytes(whole + b"\n" + whole[:10])
    assert [1] == [each.events for each in samples_of(path)]


def test_a_digest_does_not_depend_on_how_items_are_packed():
    """Hosts cut batches differently, and what they say is still the same."""
    expected = digest(packets(()))
    assert (6, 6) == (expected.sightings, expected.signals)
    assert expected == digest(packets((1, 4)))
    assert expected == digest(list(reversed(packets((3,)))))
    assert expected == digest([*packets(()), (ALERTS, b"{}")])


def test_a_digest_sees_other_items():
    """An item that is missing, or differs in one bit, makes a row void."""
    expected = digest(packets(()))
    assert "" == void(digest(packets((2,))), expected)
    fewer = digest(packets((3,))[:2])
    assert "3 signals and 3 sightings instead of 6 and 6" == void(fewer, expected)
    other = msgspec.structs.replace(expected, total=expected.total ^ 1)
    assert "others" in void(other, expected)


def test_alerts_make_a_row_void():
    """Rows of the whole pipeline count only with the alerts of the replay, and there must be some."""
    alert, other = (b"a", b"1", (("ce_id", b"x"),)), (b"b", b"1", ())
    assert "" == void_alerts([other, alert], [alert, other])
    assert "1 of 2 alerts differ from the replay's" == void_alerts([alert], [alert, other])
    assert "no alerts" in void_alerts([], [])
    assert "no replay" in void_alerts([alert], None)


def test_a_line_is_the_median_of_its_runs():
    """A line gives median, least and largest, and its part of the limit and of stock Faust by CPU time."""
    names = ["worker-decode", "accounts", "faust-take", "worker"]
    rows = [row("accounts", cpu, rate, run) for run, (cpu, rate) in enumerate([(9, 100), (8, 300), (16, 200)])]
    rows += [row("worker-decode", 4.5), row("faust-take", 90), row("worker", 18)]
    limit, accounts, stock, worker = lines_of(rows, names)
    assert (200, 100, 300) == accounts.events_per_s
    assert (9, 8, 16) == accounts.cpu_us_per_event
    assert (3, 0.5, 10.0) == (accounts.runs, accounts.share_of_limit, accounts.times_stock)
    assert (1.0, 0.0) == (limit.share_of_limit, limit.times_stock)
    assert 1.0 == stock.times_stock
    assert (0.25, 0.0) == (worker.share_of_limit, worker.times_stock)  # does more than Faust's row: no ratio


def test_a_void_run_makes_its_line_void():
    """Figures without the right results are not shown, nor is anything held against them."""
    rows = [row("accounts", 9, run=0), row("accounts", 9, run=1, void="wrong"), row("faust-take", 90, void="wrong")]
    accounts, stock = lines_of(rows, ["accounts", "faust-take"])
    assert ("wrong", 0.0) == (accounts.void, accounts.times_stock)
    assert "wrong" == stock.void
    assert "wrong" == cells(accounts)[1]


def test_what_is_not_installed_is_said(monkeypatch):
    """A row whose package is missing says how to install it."""
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    (line,) = lines_of([], ["quix"])
    assert NOT_INSTALLED == line.void
    assert not table.missing("faust")


def test_a_host_that_fails_makes_its_row_void(monkeypatch, tmp_path):
    """The others are still measured, and what it said last is shown."""

    def failed(runner: Runner, name: str, settings: Settings) -> Row:
        raise StillwatchError("faust ended early (exit 1). Its last lines:\n  boom")

    monkeypatch.setattr(Runner, "_from_topic", failed)
    monkeypatch.setattr(run, "own_topics", lambda settings, name: nullcontext(settings))
    runner = Runner(Traffic("", 0, 0, 0), Settings(), tmp_path, lambda what, events: None)
    found = runner._measure("faust", Settings(), 1)
    assert (KINDS["faust"].label, 1) == (found.row, found.run)
    assert "boom" in found.void
    (line,) = lines_of([found], ["faust"])
    assert "faust ended early (exit 1). Its last lines:" == cells(line)[1]


def test_table_and_plot_have_every_line():
    """The Markdown table has a row for each line, the plot a bar for each that counts."""
    lines = lines_of([row("accounts", 9), row("worker", 18, void="wrong")], ["accounts", "worker"])
    page = markdown(lines).splitlines()
    assert 4 == len(page)
    assert {8} == {text.count("|") for text in page}
    drawn = ElementTree.fromstring(bars(lines, "a & b"))
    assert 2 == len(drawn.findall("{http://www.w3.org/2000/svg}rect"))  # background and one bar


def test_texts_have_one_length(tmp_path):
    """Every prompt has as many characters, and ends and begins as the simulator's."""
    events = {}
    for prompts in ("text", "fingerprints"):
        traffic = write_traffic(tmp_path / prompts, 200, 1_000, 1, lambda count: None, prompts)
        events[prompts] = [msgspec.json.decode(line) for line in traffic.lines()]
    assert {TEXT_CHARS} == {len(event["prompt"]["text"]) for event in events["text"]}
    assert ["text" in event["prompt"] for event in events["fingerprints"]] == [False] * 1_000
    openings = {event["prompt"]["text"][:30] for event in events["text"]}
    assert len(openings) > 300


def test_the_work_of_helpers_counts():
    """CPU of other workers is added by the moment of each sample, and stays when one of them has ended."""
    samples = [sample(100, 1.0, 10.0), sample(200, 2.0, 11.0), sample(300, 4.0, 12.0)]
    found = with_helpers(samples, [(0.0, 0.0), (2.0, 4.0), (3.0, 5.0), (4.0, 0.0)])
    assert [12.0, 15.0, 17.0] == [each.cpu_s for each in found]
    assert samples == with_helpers(samples, [])


def test_campaigns_alone(tmp_path):
    """It is fed all signals and links of the replay, with the links and without."""
    traffic = write_traffic(tmp_path / "events", 200, 6_000, seed=1, report=lambda count: None)
    batches = evidence(traffic, Settings(), lambda done: None)
    plain, signals, links = without_links(batches)
    assert (6_000, [each.offsets for each in batches]) == (signals, [each.offsets for each in plain])
    assert (signals, 0) == without_links(plain)[1:]
    found = campaigns(traffic, Settings())
    assert (signals, {"signals": 1.0, "links": round(links / signals, 3)}) == (found.events, found.per_event)
    assert links > 1_000
    assert min(found.us_per_item.values()) > 0


def test_memory_of_an_account():
    """With its models an account takes more than before it has them; stage campaigns has neither."""
    code = (
        "import msgspec; from streams.bench.footprint import footprint; from streams.config import Settings; "
        "print(msgspec.json.encode(footprint(20_000, Settings())).decode())"
    )  # in a process of its own: this one has memory left over from other tests, and grows by less
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    found = msgspec.json.decode(done.stdout, type=Footprint)
    assert 100 < found.few_events < 600
    assert 1_000 < found.with_models - found.few_events < 3_000
    assert 200 < found.campaigns < 1_000
