"""Alerts as text, and `alerts show` on a file."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import an_alert

from streams import campaigns
from streams.cli import main
from streams.commands.alert_text import block, by_axis, case_text, clearing, moment, safe
from streams.contracts.alert import Accounts, AlertEvent, Evidence, Exchanges, Pool, encode_alert
from streams.contracts.fold import fold
from streams.contracts.indicators import INDICATORS, TECHNIQUES


def revision(alert_id: str = "0a1b2c", number: int = 1, **fields: object) -> AlertEvent:
    """Make a revision with three reasons on two axes."""
    start = {
        "subject_id": "cluster-7",
        "score": 0.9,
        "evidence_total": 11.25,
        "threshold": 8.0,
        "detected_at": 1_767_225_660_000,
        "first_seen": 1_767_225_600_000,
        "last_seen": 1_767_225_650_000,
        "accounts": Accounts(2, ("ann", "bob")),
        "pools": (Pool("pool-1", 2),),
        "exchanges": Exchanges(412, 1_500, 90_000),
        "evidence": (
            Evidence("I4", 2.5),
            Evidence("I1", 10.0, value=0.75, baseline=0.01, detail="one template, many contents"),
            Evidence("benign.course", -1.25),
        ),
        "techniques": ("AML.T0024.002",),
        "detector": {"version": "1"},
    }
    return an_alert(alert_id, number, **({"status": "open"} | start | fields))


def written(path: Path, *alerts: AlertEvent) -> str:
    """Write alerts as JSON lines and return the file's name."""
    path.write_bytes(b"".join(encode_alert(alert) + b"\n" for alert in alerts))
    return str(path)


def run(*arguments: str) -> tuple[int, str]:
    """Run the command and return its exit code and all it printed."""
    result = CliRunner().invoke(main, list(arguments), env={"STILLWATCH_CONFIG": ""})
    return result.exit_code, result.output


def test_a_revision_says_what_how_much_and_why():
    """Two lines: severity, status, category, kind, accounts and leak; then the strongest reasons, either way."""
    first, second = block(revision()).splitlines()
    for expected in ("2026-01-01 00:01:00Z", "HIGH", "open r1", "distillation cluster cluster-7", "2 accounts +2"):
        assert expected in first
    assert "leaked 412 of 1,500 exchanges" in first
    assert "[0a1b2c]" in first
    told = [
        "+10.0 one template, many contents (I1)",
        "+2.5 the model's reasoning is asked for (I4)",
        "-1.2 benign.course",
    ]
    assert "    " + "; ".join(told) == second


def test_evidence_is_grouped_by_axis():
    """An axis has the sum of its contributions, the weightiest axis first; no axis is still a group."""
    rows = by_axis([*revision().evidence, Evidence("I2", 1.0), Evidence("odd", 0.5)])
    assert [("structure", 11.0, 2), ("focus", 2.5, 1), ("other", 0.5, 1), ("benign", -1.25, 1)] == [
        (name, total, len(group)) for name, total, group in rows
    ]


def test_the_smallest_change_that_clears_a_case():
    """Fewest reasons that bring the evidence under the threshold: the largest first, none for it, never one against."""
    reasons = revision().evidence
    assert ["I1"] == [each.indicator for each in clearing(revision())]
    assert ["I1", "I4"] == [each.indicator for each in clearing(revision(threshold=1.0))]
    assert [] == clearing(revision(threshold=11.5))
    assert None is clearing(revision(threshold=-2.0))
    subsets = [part for n in range(4) for part in combinations(reasons, n)]
    for threshold in (0.0, 1.25, 8.0, 8.76, 11.25, 11.26):
        enough = [part for part in subsets if 11.25 - sum(each.contribution for each in part) < threshold]
        assert min(len(part) for part in enough) == len(clearing(revision(threshold=threshold)))


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (8.0, "without this reason, 1.25 nats are left of the 8.00 that it takes"),
        (1.0, "without these 2 reasons (no fewer would do), -1.25 nats are left of the 1.00 that it takes"),
        (12.0, "nothing more: 11.25 nats are below the 12.00 that it takes"),
        (-2.0, "nothing that its evidence tells"),
    ],
)
def test_a_case_says_what_would_clear_it(threshold: float, expected: str):
    """In words, with the reasons and what would be left."""
    alert = revision(threshold=threshold)
    assert expected in case_text(fold([alert]), [alert], None)


