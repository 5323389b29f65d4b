"""Options that several commands share."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli import main


@pytest.mark.parametrize(
    "command",
    [
        ["simulate", "--truth"], ["simulate", "--out"], ["convert", "--out"], ["convert", "--truth"],
        ["bench", "--markdown"], ["bench", "--scale"], ["bench", "--soak"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_where_nothing_can_be_written_nothing_is_begun(command: list[str], tmp_path: Path):
    """A folder that is not there, or a folder in a file's place, is told of before the work."""
    for path, words in ((tmp_path / "no" / "file", "there is no folder"), (tmp_path, "is a directory")):
        done = CliRunner().invoke(main, [*command, str(path)])
        assert (2, True) == (done.exit_code, words in done.output), done.output


def test_a_report_that_cannot_be_written_is_not_begun(tmp_path: Path):
    """... nor is an evaluation whose folder cannot be made: its error says which."""
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["evaluate", "--shapes", "none", "--out", str(tmp_path / "file" / "report")])
    assert 0 != done.exit_code
    assert str(tmp_path / "file" / "report") in done.output + str(done.exception)
