"""Load the settings: defaults, then a TOML file, then environment variables, then what the command line says.

``STILLWATCH_CONFIG`` names the file, ``STILLWATCH_<SECTION>__<NAME>`` overrides one setting. There is no search through
folders: what is not named is not read. Secrets are never settings, only names of files that hold them.
"""

import difflib
import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from streams import __version__
from streams.code import decisive_digest
from streams.config import Settings
from streams.errors import ConfigError

PREFIX = "STILLWATCH_"
FILE_VARIABLE = "STILLWATCH_CONFIG"
EVENT_BYTES = 800  # of a record between stages, at most: 13 sightings of 46, or a signal of 88 and an introduction
MEMBER_BYTES = 30  # of one account of a shared token in the state, at most
DEAD_LETTER_BYTES = 2_000  # of its key, its headers and what is said about the record, at most

# What decides which alerts come out; addresses, sizes of batches and retention do not.
DECISIVE_SECTIONS = ("time", "accounts", "tokens", "campaigns")


class Loaded(Struct, frozen=True):
    """Settings and where each value that is not a default came from, such as ``kafka.bootstrap`` -> ``environment``."""

    settings: Settings
    origins: dict[str, str]
    path: Path | None

    def origin(self, name: str) -> str:
        """Return where a setting's value came from: default, file, environment or option."""
        return self.origins.get(name, "default")


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Return the effective settings; see `load` for the arguments and errors."""
    return load(path, environ, overrides).settings


def load(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    """Return the effective settings with the origin of each value.

    ``path`` None takes the file that ``STILLWATCH_CONFIG`` names, or none. ``environ`` None is this process's.
    ``overrides`` maps names such as ``kafka.bootstrap`` to values; a value of None is left out.
    Raises `ConfigError` that lists every fault: unknown names with the nearest known one, values with what is allowed.
    """
    environ = os.environ if environ is None else environ
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    faults: list[str] = []
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    sources = (
        ("file", _from_file(path, faults) if path else {}),
        ("environment", _from_environment(environ, faults)),
        ("option", {name: value for name, value in (overrides or {}).items() if value is not None}),
    )
    for origin, source in sources:
        for name, value in source.items():
            if (kind := KINDS.get(name)) is None:
                faults.append(_unknown(name, origin))
                continue
            try:
                values[name] = msgspec.convert(value, kind, strict=origin != "environment")
                origins[name] = origin
            except msgspec.ValidationError:
                faults.append(f"{name} = {value!r} ({origin}): must be {allowed(kind)}")
    settings = _build(values)
    if not faults:
        faults = [
            f"{name} = {value!r} ({origins.get(name, 'default')}): {must}" for name, value, must in _clashes(settings)
        ]
    if faults:
        where = f" in {path}" if path else ""
        raise ConfigError(f"The settings{where} cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
    return Loaded(settings, origins, path)


def settings_digest(settings: Settings) -> str:
    """Return 12 hex digits that change whenever a setting changes that decides which alerts come out."""
    decisive = {section: msgspec.to_builtins(getattr(settings, section)) for section in DECISIVE_SECTIONS}
    return hashlib.sha256(msgspec.json.encode(decisive, order="sorted")).hexdigest()[:12]


def maker(settings: Settings) -> str:
    """Name what makes state and alerts: the version of the code with its digest, and the digest of the settings."""
    return f"{__version__} {decisive_digest()} {settings_digest(settings)}"


def flatten(settings: Settings) -> dict[str, Any]:
    """Return every setting by its full name, in the order of the sections."""
    return {
        f"{section}.{name}": value
        for section, values in msgspec.to_builtins(settings).items()
        for name, value in values.items()
    }


def variable(name: str) -> str:
    """Return the environment variable that overrides a setting.

    >>> variable("kafka.bootstrap")
    'STILLWATCH_KAFKA__BOOTSTRAP'
    """
    return PREFIX + name.replace(".", "__").upper()


def allowed(kind: Any) -> str:
    """Say what values a field's type takes, such as "an integer of at least 1"."""
    info = msgspec.inspect.type_info(kind)
    words = {
        msgspec.inspect.IntType: "an integer",
        msgspec.inspect.FloatType: "a number",
        msgspec.inspect.StrType: "a text",
        msgspec.inspect.BoolType: "true or false",
    }
    text = words.get(type(info), "another type of value")
    bounds = [("ge", "of at least"), ("gt", "above"), ("le", "of at most"), ("lt", "below")]
    limits = [f"{word} {getattr(info, name)}" for name, word in bounds if getattr(info, name, None) is not None]
    return f"{text} {' and '.join(limits)}".strip()


def _kinds() -> dict[str, Any]:
    sections = get_type_hints(Settings)
    return {
        f"{section}.{name}": kind
        for section, struct in sections.items()
        for name, kind in get_type_hints(struct, include_extras=True).items()
    }


KINDS = _kinds()  # full name -> type with its bounds
VARIABLES = {variable(name): name for name in KINDS}


def _build(values: Mapping[str, object]) -> Settings:
    settings = Settings()
    for name, value in values.items():
        section, field = name.split(".")
        replaced = msgspec.structs.replace(getattr(settings, section), **{field: value})
        settings = msgspec.structs.replace(settings, **{section: replaced})
    return settings


