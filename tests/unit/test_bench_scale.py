"""Unit tests of the scale curve and of latency under load."""

import msgspec
import numpy as np
import pytest

from streams.bench import crowd, scale
from streams.bench.crowd import LEAST_EVENTS, PER_ACCOUNT, Crowd
from streams.bench.curve import COLUMNS, cells, measure_all, model, points_of, sizes
from streams.bench.live import Verdict, due, measure, verdicts_of
from streams.bench.scale import Point, Size
from streams.bench.scale import measure as measure_size
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.contracts.request import RequestEvent, decode_request
from streams.errors import StillwatchError


def point(seen: int, held: int, us: float, size: int) -> Point:
    """Return a measurement with stages alike."""
    each = dict.fromkeys(("accounts", "tokens", "campaigns"), us)
    memory = dict.fromkeys(each, size) | {"process": 3 * size}
    return Point(seen, held, 3 * seen, 1_000, each, memory, size // 2, dict.fromkeys(each, size), each, 0.1)


def test_a_crowd_is_whole():
    """Every account shows up, in order of event time, with events that are plain and unlike each other."""
    many = Crowd(120_000)
    found = [(key, decode_request(line, 10_000)) for _, (key, line) in zip(range(5_000), many.lines(), strict=False)]
    assert all(isinstance(event, RequestEvent) and event.account_id.encode() == key for key, event in found)
    times = [event.event_time for _, event in found]
    assert sorted(times) == times
    assert 5_000 == len({event.event_id for _, event in found})
    keys = [key for key, _ in many.lines()]
    assert (3 * 120_000, 120_000) == (len(keys), len(set(keys)))
    assert max(120_000 * PER_ACCOUNT, LEAST_EVENTS) == many.events


def test_few_accounts_are_busy():
    """The rates of a crowd have a heavy tail: the busiest hundredth makes a good part of the events."""
    _, counts = np.unique([key for key, _ in Crowd(50_000).lines()], return_counts=True)
    counts[::-1].sort()
    assert 0.2 < counts[:500].sum() / counts.sum() < 0.9


def test_lifetimes_make_accounts_come_and_go():
    """Only where fewer are held than seen are lifetimes short."""
    settings = Settings()
    assert settings == Size(1_000_000, 1_000_000).limits(settings)
    short = Size(1_000_000, 100_000).limits(settings)
    assert 300_000 == short.accounts.ttl_ms  # a tenth of 3 million events at 1,000 a second of event time
    assert short.time.far_ahead_ms < short.accounts.ttl_ms


@pytest.mark.parametrize(("seen", "held"), [(2_000, 2_000), (8_000, 2_000)], ids=["all held", "evicted"])
def test_a_size_is_measured(monkeypatch, seen, held):
    """All stages are fed, checkpointed and restored; where accounts come and go, far fewer are held than seen."""
    monkeypatch.setattr(crowd, "LEAST_EVENTS", 24_000)
    monkeypatch.setattr(scale, "CHECKPOINT_EVENTS", 6_000)
    found = measure_size(Size(seen, held), Settings())
    assert (seen, 24_000) == (found.seen, found.events)
    assert found.held == seen if held == seen else held / 2 < found.held < seen / 2
    for figures in (found.us_per_event, found.state_bytes, found.restart_s):
        assert {"accounts", "tokens", "campaigns"} == set(figures)
        assert all(figure >= 0 for figure in figures.values())
    assert found.us_per_event["accounts"] > 0
    assert found.state_bytes["accounts"] > 100 * found.held
    assert found.first_sightings_bytes > 0


def test_sizes_end_with_eviction():
    """Powers of ten up to the largest, then ten times as many of which that many are held."""
    found = [(size.seen, size.held) for size in sizes(1_000_000)]
    assert [(10**4, 10**4), (10**5, 10**5), (10**6, 10**6), (10**7, 10**6)] == found


def test_what_was_measured_is_not_measured_again(tmp_path):
    """A curve goes on with the sizes that its file does not hold; here it holds all of them."""
    path = tmp_path / "curve.jsonl"
    points = [point(size.seen, size.held, 1.0, 100) for size in sizes(20_000)]
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in points))

    def report(what: str, events: int) -> None:
        raise AssertionError(f"measured {what}")

    assert points == measure_all(path, 20_000, Settings(), report) == points_of(path)
    assert {len(COLUMNS)} == {len(cells(each)) for each in points}


def test_the_model_is_fitted_to_what_is_held():
    """Cost that grows by 2 us a decade is found, whatever was measured under eviction."""
    points = [point(10**n, 10**n, 2.0 * n, 500 * 10**n) for n in (4, 5, 6)] + [point(10**7, 10**6, 99.0, 1)]
    text = model(points)
    assert "accounts: 0.0 + 2.0 log10(accounts) us an event, 500 bytes an account" in text.replace("-0.0 +", "0.0 +")
    assert "1.2 cores for accounts" in text
    assert "full at 83,333 events/s" in text
    assert "two sizes" in model(points[-2:])


def test_latency_counts_from_when_an_event_was_due():
    """Each event is decided with the first decision that covers it; a stall is paid for by all that were due."""
    verdicts = [Verdict(1_000 + at, 1_000 + done) for at, done in ((15, 10), (40, 30), (41, 35), (92, 85), (99, 95))]
    found = measure(verdicts, 10.0, 900, 1_000.0, 1_050.0, 1_090.0, 8.0)
    # due from 10 s (settled) to 42 s (kill - bound), and from 92 s (recovered) to 90 s (nothing)
    assert (42.0, 42.0) == (found.first_verdict_s, found.recovered_s)
    assert 320 <= found.events <= 321
    assert 49 <= found.most_s <= 58  # due just after 35 s, decided at 92 s
    assert found.p50_s < found.p99_s <= found.p999_s <= found.most_s


def test_a_worker_that_never_recovers_is_an_error():
    """There is no recovery to report if decisions stay late."""
    verdicts = [Verdict(1_000.0, 990.0), Verdict(1_060.0, 1_010.0)]
    with pytest.raises(StillwatchError, match="never caught up"):
        measure(verdicts, 10.0, 600, 1_000.0, 1_050.0, 1_055.0, 7.0)


def test_events_are_stamped_with_the_moment_they_are_due(tmp_path):
    """The event time is that of the schedule, not of the sending, and few events come again under other ids."""
    path = tmp_path / "events"
    lines = (b'{"event_id":"x","event_time":%d,"account_id":"%c"}\n' % (5, who) for who in b"ab")
    path.write_bytes(b"".join(lines))
    found = list(due(Traffic(str(path), 2, 0, 0), 4.0, 3, 100.0))
    assert [(100_000, "a"), (100_250, "b"), (100_500, "a")] == [(event.time_ms, event.account_id) for event in found]
    assert b'{"event_id":"1-x","event_time":100500,"account_id":"a"}' == found[2].value


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    """What a worker wrote before it was killed is read up to the last whole line."""
    path = tmp_path / "verdicts"
    whole = msgspec.json.encode(Verdict(2.0, 1.0))
    path.write_bytes(whole + b"\n" + whole[:9] + b"\n" + whole + b"\n" + whole[:5])
    assert [Verdict(2.0, 1.0)] * 2 == verdicts_of(path)
