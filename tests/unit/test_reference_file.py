"""A reference in a file: what a replay of history leaves, and a worker or another replay begins with."""

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from streams.campaigns.carried import read_reference, seal_reference, unseal_reference
from streams.campaigns.operator import CampaignsOperator
from streams.campaigns.reference import CLEAN_MS, GENERATION_MS, SCORES_MIN, Reference
from streams.campaigns.table import PLANS, ROW
from streams.cli import main
from streams.config import Kafka, Settings
from streams.errors import InputError, StateError
from streams.operator import ALERTS, MARKER_KEY, Batch, Record
from streams.replay import Replay
from streams.simulator.campaigns import SHAPES
from streams.simulator.generate import Simulation
from streams.simulator.plan import START_MS, Plan
from streams.state import pack, seal, unseal

SETTINGS = Settings(kafka=Kafka(request_partitions=2, sighting_partitions=2))
HOUR_MS = 3_600_000
NOW = START_MS + 48 * HOUR_MS


@cache
def history() -> Replay:
    """28 hours of benign traffic, replayed."""
    replay = Replay(SETTINGS, lambda record: None)
    for event in Simulation(Plan(2, 1_000, 28.0, activity=0.1, prompts="fingerprints")):
        replay.feed(event.value)
    replay.end()
    return replay


@cache
def learned() -> bytes:
    """What the history left."""
    return history().reference()


@cache
def later() -> tuple[bytes, ...]:
    """Nine hours of the week after, with a campaign that goes on for all of them."""
    spec = msgspec.structs.replace(SHAPES["grading"].default, accounts=20, per_day=100, start_h=0.2)
    plan = Plan(3, 100, 9.0, START_MS + 7 * 24 * HOUR_MS, 0.2, (spec,), "fingerprints")
    return tuple(event.value for event in Simulation(plan))


def alerts_of(reference: bytes | None) -> list[Record]:
    """Replay what came later."""
    records: list[Record] = []
    replay = Replay(SETTINGS, records.append, reference)
    for line in later():
        replay.feed(line)
    replay.end()
    return [record for record in records if record.role == ALERTS]


def live_alerts_of(reference: bytes, packets: int) -> list[Record]:
    """Run the campaigns stage as workers do that are killed after so many packets, each with the same reference."""
    kept: list[bytes] = []
    replay = Replay(SETTINGS, lambda record: None)
    replay.pipeline.campaigns.on_batch = lambda batch: kept.extend(batch.values) or []
    for line in later():
        replay.feed(line)
    replay.end()

    state: dict[bytes, bytes] = {}
    alerts: list[Record] = []
    start = end = 0
    while end < len(kept):
        operator = CampaignsOperator(SETTINGS)
        operator.begin_with(unseal_reference(reference))
        start, end = operator.restore(state.items()) or 0, end + packets
        values = kept[start:end]
        alerts += operator.on_batch(Batch(0, range(start, start + len(values)), [None] * len(values), values))
        cut = operator.checkpoint()
        state |= {key: value for key, value in cut.snapshots if value is not None} | {MARKER_KEY: cut.marker}
        for key in (key for key, value in cut.snapshots if value is None):
            state.pop(key, None)
    return alerts


def row(first: int) -> np.void:
    """An account with 200 exchanges, of the plan that is known best."""
    sizes = unseal_reference(learned()).sizes()
    plan = max(sizes, key=sizes.__getitem__)
    made = np.zeros(1, ROW)[0]
    made["plan"], made["first"], made["last"], made["exchanges"] = PLANS.index(plan), first, NOW, 200
    return made


def test_history_teaches_something():
    """The other tests have a reference worth its name: forests of several plans that have scores to compare with."""
    reference = unseal_reference(learned())

    assert len(reference.sizes()) >= 3
    assert max(reference.sizes().values()) > 2 * SCORES_MIN
    assert reference.sizes() == history().pipeline.campaigns.state.reference.sizes()


def test_a_reference_changes_alerts_and_the_same_one_changes_them_alike():
    """The same input and reference give the same bytes; without the reference, other evidence."""
    warm = alerts_of(learned())

    assert warm == alerts_of(learned())
    assert {record.key for record in warm} == {record.key for record in alerts_of(None)}
    assert warm != alerts_of(None)


def test_live_gives_what_replay_gives():
    """A stage that is killed again and again, and begins with the same file each time, publishes the same alerts."""
    assert alerts_of(learned()) == live_alerts_of(learned(), packets=1_000)


def test_a_stage_with_state_ignores_the_file_and_says_so():
    """What was learned live is kept; a new stage takes the file."""
    operator = CampaignsOperator(SETTINGS)
    heard = []
    operator.begin_with(unseal_reference(learned()), heard.append)
    assert operator.restore([]) is None
    assert operator.state.reference.carried

    operator.on_batch(Batch(0, [0], [None], [b"broken"]))
    cut = operator.checkpoint()
    held = [*((key, value) for key, value in cut.snapshots if value is not None), (MARKER_KEY, cut.marker)]
    other = CampaignsOperator(SETTINGS)
    other.begin_with(Reference(), heard.append)
    assert 1 == other.restore(held)

    assert operator.state.reference.dump() == other.state.reference.dump()
    assert [False, True] == heard


