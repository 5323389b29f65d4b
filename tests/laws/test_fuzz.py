"""Fuzzing of what takes in bytes from elsewhere: no crash, no leak. For seconds here, by hand for ten minutes each:

    FUZZ_SECONDS=600 uv run pytest -n 0 -s tests/laws/test_fuzz.py

Rounds are numbered, and a round tries the same in every run; `FUZZ_FIRST` says where to begin. What fails is printed
with the number that makes it again.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import hypothesis
import msgspec
import pytest
from damage import STAGES, nonsense, restore, spoiled
from hypothesis import strategies as st
from law_traffic import SETTINGS, traffic

from streams.accounts.columns import Reader
from streams.accounts.operator import AccountsOperator
from streams.bench.memory import resident_bytes
from streams.config import Settings
from streams.contracts.packets import decode_evidence, decode_sightings
from streams.contracts.request import RequestEvent, decode_request
from streams.errors import ConfigError, StateError
from streams.operator import DEAD_LETTERS, EVIDENCE, MARKER_KEY, Batch
from streams.settings import FILE_VARIABLE, VARIABLES, load

SECONDS = float(os.environ.get("FUZZ_SECONDS", "3"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))
ROUND = 200  # examples; what hypothesis remembers of them is dropped after each round
RECORDS = 20  # of an example of the decoder
LEAST_ROUNDS = 2
LEAK_BYTES = 40_000_000  # ten minutes are millions of records: this is a few bytes of each
SHIPPED = Path(__file__).parents[2] / "config" / "stillwatch.toml"

pytestmark = pytest.mark.timeout(600 + 2 * SECONDS)
Try = Callable[[Random], int]


def fuzz(name: str, attempt: Try, seconds: float) -> None:
    """Try until the time is up; ``attempt`` returns 1 if what it made was refused, else 0. Memory must not grow."""
    tried = refused = rounds = 0
    settled = 0  # memory once everything has been in use
    began = time.monotonic()

    def once(seed: int) -> None:
        nonlocal tried, refused
        refused += attempt(Random(seed))
        tried += 1

    while rounds < LEAST_ROUNDS or time.monotonic() - began < seconds:
        numbered = hypothesis.settings(max_examples=ROUND, deadline=None, database=None)
        numbered(hypothesis.seed(FIRST + rounds)(hypothesis.given(st.integers(0, 2**63))(once)))()
        rounds += 1
        if not settled and time.monotonic() - began >= seconds / 4:
            settled = resident_bytes()
    grown = resident_bytes() - settled
    print(f"\n{name}: {tried:,} tried in rounds {FIRST} to {FIRST + rounds - 1}, {refused:,} refused, "
          f"memory {grown / 1e6:+.1f} MB over the last three quarters of {time.monotonic() - began:.0f} s")  # fmt: skip
    assert 0 < refused < tried, "nothing else is worth it"
    assert grown < LEAK_BYTES


def records(random: Random) -> int:
    """Damaged records among good ones: those that stage accounts takes are those of the plain decoder, all of its
    output can be read, and every other record is a dead letter."""
    lines = [random.choice(traffic()).value for _ in range(RECORDS)]
    texts = random.random() < 0.5  # the two ways in differ most where a prompt has its text
    raws = [_with_text(line, random) if texts else line for line in lines]
    share = random.random()
    raws = [spoiled(raw, random) if random.random() < share else raw for raw in raws]
    most = SETTINGS.accounts.max_event_bytes
    good = [i for i, raw in enumerate(raws) if isinstance(decode_request(raw, most), RequestEvent)]
    assert good == Reader(most).read(range(RECORDS), raws)[0].offset.tolist()
    operator = AccountsOperator(SETTINGS, 0)
    out = operator.on_batch(Batch(0, range(RECORDS), [None] * RECORDS, raws)) + operator.on_end()
    assert RECORDS - len(good) == sum(record.role == DEAD_LETTERS for record in out)
    for record in out:
        if record.role != DEAD_LETTERS:
            (decode_evidence if record.role == EVIDENCE else decode_sightings)(record.value)
    operator.checkpoint()
    return int(len(good) < RECORDS / 2)


def _with_text(line: bytes, random: Random) -> bytes:
    event = msgspec.json.decode(line)
    text = "".join(chr(random.choice([random.randrange(32, 127), random.randrange(1, 0xD800)])) for _ in range(60))
    return msgspec.json.encode(event | {"prompt": {"text": text}})


def state(random: Random) -> int:
    """State with a record that is damaged, or sealed well and nonsense: it is loaded, or a `StateError`."""
    stage = random.choice(STAGES)
    found = nonsense(stage, random)
    if random.random() < 0.3:
        key = random.choice(sorted(found))
        found[key] = spoiled(found[key], random)
    if random.random() < 0.1:
        found[spoiled(random.choice(sorted(found)), random)] = found[MARKER_KEY]
    try:
        restore(stage, found)
    except StateError:
        return 1
    return 0


def test_records():
    """The decoder takes or refuses whatever comes, the compiled way and the plain one alike."""
    fuzz("records", records, SECONDS)


def test_state():
    """So does each stage with what its state topic holds."""
    fuzz("state", state, SECONDS)


def test_configuration(tmp_path: Path):
    """So do the settings with a file and an environment: they are used, or a `ConfigError` says what is wrong."""
    shipped, path = SHIPPED.read_bytes(), tmp_path / "stillwatch.toml"

    def attempt(random: Random) -> int:
        text = shipped if random.random() < 0.2 else spoiled(shipped, random)
        if random.random() < 0.01:
            text += b"\nx = " + random.choice([b"[", b"{x="]) * 100_000
        path.write_bytes(text)
        names = random.sample(sorted(VARIABLES), random.randint(0, 3))
        environ = {name: random.choice(VALUES) for name in names}
        if random.random() < 0.1:
            environ[spoiled(random.choice(sorted(VARIABLES)).encode(), random).decode(errors="replace")] = "1"
        environ.pop(FILE_VARIABLE, None)
        try:
            found = load(path, environ).settings
        except ConfigError as error:
            error.message.encode()  # it can be printed
            return 1
        assert isinstance(found, Settings)
        return 0

    fuzz("configuration", attempt, SECONDS)


VALUES = (
    "",
    "0",
    "1",
    "-1",
    "1.5",
    "60000",
    "true",
    "nan",
    "inf",
    "1e999",
    "9" * 5_000,
    "x y",
    "a:1,b:2",
    "\ud800",
    "é",
)
