"""The documentation says what the code does."""

import json
import re
from collections import Counter
from pathlib import Path

import confluent_kafka
import msgspec
import pytest
from support import an_alert

from streams.cli import COMMANDS, main
from streams.contracts.alert import Accounts, encode_alert
from streams.contracts.cloudevents import alert_headers
from streams.contracts.fold import fold_all
from streams.doc_tables import TABLES
from streams.runtime.topics import STAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(page for folder in ("", ".github/", "deploy/", "streams/*/") for page in ROOT.glob(f"{folder}*.md"))


@pytest.mark.parametrize("name", TABLES)
def test_generated_tables_are_current(name):
    """A table in the README is what the code prints now: `python -m streams.doc_tables NAME`."""
    found = re.search(rf"<!-- {name}: begin.*?-->\n(.*?)\n<!-- {name}: end -->", README, re.DOTALL)

    assert TABLES[name]() == found[1]


def test_the_picture_names_the_stages_and_their_folders():
    """The boxes of the picture are the stages, and each is a folder."""
    picture = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL)[1]
    boxes = set(re.findall(r"^\s+(\w+) --", picture, re.MULTILINE)) - {"requests"}

    assert set(STAGES) == boxes
    assert all((ROOT / "streams" / box).is_dir() for box in boxes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file that is there."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    assert [] == [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page):
    """Every `stillwatch NAME` in code is a command, and every option shown with it is one of its options."""
    text = page.read_text("utf-8")
    code = re.findall(r"```(?!mermaid)\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
    for line in (line for block in code for line in block.splitlines()):
        for call in re.findall(r"(?<![/\w-])stillwatch ([a-z]+[^#`|&]*)", line):
            name, *words = call.split()
            assert name.split("|")[0] in COMMANDS, line
            if name == "bench" and not (ROOT / "streams/commands/bench.py").exists():
                continue
            command = main.get_command(None, name)
            if hasattr(command, "commands") and words:
                command = command.commands.get(words[0].split("|")[0], command)
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= known | {"--help"}, line


class Messages:
    """A consumer that hands out records, then is interrupted."""

    def __init__(self, alerts):
        self._left = [Message(encode_alert(alert), list(alert_headers(alert))) for alert in alerts]

    def subscribe(self, topics):
        """Take note of nothing: there is one topic."""
        assert ["llm.alerts"] == topics

    def poll(self, timeout):
        """Give the next record."""
        if not self._left:
            raise KeyboardInterrupt
        return self._left.pop(0)


class Message(msgspec.Struct):
    """One record, with confluent-kafka's methods."""

    body: bytes
    found: list

    def error(self):
        """None: it is a record."""

    def value(self):
        """Its value."""
        return self.body

    def headers(self):
        """Its headers."""
        return self.found


def test_the_consumer_of_the_readme_folds(monkeypatch, capsys):
    """The README's consumer, run as it stands over revisions with repeats, ends with the cases that `fold` gives."""
    alerts = [
        an_alert(case, revision, detected_at=revision, accounts=Accounts(1, added, removed))
        for case, revision, added, removed in (
            ("c1", 1, ("a", "b"), ()),
            ("c2", 1, ("x",), ()),
            ("c1", 2, ("c",), ("a",)),
            ("c1", 3, ("a",), ("b",)),
        )
    ]
    repeated = [alerts[0], alerts[1], alerts[2], alerts[0], alerts[2], alerts[3], alerts[1]]
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    names = {}
    monkeypatch.setattr(confluent_kafka, "Consumer", lambda config: Messages(repeated))
    with pytest.raises(KeyboardInterrupt):
        exec(compile(program, "README.md", "exec"), names)

    assert {i: case.members for i, case in fold_all(alerts).items()} == {
        i: tuple(sorted(members)) for i, (_, members) in names["cases"].items()
    }
    assert {"c1": 3, "c2": 1} == {i: latest["revision"] for i, (latest, _) in names["cases"].items()}
    assert len(alerts) == Counter(capsys.readouterr().out.split())["distillation"]


def test_the_fold_vectors_are_where_the_readme_says():
    """The file that is named for other languages is JSON and not empty."""
    assert json.loads((ROOT / "streams/contracts/fold_vectors.json").read_text())