def test_a_carried_reference_has_nothing_to_say_of_accounts_it_cannot_know():
    """Until an account was seen for as long as those that were learned, it is not odd; from then on it may be."""
    reference = unseal_reference(learned())

    assert reference.oddness(row(NOW - CLEAN_MS + 1), NOW) is None
    assert reference.oddness(row(NOW - CLEAN_MS), NOW) is not None


def test_what_is_learned_live_takes_its_place_after_a_day():
    """The carried generation scores for one day, and its groups a day set the threshold for as long."""
    settings = Settings()
    operator = CampaignsOperator(settings)
    cold = operator.state.limit
    operator.begin_with(unseal_reference(seal_reference(unseal_reference(learned()), 20_000)))
    assert cold < operator.state.limit == pytest.approx(np.log(20_000 / settings.campaigns.false_cases_per_day))

    reference = operator.state.reference
    assert [False, False] == [reference.turn(START_MS), reference.turn(START_MS + GENERATION_MS - 1)]
    assert reference.carried
    assert reference.turn(START_MS + GENERATION_MS)
    assert not reference.carried
    assert (cold, {}) == (operator.state.limit, reference.sizes())


def test_a_file_is_the_same_after_it_was_carried_on():
    """Writing what was read gives the same bytes."""
    assert learned() == seal_reference(unseal_reference(learned()), 0)


def changed(**what: object) -> bytes:
    """The file with a part of it replaced, sealed as it should be."""
    names = ("what", "version", "groups_a_day", "rates", "generation")
    parts = dict(zip(names, msgspec.msgpack.decode(unseal(learned())), strict=True)) | what
    return pack(list(parts.values()))


def spoilt_generation(place: int, value: object) -> bytes:
    """The file with a part of its first forest replaced."""
    generation = msgspec.msgpack.decode(unseal(learned()))[4]
    generation[0][place] = value
    return changed(generation=generation)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "shorter than its header"),
        (b"some other file that is long enough", "mark of Stillwatch"),
        (learned()[:-1], "truncated or corrupt"),
        (learned()[:-1] + b"\xff", "truncated or corrupt"),
        (learned() + b"\0", "truncated or corrupt"),
        (pack(["something else", 1]), "it is no reference"),
        (pack({"what": 1}), "does not hold a Head"),
        (seal(b"\xc1"), "does not hold a Head"),
        (changed(version=2), "it has version 2, this program reads 1"),
        (changed(groups_a_day="many"), "does not hold a Carried"),
        (changed(rates=[]), "malformed"),
        (changed(rates=[[2.0, 48.0, 1.0, 48.0]] * 2), "less than nothing"),
        (spoilt_generation(0, 99), "no plan 99"),
        (spoilt_generation(1, "x"), "malformed"),
        (spoilt_generation(2, []), "too short"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, data: bytes, message: str):
    """A file that is cut, changed, of another version or something else is an error that names it and the reason."""
    path = tmp_path / "reference"
    path.write_bytes(data)

    with pytest.raises(StateError, match=message) as error:
        read_reference(path)
    assert str(path) in error.value.message


def test_a_forest_over_other_features_is_refused():
    """Features that this program does not make would be scored as if they were missing."""
    forest = msgspec.msgpack.decode(unseal(learned()))[4][0][2]
    forest[7] = "another"

    with pytest.raises(StateError, match="other features"):
        unseal_reference(spoilt_generation(2, forest))


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    """No file, or a folder, is an input error."""
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_reference(path)


def test_the_commands_hand_it_on(tmp_path: Path):
    """`replay --state` writes what `replay --reference` begins with; a broken one stops both commands at once."""
    events, reference, alerts = (tmp_path / name for name in ("events.jsonl", "reference", "alerts.jsonl"))
    events.write_bytes(b"\n".join(later()))
    made = CliRunner().invoke(main, ["replay", str(events), "--state", str(reference)])
    assert (0, "") == (made.exit_code, made.stderr)
    assert f"reference in {reference}" in made.output

    cold = Replay(Settings(), lambda record: None)
    for line in later():
        cold.feed(line)
    cold.end()
    assert cold.reference() == reference.read_bytes()

    begun = ["replay", str(events), "--alerts", str(alerts), "--reference", str(reference)]
    assert 0 == CliRunner().invoke(main, begun).exit_code
    warm: list[Record] = []
    replay = Replay(Settings(), warm.append, reference.read_bytes())
    for line in later():
        replay.feed(line)
    replay.end()
    assert [record.value for record in warm if record.role == ALERTS] == alerts.read_bytes().splitlines()

    nowhere = CliRunner().invoke(main, ["replay", str(tmp_path / "none"), "--state", str(tmp_path / "no" / "where")])
    assert (InputError.exit_code, True) == (nowhere.exit_code, "its folder is missing" in nowhere.output)
    reference.write_bytes(b"broken")
    for command in (begun, ["worker", "--reference", str(reference)]):
        refused = CliRunner().invoke(main, command)
        assert StateError.exit_code == refused.exit_code
        assert "cannot be used" in refused.output
