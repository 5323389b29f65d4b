"""What the demo shows: words, plain lines, and the screen at several sizes."""

import io

import pytest
from rich.console import Console
from test_evaluate_score import KEY, TRUTH, alert

from streams.contracts.alert import Evidence
from streams.contracts.fold import fold
from streams.demo.lines import Lines
from streams.demo.screen import Screen
from streams.demo.state import State
from streams.demo.traffic import Traffic
from streams.demo.words import reason, reasons, verdict_line
from streams.demo.worker_process import Numbers, parse
from streams.evaluate.score import Scorer
from streams.evaluate.words import campaign_row, false_line
from streams.runtime.metrics import make_registry
from streams.runtime.stats import HostStats, StageStats
from streams.simulator.plan import START_MS, demo_plan


def state_with(cases: int) -> State:
    """A run in its middle with so many cases."""
    state = State(seed=7, traffic=Traffic(demo_plan(7)), kafka="Apache Kafka", phase="traffic flows")
    revisions = {f"case{i}": [alert(f"case{i}", f"a{i % 4 + 1}", at_ms=START_MS)] for i in range(cases)}
    state.cases = {name: fold(found) for name, found in revisions.items()}
    state.opened_ms = dict.fromkeys(revisions, START_MS)
    state.update(Numbers(events=12_345, accounts=678))
    state.score = Scorer(TRUTH).score(revisions)
    return state


def frame(state: State, width: int, height: int) -> list[str]:
    """The lines that a terminal of this size shows."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    rendered = console.render_lines(Screen(state, console)._frame(), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in rendered]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 45), (200, 60)])
@pytest.mark.parametrize("cases", [0, 1, 40])
def test_screen_fits_the_terminal(width, height, cases):
    """Nothing is wider or higher than the terminal, and the figures and campaigns are on it."""
    lines = frame(state_with(cases), width, height)

    assert height == len(lines)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "12,345 events" in text
    assert all(each.id in text for each in TRUTH.campaigns)
    assert ("no case yet" if cases == 0 else f"{cases} case") in text


def test_newest_cases_are_shown_when_there_is_no_room_for_all():
    """The title says that there are more."""
    state = state_with(40)
    state.opened_ms["case39"] = START_MS + 3_600_000

    text = "\n".join(frame(state, 140, 45))

    assert "10:00:00" in text
    assert "40 cases, the last" in text


def test_reason_without_a_figure_gets_its_value():
    """Words alone do not say how much."""
    assert "networks an account: 23" == reason(Evidence("I20", 1.0, 23, 2, "networks an account"))
    assert "12 owners" == reason(Evidence("I1", 1.0, 12, 2, "12 owners"))
    assert "one fixed prompt around ever new content: 5" == reason(Evidence("I2", 1.0, 5))


def test_reasons_escape_what_an_attacker_could_send():
    """A terminal must not obey text that came with the traffic."""
    assert ["\\x1b[2J 1"] == reasons(alert("x", "a1", evidence=(Evidence("I1", 1.0, 1, 2, "\x1b[2J 1"),)), 3)


def test_reasons_are_those_against_the_accounts():
    """A benign explanation is no reason for a case; the strongest comes first."""
    evidence = (Evidence("I1", 1.0, 1, 2, "1 weak"), Evidence("I2", 3.0, 1, 2, "2 strong"), Evidence("b.x", -4.0, 1))

    assert ["2 strong", "1 weak"] == reasons(alert("x", "a1", evidence=evidence), 3)


def test_campaign_row_tells_missed_from_caught():
    """Leak and delay are given only where there was an alert."""
    score = Scorer(TRUTH).score({"x": [alert("x", "a1 a2 a3 c1")]})

    assert ["pool", "4", "4", "2", "50%", "2 s", "3 (75%), 1 wrong", "distillation"] == campaign_row(score.campaigns[0])
    assert ["key", "1", "1", "-", "-", "-", "-", "not caught"] == campaign_row(score.campaigns[KEY])
    assert "names 1 of 4 (1 course)" in false_line(score.false_names[0])


def test_verdict_says_how_to_repeat_a_failure():
    """Whoever sees a failure can see it again."""
    assert verdict_line(Scorer(TRUTH).score({}), 42).endswith("stillwatch demo --seed 42")


def test_lines_tell_of_openings_and_ends_but_not_of_updates():
    """A case opens, is updated, closes and opens again: three lines with the case's name."""
    state, said = state_with(0), []
    lines = Lines(state, said.append)
    revisions = []
    for number, status in enumerate(("open", "updated", "closed", "updated", "updated"), 1):
        revisions.append(alert("case", "a1" if number == 1 else "", number, status=status))
        state.cases["case"] = fold(revisions)
        lines.alert(revisions[-1])

    told = [line.partition("] ")[2] for line in said if "] case " in line]
    assert ["HIGH", "closed", "HIGH"] == ["HIGH" if "HIGH" in line else line.split()[-1] for line in told]


def test_numbers_are_read_from_what_the_worker_serves():
    """Events are those of the first stage, lag is summed over partitions, the watermark is that of the last stage."""
    accounts, campaigns = StageStats("accounts", ready=True), StageStats("campaigns", ready=True)
    accounts.counters = {("events", "accepted"): 90, ("events", "duplicate"): 7, ("events", "late"): 5}
    accounts.lag = {0: 3, 1: 4}
    campaigns.counters = {("events", "accepted"): 80}
    campaigns.gauges = {0: {("watermark_ms",): START_MS, ("held", "accounts"): 55, ("held", "cases_open"): 2}}
    stats = HostStats({"accounts": accounts, "campaigns": campaigns})

    from prometheus_client import generate_latest

    found = parse(generate_latest(make_registry(stats)).decode())

    assert (True, 97, 7, 55, 2) == (found.ready, found.events, found.lag["accounts"], found.accounts, found.cases)
    assert START_MS == found.watermark_ms
