"""`stillwatch config check` and `config show`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.config import Settings
from streams.settings import flatten, settings_digest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside."""
    monkeypatch.delenv("STILLWATCH_CONFIG", raising=False)


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    """Run `stillwatch config`."""
    return CliRunner().invoke(main, ["config", *arguments], env=env)


def test_check_accepts_a_good_file_and_counts_what_it_gives(tmp_path: Path):
    """The answer has the file, how many settings it gives, and the digest."""
    path = tmp_path / "good.toml"
    path.write_text("[time]\nlateness_ms = 2000\n")
    result = run("check", str(path), env={"STILLWATCH_KAFKA__BOOTSTRAP": "h:1"})
    assert 0 == result.exit_code
    assert f"ok: {path}; 2 settings given; digest " in result.output


def test_check_refuses_a_bad_file_with_exit_2(tmp_path: Path):
    """A typing error is named with the right word."""
    path = tmp_path / "bad.toml"
    path.write_text("[kafka]\nbootstrp = 'h:1'\n")
    result = run("check", str(path))
    assert 2 == result.exit_code
    assert "kafka.bootstrp (file) is not a setting; did you mean kafka.bootstrap?" in result.output


def test_show_names_the_origin_of_each_value(tmp_path: Path):
    """Default, file and environment are told apart, for people and for machines."""
    path = tmp_path / "some.toml"
    path.write_text("[time]\nlateness_ms = 2000\n")
    env = {"STILLWATCH_KAFKA__BOOTSTRAP": "h:1"}

    shown = json.loads(run("show", "--config", str(path), "--json", env=env).output)
    settings = shown["settings"]

    assert list(flatten(Settings())) == list(settings)
    assert {"value": 2000, "origin": "file"} == settings["time.lateness_ms"]
    assert {"value": "h:1", "origin": "environment"} == settings["kafka.bootstrap"]
    assert {"value": 1000, "origin": "default"} == settings["time.tick_ms"]
    assert str(path) == shown["file"]
    lines = {line.split()[0]: line.split()[1:] for line in run("show", env=env).output.splitlines() if line}
    assert ["h:1", "environment"] == lines["kafka.bootstrap"]
    assert ['""', "default"] == lines["kafka.sasl_username"]
    assert ["false", "default"] == lines["dead_letters.keep_payload"]


def test_show_prints_the_digest_that_alerts_carry():
    """The digest is that of the effective settings."""
    assert settings_digest(Settings()) == json.loads(run("show", "--json").output)["digest"]


def test_show_never_prints_the_password(tmp_path: Path):
    """Only the file's name is a setting; its contents stay where they are."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    env = {
        "STILLWATCH_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "STILLWATCH_KAFKA__SASL_MECHANISM": "PLAIN",
        "STILLWATCH_KAFKA__SASL_USERNAME": "me",
        "STILLWATCH_KAFKA__SASL_PASSWORD_FILE": str(secret),
    }
    for arguments in (("show",), ("show", "--json")):
        result = run(*arguments, env=env)
        assert 0 == result.exit_code
        assert str(secret) in result.output
        assert "hunter2" not in result.output
