"""Every failure that the worker's page tells of has its test, and every step of a checkpoint its row."""

import ast
import re
from pathlib import Path

import pytest

SYSTEM = Path(__file__).parents[1] / "system"
PAGE = (SYSTEM.parents[1] / "streams/runtime/README.md").read_text("utf-8")
SECTION = re.search(r"## When something fails\n(.*?)\n## ", PAGE, re.DOTALL)[1]
ROWS = [
    line
    for line in SECTION.splitlines()
    if line.startswith("| ") and not re.match(r"\| (killed when|what happens)", line)
]
NAMED = r"`(test_\w+\.py)::(test_\w+)(?:\[([^\]]+)\])?`"


def functions(tree: ast.Module) -> set[str]:
    """The functions of a module."""
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def words(tree: ast.Module) -> set[object]:
    """The constants of a module."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def parsed(name: str) -> ast.Module:
    """A module of the system tests."""
    return ast.parse((SYSTEM / name).read_text("utf-8"))


def steps() -> set[str]:
    """The steps at which a worker can be broken."""
    found = {
        node.targets[0].id: node.value
        for node in parsed("breaking.py").body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return {step for name in ("OUTPUT", "CHECKPOINT", "RESTORE") for step in ast.literal_eval(found[name])}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_each_row_has_a_test(row: str):
    """The tests that a row names are there, with that parameter."""
    named = re.findall(NAMED, row)
    assert named
    for file, function, parameter in named:
        tree = parsed(file)
        assert function in functions(tree)
        assert not parameter or parameter in words(tree) | words(parsed("breaking.py"))


def test_each_step_has_a_row():
    """A crash between any two steps is told."""
    crashes = {step for _, name, step in re.findall(NAMED, SECTION) if name.startswith("test_a_crash_between")}

    assert steps() == crashes


@pytest.mark.parametrize("file", ["test_worker_crashes.py", "test_worker_state_faults.py", "test_worker_log_gone.py"])
def test_each_test_of_a_failure_has_a_row(file: str):
    """What is tested is told."""
    named = {name for found, name, _ in re.findall(NAMED, SECTION) if found == file}

    assert {name for name in functions(parsed(file)) if name.startswith("test_")} == named
