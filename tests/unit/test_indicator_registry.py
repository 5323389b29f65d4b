"""The registry of indicators: complete, about what the code publishes, and with tests that exist."""

import re
from pathlib import Path

from test_campaigns_evidence import CASES

from streams import campaigns
from streams.contracts.indicators import INDICATORS

FOLDER = Path(campaigns.__file__).parent
PAGE = (FOLDER / "INDICATORS.md").read_text("utf-8")
READ, NOT_READ = (
    [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| I")]
    for part in PAGE.split("## Not read")
)
READ = [row for row in READ if row[0] != "indicator"]
NOT_READ = [row for row in NOT_READ if row[0] != "indicator"]


def test_every_number_is_there_once():
    """I1 to I30 are either read or not, each in one row without an empty cell."""
    rows = [*READ, *NOT_READ]
    assert sorted(f"I{i}" for i in range(1, 31)) == sorted(row[0] for row in rows)
    assert {5} == {len(row) for row in rows}
    assert all(cell for row in rows for cell in row)


def test_read_is_what_is_published():
    """The first table holds what the sources publish and what readers of alerts are told of."""
    sources = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    read = {row[0] for row in READ}
    assert set(re.findall(r'"(I\d+)"', sources)) == read
    assert set(INDICATORS) == read


def test_every_explanation_is_documented():
    """What the sources publish in favour of a group is in the table, each once, with why it may be trusted."""
    sources = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `benign.")]
    assert sorted(set(re.findall(r'"(benign\.\w+)"', sources))) == sorted(row[0].strip(" `") for row in rows)
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)


def test_tests_exist():
    """Every test that is named exists, and is parametrized with the indicator that names it."""
    source = (Path(__file__).parent / "test_campaigns_watches.py").read_text()
    stolen = source[source.index('("indicator", "fields")') : source.index("def test_indicator_of_a_stolen_key")]
    covered = {
        "test_indicator_of_a_group_or_account": {indicator for _, indicator, *_ in CASES},
        "test_indicator_of_a_stolen_key": set(re.findall(r'"(I\d+)"', stolen)),
        "test_a_twentieth_of_the_accounts": {"I16"},
    }
    for other in ("evidence", "pivots"):
        source += (Path(__file__).parent / f"test_campaigns_{other}.py").read_text()
    for indicator, *_, tests in READ:
        for name in re.findall(r"`(\w+)`", tests):
            assert f"def {name}(" in source
            assert indicator in covered[name]
