"""Another state of the code has another name."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import streams
from streams.code import ROOT, decisive_files
from streams.config import Settings
from streams.settings import maker, settings_digest

PRINT_MODULES = """
import sys, streams.pipeline
print(*(module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "streams"), sep="\\n")
"""
PRINT_MAKER = "from streams.config import Settings; from streams.settings import maker; print(maker(Settings()))"


def printed(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_all_that_the_stages_import_is_decisive():
    """What runs when events become alerts is among the files whose change is told."""
    imported = {Path(line).resolve() for line in printed(PRINT_MODULES, ROOT.parent).splitlines()}

    assert {"operator.py", "fingerprint.py", "cases.py"} <= {path.name for path in imported}
    assert imported <= {path.resolve() for path in decisive_files()}


def test_what_made_state_has_version_code_and_settings_in_its_name():
    """An operator sees which of the three differs."""
    version, code, settings = maker(Settings()).split()

    assert (streams.__version__, settings_digest(Settings())) == (version, settings)
    assert 12 == len(code)


@pytest.mark.parametrize(
    ("changed", "differs"), [("campaigns/nats.py", True), ("contracts/prompt_lexicon.toml", True), ("cli.py", True),
                             ("commands/worker.py", False), ("runtime/worker.py", False)],
)  # fmt: skip
def test_a_change_of_what_decides_alerts_is_another_maker(tmp_path, changed, differs):
    """A comment more in a stage or its lexicon is another name; what only hosts the stages may change."""
    shutil.copytree(ROOT, tmp_path / "streams", ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    before = printed(PRINT_MAKER, tmp_path)
    with (tmp_path / "streams" / changed).open("a") as file:
        file.write("# changed\n")

    assert differs == (before != printed(PRINT_MAKER, tmp_path))