def test_every_indicator_and_technique_that_can_be_published_is_explained():
    """What the sources of the last stage name is in the tables for readers."""
    sources = "".join(path.read_text() for path in Path(campaigns.__file__).parent.glob("*.py"))
    indicators, techniques = set(re.findall(r'"(I\d+)"', sources)), set(re.findall(r'"(AML\.[\w.]+)"', sources))
    assert set() == indicators - set(INDICATORS)
    assert set() == techniques - set(TECHNIQUES)
    assert len(indicators) > 10
    assert techniques


def test_text_from_traffic_cannot_control_the_terminal():
    """Escape sequences, line ends and reversing marks in ids are shown, not obeyed."""
    evil = "a\x1b[2J\nb\u202ec"
    assert "a\\x1b[2J\\nb\\u202ec" == safe(evil)
    alert = revision(
        subject_id=evil, evidence=(Evidence(evil, 1.0, detail=evil, value=evil),), accounts=Accounts(1, (evil,))
    )
    assert not any(c in block(alert) for c in ("\x1b[2J", "\u202e"))


def test_an_absurd_time_is_still_shown():
    """A time that no calendar holds is written as a number."""
    assert f"{2**62} ms" == moment(2**62)


def test_show_folds_a_file(tmp_path: Path):
    """Members are those of all revisions, the rest is the highest revision's; a prefix of the id suffices."""
    second = revision(number=2, status="updated", severity="critical", accounts=Accounts(2, ("cid",), ("ann",)))
    path = written(tmp_path / "alerts.jsonl", revision(), second, revision("ffff"), second)

    code, text = run("alerts", "show", "0a", "--file", path)

    assert 0 == code, text
    for expected in (
        "0a1b2c  CRITICAL distillation cluster cluster-7",
        "active, revision 2",
        "11.25 nats of evidence against a threshold of 8.00",
        "leaked 412 of 1,500 exchanges, 90,000 output tokens",
        "structure         +10.00",
        "+10.00  one template, many contents (I1)  [value 0.75, baseline 0.01]",
        "-1.25  benign.course",
        "AML.T0024.002  Extract AI Model",
        "pool-1  2 of the members",
        "Members (2)\n  bob\n  cid\n",
        "   1  2026-01-01 00:01:00Z  open     high     0.9000  +2 -0 = 2 accounts",
        "   2  2026-01-01 00:01:00Z  updated  critical 0.9000  +1 -1 = 2 accounts",
    ):
        assert expected in text


def test_show_limits_the_members_unless_all_are_wanted(tmp_path: Path):
    """Twenty accounts are listed by default, any number on demand."""
    accounts = tuple(f"account-{number:02}" for number in range(30))
    path = written(tmp_path / "alerts.jsonl", revision(accounts=Accounts(30, accounts)))
    listed = {
        option: run("alerts", "show", "0a", "--file", path, *option)[1].count("  account-")
        for option in ((), ("--members", "3"), ("--members", "all"))
    }
    assert {(): 20, ("--members", "3"): 3, ("--members", "all"): 30} == listed
    assert 2 == run("alerts", "show", "0a", "--file", path, "--members", "few")[0]


def test_show_json_is_the_folded_case(tmp_path: Path):
    """A machine gets the members, the evidence by axis and the history."""
    path = written(tmp_path / "alerts.jsonl", revision(), revision(number=2, status="closed", accounts=Accounts(2, ())))

    code, text = run("alerts", "show", "0a1b2c", "--file", path, "--json")

    case = json.loads(text)
    assert 0 == code
    assert ["ann", "bob"] == case["members"]
    assert not case["active"]
    assert 10.0 == case["evidence_by_axis"]["structure"]["contribution"]
    assert [item.indicator for item in clearing(revision()) or ()] == case["clearing"]
    assert ["open", "closed"] == [each["status"] for each in case["history"]]


@pytest.mark.parametrize(
    ("alert_id", "expected"),
    [("x", "No case starts with 'x'"), ("0", "2 cases start with '0': 0a1b2c, 0a9999"), ("0a1", None)],
)
def test_show_wants_one_case(tmp_path: Path, alert_id: str, expected: str | None):
    """A prefix that fits none or several is an error that says so."""
    path = written(tmp_path / "alerts.jsonl", revision(), revision("0a9999"))
    code, text = run("alerts", "show", alert_id, "--file", path)
    assert (0 if expected is None else 2) == code
    assert expected is None or expected in text


def test_show_names_the_line_that_is_no_alert(tmp_path: Path):
    """A damaged file is refused with the line's number."""
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(encode_alert(revision()) + b"\n{}\n")
    code, text = run("alerts", "show", "0a", "--file", str(path))
    assert 2 == code
    assert f"{path} line 2" in text