def _from_file(path: Path, faults: list[str]) -> dict[str, object]:
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except RecursionError:  # its thousand lines of traceback help nobody
        raise ConfigError(f"{path} is not TOML: values are nested too deeply") from None
    values: dict[str, object] = {}
    for section, table in tables.items():
        if section not in Settings.__struct_fields__:
            faults.append(f"[{section}] is not a section{_nearest(section, Settings.__struct_fields__)}")
        elif not isinstance(table, dict):
            faults.append(f"{section} = {table!r}: must be a section, written [{section}]")
        else:
            values |= {f"{section}.{name}": value for name, value in table.items()}
    return values


def _from_environment(environ: Mapping[str, str], faults: list[str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for given, value in sorted(environ.items()):
        if not given.startswith(PREFIX) or given == FILE_VARIABLE:
            continue
        name = given.encode(errors="backslashreplace").decode()  # what is no UTF-8 cannot be printed
        if given not in VARIABLES:
            faults.append(f"{name} names no setting{_nearest(name, [*VARIABLES, FILE_VARIABLE])}")
        elif not _is_utf8(value):
            faults.append(f"{VARIABLES[given]} = {value!r} (environment): must be UTF-8")
        else:
            values[VARIABLES[given]] = value
    return values


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unknown(name: str, origin: str) -> str:
    section, _, field = name.partition(".")
    same = [each.partition(".")[2] for each in KINDS if each.startswith(f"{section}.")]
    if nearest := difflib.get_close_matches(field, same, n=1):
        return f"{name} ({origin}) is not a setting; did you mean {section}.{nearest[0]}?"
    fields = [each for each in KINDS if each.partition(".")[2] == field]  # right name, wrong section
    return f"{name} ({origin}) is not a setting{_nearest(name, fields or KINDS)}"


def _nearest(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _clashes(settings: Settings) -> Iterator[tuple[str, object, str]]:
    """Yield settings that are possible alone but not together: name, value, what it must be."""
    kafka, clock = settings.kafka, settings.time
    if clock.lateness_ms >= clock.far_ahead_ms:
        yield "time.lateness_ms", clock.lateness_ms, f"must be below time.far_ahead_ms ({clock.far_ahead_ms})"
    if clock.tick_ms >= clock.far_ahead_ms:
        yield "time.tick_ms", clock.tick_ms, f"must be below time.far_ahead_ms ({clock.far_ahead_ms})"
    if clock.skew_max_ms <= clock.lateness_ms + clock.tick_ms:
        least = clock.lateness_ms + clock.tick_ms
        yield "time.skew_max_ms", clock.skew_max_ms, f"must be above lateness_ms + tick_ms ({least}), or nothing moves"
    if settings.accounts.max_event_bytes >= kafka.max_record_bytes:
        must = f"must be below kafka.max_record_bytes ({kafka.max_record_bytes})"
        yield "accounts.max_event_bytes", settings.accounts.max_event_bytes, must
    letter = settings.accounts.max_event_bytes * 4 // 3 + DEAD_LETTER_BYTES
    if settings.dead_letters.keep_payload and letter > kafka.max_record_bytes:
        must = f"must be at most {(kafka.max_record_bytes - DEAD_LETTER_BYTES) * 3 // 4} with dead_letters.keep_payload"
        yield "accounts.max_event_bytes", settings.accounts.max_event_bytes, must
    if settings.tokens.content_degree_cap * MEMBER_BYTES > kafka.max_record_bytes:
        must = f"must be at most kafka.max_record_bytes / {MEMBER_BYTES} ({kafka.max_record_bytes // MEMBER_BYTES})"
        yield "tokens.content_degree_cap", settings.tokens.content_degree_cap, must
    if kafka.batch_max_events * EVENT_BYTES > kafka.max_record_bytes:
        must = f"must be at most kafka.max_record_bytes / {EVENT_BYTES} ({kafka.max_record_bytes // EVENT_BYTES})"
        yield "kafka.batch_max_events", kafka.batch_max_events, must
    if not kafka.bootstrap.strip():
        yield "kafka.bootstrap", kafka.bootstrap, "must be HOST:PORT, several separated by commas"
    yield from _security(settings)
    yield from _topics(settings)


def _security(settings: Settings) -> Iterator[tuple[str, object, str]]:
    kafka = settings.kafka
    protocols = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
    if kafka.security_protocol not in protocols:
        yield "kafka.security_protocol", kafka.security_protocol, f"must be one of {', '.join(protocols)}"
    elif kafka.security_protocol.startswith("SASL"):
        mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
        if kafka.sasl_mechanism not in mechanisms:
            yield "kafka.sasl_mechanism", kafka.sasl_mechanism, f"must be one of {', '.join(mechanisms)}"
        for name in ("sasl_username", "sasl_password_file"):
            if not getattr(kafka, name):
                yield f"kafka.{name}", "", f"must be given with kafka.security_protocol = {kafka.security_protocol}"
    elif kafka.sasl_mechanism or kafka.sasl_username or kafka.sasl_password_file:
        yield (
            "kafka.security_protocol",
            kafka.security_protocol,
            "must be SASL_SSL or SASL_PLAINTEXT to use kafka.sasl_*",
        )


def _topics(settings: Settings) -> Iterator[tuple[str, object, str]]:
    kafka = settings.kafka
    names = {name: getattr(kafka, name) for name in ("requests_topic", "alerts_topic", "dead_letters_topic")}
    for field, name in (names | {"internal_prefix": kafka.internal_prefix, "group_prefix": kafka.group_prefix}).items():
        if not 1 <= len(name) <= 200 or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
            yield f"kafka.{field}", name, "must be 1 to 200 letters, digits, dots, dashes or underscores"
    for field, name in names.items():
        if next(other for other in names if names[other] == name) != field:
            yield f"kafka.{field}", name, "must differ from the other topics"
