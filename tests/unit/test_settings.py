"""Settings: where values come from, and what is said of impossible ones."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from streams.config import Settings
from streams.errors import ConfigError
from streams.files import shipped
from streams.settings import KINDS, flatten, load, load_settings, settings_digest, variable


def written(tmp_path: Path, text: str) -> Path:
    """Write a settings file and return its path."""
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_the_shipped_file_holds_every_setting_with_the_default_of_the_code():
    """The file is the documentation of the defaults: neither may drift."""
    assert msgspec.to_builtins(Settings()) == tomllib.loads(shipped("stillwatch.toml").read_text())


def test_the_shipped_file_gives_a_reason_for_every_setting():
    """Above each setting, or above the block it stands in, is a comment."""
    bare, above = [], ""
    for line in shipped("stillwatch.toml").read_text().splitlines():
        if "=" in line.split("#")[0] and not above.startswith("#") and "sasl_username" not in line:
            bare.append(line)
        above = line
    assert [] == bare


def test_the_shipped_file_loads():
    """It can be given as it is, and then says what the defaults say."""
    assert Settings() == load_settings(shipped("stillwatch.toml"), environ={})


def test_later_sources_win(tmp_path: Path):
    """Command line over environment over file over default, and each value knows where it came from."""
    path = written(tmp_path, '[kafka]\nbootstrap = "file:1"\ngroup_prefix = "file"\nrequests_topic = "file"\n')
    environ = {"STILLWATCH_KAFKA__BOOTSTRAP": "environment:1", "STILLWATCH_KAFKA__GROUP_PREFIX": "environment"}

    loaded = load(path, environ, {"kafka.bootstrap": "option:1", "kafka.alerts_topic": None})

    kafka = loaded.settings.kafka
    assert ("option:1", "environment", "file") == (kafka.bootstrap, kafka.group_prefix, kafka.requests_topic)
    names = ("bootstrap", "group_prefix", "requests_topic", "alerts_topic")
    assert ["option", "environment", "file", "default"] == [loaded.origin(f"kafka.{name}") for name in names]


def test_the_environment_names_the_file_unless_one_is_given(tmp_path: Path):
    """STILLWATCH_CONFIG is used when --config is not."""
    path = written(tmp_path, "[time]\ntick_ms = 2000\n")
    other = tmp_path / "other.toml"
    other.write_text("[time]\ntick_ms = 3000\n")

    assert 2_000 == load_settings(environ={"STILLWATCH_CONFIG": str(path)}).time.tick_ms
    assert 3_000 == load_settings(other, environ={"STILLWATCH_CONFIG": str(path)}).time.tick_ms


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_setting_can_come_from_the_environment(name: str):
    """A default written out as text reads back as itself."""
    value = flatten(Settings())[name]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    assert Settings() == load_settings(environ={variable(name): text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[kafka]\nbootstrp = 1\n", ["kafka.bootstrp (file) is not a setting; did you mean kafka.bootstrap?"]),
        ("[kafka]\nsasl_password = 1\n", ["did you mean kafka.sasl_password_file?"]),
        ("[kafka]\ntick_ms = 1\n", ["kafka.tick_ms (file) is not a setting; did you mean time.tick_ms?"]),
        ("[acounts]\nttl_ms = 1\n", ["[acounts] is not a section; did you mean accounts?"]),
        ("time = 3\n", ["time = 3: must be a section, written [time]"]),
        ("[time]\ntick_ms = 0\n", ["time.tick_ms = 0 (file): must be an integer of at least 1"]),
        ("[time]\ntick_ms = -5\n", ["time.tick_ms = -5 (file): must be an integer of at least 1"]),
        ("[time]\ntick_ms = '1 s'\n", ["time.tick_ms = '1 s' (file): must be an integer of at least 1"]),
        ("[time]\nlateness_ms = -1\n", ["time.lateness_ms = -1 (file): must be an integer of at least 0"]),
        ("[campaigns]\nfalse_cases_per_day = 0.0\n", ["false_cases_per_day = 0.0 (file): must be a number above 0"]),
        ("[dead_letters]\nkeep_payload = 'yes'\n", ["keep_payload = 'yes' (file): must be true or false"]),
        (
            "[time]\nlateness_ms = 600000\n",
            ["time.lateness_ms = 600000 (file): must be below time.far_ahead_ms (600000)"],
        ),
        (
            "[time]\nfar_ahead_ms = 4000\n",
            ["time.lateness_ms = 5000 (default): must be below time.far_ahead_ms (4000)"],
        ),
        (
            "[time]\nskew_max_ms = 6000\n",
            ["time.skew_max_ms = 6000 (file): must be above lateness_ms + tick_ms (6000)"],
        ),
        ("[accounts]\nmax_event_bytes = 4000000\n", ["must be below kafka.max_record_bytes (4000000)"]),
        (
            "[kafka]\nmax_record_bytes = 1000000\n",
            ["kafka.batch_max_events = 4000 (default): must be at most kafka.max_record_bytes / 800 (1250)"],
        ),
        (
            "[kafka]\nmax_record_bytes = 1000000\nbatch_max_events = 1000\n",
            ["tokens.content_degree_cap = 50000 (default): must be at most kafka.max_record_bytes / 30 (33333)"],
        ),
        (
            "[accounts]\nmax_event_bytes = 3999999\n[dead_letters]\nkeep_payload = true\n",
            ["accounts.max_event_bytes = 3999999 (file): must be at most 2998500 with dead_letters.keep_payload"],
        ),
        ("[kafka]\nsecurity_protocol = 'TLS'\n", ["must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"]),
        (
            "[kafka]\nsecurity_protocol = 'SASL_SSL'\n",
            ["kafka.sasl_mechanism = ''", "kafka.sasl_username = ''", "kafka.sasl_password_file = ''"],
        ),
        ("[kafka]\nsasl_username = 'me'\n", ["kafka.security_protocol = 'PLAINTEXT' (default): must be SASL_SSL"]),
        ("[kafka]\nalerts_topic = 'llm.requests'\n", ["kafka.alerts_topic = 'llm.requests' (file): must differ"]),
        ("[kafka]\ngroup_prefix = 'a b'\n", ["kafka.group_prefix = 'a b' (file): must be 1 to 200 letters"]),
        ("[kafka]\nbootstrap = ''\n", ["kafka.bootstrap = '' (file): must be HOST:PORT"]),
        ("[time\n", ["is not TOML"]),
        ("x = " + "[" * 100_000, ["is not TOML: values are nested too deeply"]),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, text: str, expected: list[str]):
    """The message has the setting, its value and origin, and what is allowed or was probably meant."""
    with pytest.raises(ConfigError) as error:
        load_settings(written(tmp_path, text), environ={})
    assert [] == [each for each in expected if each not in error.value.message]


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("STILLWATCH_KAFKA__BOOTSTRP", "x", "names no setting; did you mean STILLWATCH_KAFKA__BOOTSTRAP?"),
        ("STILLWATCH_KAFKA_BOOTSTRAP", "x", "names no setting; did you mean STILLWATCH_KAFKA__BOOTSTRAP?"),
        ("STILLWATCH_TIME__TICK_MS", "\udcff", "time.tick_ms = '\\udcff' (environment): must be UTF-8"),
        ("STILLWATCH_\udcff", "x", "STILLWATCH_\\udcff names no setting"),
        ("STILLWATCH_CONFG", "x", "names no setting; did you mean STILLWATCH_CONFIG?"),
        ("STILLWATCH_TIME__TICK_MS", "soon", "time.tick_ms = 'soon' (environment): must be an integer of at least 1"),
        ("STILLWATCH_TIME__TICK_MS", "1.5", "time.tick_ms = '1.5' (environment): must be an integer of at least 1"),
        ("STILLWATCH_DEAD_LETTERS__KEEP_PAYLOAD", "maybe", "(environment): must be true or false"),
    ],
)
def test_a_fault_in_the_environment_is_named(variable: str, value: str, expected: str):
    """The environment is held to the same rules as the file."""
    with pytest.raises(ConfigError) as error:
        load_settings(environ={variable: value})
    assert expected in error.value.message


def test_all_faults_are_told_at_once(tmp_path: Path):
    """Three faults in two sources give three lines."""
    path = written(tmp_path, "[time]\ntick_ms = 0\nlatenes_ms = 1\n")
    with pytest.raises(ConfigError) as error:
        load_settings(path, environ={"STILLWATCH_KAFKA__X": "1"})
    assert 3 == len(error.value.message.splitlines()) - 1


def test_a_missing_file_is_named(tmp_path: Path):
    """A file that was asked for must be there."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_settings(tmp_path / "nowhere.toml", environ={})


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_digest_covers_what_decides_alerts_and_nothing_else(name: str):
    """It changes with a setting exactly if the setting can change which alerts come out."""
    section, field = name.split(".")
    value = flatten(Settings())[name]
    other = (not value) if isinstance(value, bool) else f"{value}x" if isinstance(value, str) else value + 1
    part = msgspec.structs.replace(getattr(Settings(), section), **{field: other})
    changed = msgspec.structs.replace(Settings(), **{section: part})

    decisive = section in ("time", "accounts", "tokens", "campaigns")

    assert decisive == (settings_digest(changed) != settings_digest(Settings()))
