"""Unit tests of the soak: its crowd, its slope, its verdict, and what it measures of processes and disks."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streams.bench.crowd import START_MS, Turnover
from streams.bench.memory import disk_bytes, family, memory_of
from streams.bench.slope import LEAST_POINTS, Slope, judge, slope
from streams.bench.soak import SCALE, scaled, steady_s
from streams.bench.soaked import Line, soaked, text
from streams.config import Settings
from streams.contracts.request import RequestEvent, decode_request
from streams.errors import StillwatchError

MINUTES = np.arange(120) / 6  # twenty minutes of lines
MB = 1_000_000


def lines(rss_mb, lag=lambda minute: 1_000.0, seed=1) -> list[Line]:
    """Forty minutes of a soak at 10,000 events/s, a line every ten seconds; functions give MB and lag by minute."""
    random = np.random.default_rng(seed)
    out = []
    for n in range(1, 241):
        noise, jitter = random.normal(0, 1, 2)
        sent, rss = 100_000 * n, round((rss_mb(n / 6) + noise) * MB)
        behind = max(0, round(lag(n / 6) + 200 * jitter))
        out.append(Line(10.0 * n, sent, sent - behind, behind, rss, rss, 3.0 * n, 0, 0, 5, 0, {}, {}))
    return out


def test_the_slope_of_noise_is_within_its_error():
    """Of many flat noisy series about one in twenty has a slope beyond two standard errors; the true one is found."""
    random = np.random.default_rng(5)
    found = [slope(MINUTES, 3.0 * MINUTES + random.normal(0, 2.0, MINUTES.size)) for _ in range(400)]
    beyond = np.mean([abs(each.per_min - 3.0) > 2 * each.error for each in found])
    assert 0.01 < beyond < 0.10
    assert pytest.approx(3.0, abs=0.01) == np.mean([each.per_min for each in found])


def test_the_error_knows_that_neighbours_are_alike():
    """A series that wanders back to its mean has a larger error than noise; without that it would seem to grow."""
    random = np.random.default_rng(6)

    def wandering() -> Slope:
        steps, level, out = random.normal(0, 1.0, MINUTES.size), 0.0, []
        for step in steps:
            level = 0.8 * level + float(step)
            out.append(level)
        return slope(MINUTES, out)

    found = [wandering() for _ in range(400)]
    assert 0.15 > np.mean([abs(each.per_min) > 2 * each.error for each in found])


def test_too_few_points_have_no_slope():
    """A fit of few points is refused, not guessed."""
    with pytest.raises(ValueError, match="too few"):
        slope(range(LEAST_POINTS - 1), [1.0] * (LEAST_POINTS - 1))


@pytest.mark.parametrize(
    ("per_min", "error", "expected"),
    [
        (0.0, 0.1, "flat"),
        (0.9, 0.1, "flat"),  # surely not none, but less than is allowed
        (3.0, 2.0, "flat"),  # may be none
        (3.0, 1.0, "grows"),
        (-3.0, 1.0, "falls"),
        (3.0, 9.0, "unclear"),  # may be none, and may be 21 times what is allowed
        (0.5, 9.0, "unclear"),
        (30.0, 9.0, "grows"),
    ],
)
def test_judgement(per_min, error, expected):
    """What is small or may be none is flat, unless hardly anything is known of it."""
    assert expected == judge(Slope(per_min, error), 1.0)


@pytest.mark.parametrize(
    ("rss_mb", "expected"),
    [
        (lambda minute: 900.0, "flat"),
        (lambda minute: 900.0 + 0.1 * minute, "flat"),  # 6 MB an hour of 900: two thirds of a hundredth
        (lambda minute: 900.0 + 2.0 * minute, "grows"),
        (lambda minute: 900.0 - 2.0 * minute, "falls"),
        (lambda minute: min(900.0, 300.0 + 60.0 * minute), "flat"),  # filled up within the first half
        (lambda minute: 900.0 + 100.0 * (minute >= 30), "grows"),  # a step
        (lambda minute: 900.0 + 40.0 * (minute % 2), "flat"),  # tidied up every other minute
    ],
)
def test_verdict_on_memory(rss_mb, expected):
    """A soak is judged by its second half: growth is told from noise, from steps up and down, and from filling up."""
    found = soaked(lines(rss_mb), 10_000.0, 600.0)
    assert (expected, expected != "grows") == (found.memory, found.ok)
    assert ("GROWS" in text(found)) == (expected == "grows")
    assert (10_000, 30.0, 40.0, True) == (found.events_per_s, found.cpu_us_per_event, found.minutes, found.steady)


@pytest.mark.parametrize(
    ("lag", "expected"),
    [(lambda minute: 2_000.0, "flat"), (lambda minute: 2_000.0 + 3_000.0 * minute, "grows")],
)
def test_verdict_on_lag(lag, expected):
    """A worker that falls behind does not pass, however flat its memory is."""
    found = soaked(lines(lambda minute: 900.0, lag), 10_000.0, 600.0)
    assert (expected, "flat", expected == "flat") == (found.falling_behind, found.memory, found.ok)


def test_a_short_soak_says_so():
    """As long as the population grows, growth of memory is no failure and the text says why; few lines are an error."""
    found = soaked(lines(lambda minute: 900.0 + 2.0 * minute), 10_000.0, 1_300.0)
    assert ("grows", False, True) == (found.memory, found.steady, found.ok)
    assert "Too short" in text(found)
    with pytest.raises(StillwatchError, match="too few"):
        soaked(lines(lambda minute: 900.0)[:8], 10_000.0, 600.0)


def test_accounts_come_and_go():
    """So many accounts are busy at any time, each for its stay; events are plain and evenly spaced."""
    many = Turnover(500, 60_000)
    found = list(itertools.islice(many.lines(2.5), 120_000))
    assert [START_MS, START_MS + 2, START_MS + 5] == [time_ms for time_ms, _, _ in found[:3]]
    first, last = {}, {}
    for time_ms, key, _ in found:
        first.setdefault(key, time_ms)
        last[key] = time_ms
    assert max(last[key] - first[key] for key in first) < 60_000
    assert 5 * 500 < len(first) <= 7 * 500  # five minutes
    for start in range(0, 120_000, 24_000):
        assert 350 < len({key for _, key, _ in found[start : start + 2_000]}) <= 520
    events = [decode_request(line, 10_000) for _, _, line in found[:2_000]]
    assert all(isinstance(event, RequestEvent) for event in events)
    assert 2_000 == len({event.event_id for event in events})


def test_lifetimes_are_scaled_alike():
    """All lifetimes are divided by one number; a soak is steady once accounts have stayed, expired and been let go."""
    settings = Settings()
    short = scaled(settings, 30.0)
    for name in ("ttl_ms", "infrastructure_ttl_ms", "content_ttl_ms", "near_prompt_ttl_ms"):
        assert getattr(settings.accounts, name) // SCALE == getattr(short.accounts, name)
    assert (4 * 3_600_000, 30_000) == (short.accounts.ttl_ms, short.kafka.internal_retention_ms)
    assert 2 * (3 * 4 * 60 + 60 + 10) == steady_s(short)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from /proc")
def test_memory_of_all_processes():
    """What a child holds counts; the shares of shared pages are not above what is resident."""
    alone, _ = memory_of(os.getpid())
    program = "import sys; held = b'x' * 60_000_000; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in family(os.getpid())
        together, proportional = memory_of(os.getpid())
        assert together - alone > 50_000_000
        assert 60_000_000 < proportional < together
        child.communicate(b"")
    assert (0, 0) == memory_of(child.pid)


def test_disk_of_some_topics(tmp_path):
    """Space is that of the blocks, of the topics that are asked for; holes in files take none."""
    for folder in ("a-0", "a-1", "a-b-0"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.log").write_bytes(b"x" * 100_000)
    with (tmp_path / "a-0" / "0.index").open("wb") as file:
        file.truncate(10 * MB)
    whole = disk_bytes(tmp_path)
    assert 300_000 <= whole < 1 * MB
    assert (2 * whole, whole) == (3 * disk_bytes(tmp_path, {"a"}), 3 * disk_bytes(tmp_path, {"a-b"}))
