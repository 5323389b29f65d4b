"""Bad input through the real worker on real Kafka: each case ends in its place, and nothing else is touched.

All cases go through one run, among 3,000 good events of a campaign and of ordinary accounts.
"""

import signal
import urllib.request
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest
from confluent_kafka import Producer
from conftest import private_settings
from live import Follower, Sample, difference, real_worker, samples, url
from support import PATIENCE_S, until
from workers import Alert, read_topic

from streams.config import Settings, Time
from streams.contracts.hashing import partition_of
from streams.operator import ALERTS, DEAD_LETTERS, Batch
from streams.pipeline import Pipeline
from streams.runtime.broker import LocalBroker
from streams.runtime.kafka_client import producer_config
from streams.runtime.topics import create_topics, topic_name
from streams.simulator.campaigns import SHAPES
from streams.simulator.generate import Simulation
from streams.simulator.plan import START_MS, Plan

pytestmark = pytest.mark.system

PARTITIONS = 4
HOURS = 3.0
MIDDLE_MS = START_MS + int(HOURS * 3_600_000 / 2)  # all bad input comes at this time
HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS
MAX_BYTES = 262_144


class Put(NamedTuple):
    """A record and the partition it is put in; ``dead`` is the reason if it must end in the dead letters."""

    partition: int
    key: bytes | None
    value: bytes | None
    dead: str | None = None


class Case(NamedTuple):
    """Records of one kind of bad input, and what they must add to the counters on /metrics."""

    name: str
    puts: tuple[Put, ...]
    counts: Mapping[tuple[str, str, str], int] = MappingProxyType({})  # (metric, label, value of the label) -> how many


def document(account: str, **changes: Any) -> dict[str, Any]:
    """A good event of an account that nobody else uses; a change to ``...`` leaves the field out."""
    event = {
        "event_id": f"{account}-1", "event_time": MIDDLE_MS, "account_id": account, "model": "m",
        "input_tokens": 10, "output_tokens": 20,
    } | changes  # fmt: skip
    return {name: value for name, value in event.items() if value is not ...}


def put(value: bytes | None, dead: str | None = None, account: str = "bad", key: bytes | None = b"bad") -> Put:
    """A record in its account's partition."""
    return Put(partition_of(account, PARTITIONS), account.encode() if key else None, value, dead)


def dead(name: str, value: bytes | None, reason: str) -> Case:
    """A case of one record that must be a dead letter."""
    return Case(name, (put(value, reason),))


def field(name: str, value: Any, reason: str | None = None) -> Case:
    """A required field that is absent or faulty."""
    kind = "missing" if value is ... else "invalid"
    shown = "absent" if value is ... else str(value)[:20] or "empty"
    body = msgspec.json.encode(document("bad", **{name: value}))
    return dead(f"{name} {shown}", body, reason or f"{kind}_field:{name}")


def raw(name: str, text: bytes) -> Case:
    """A required field with JSON that no encoder writes."""
    marked = msgspec.json.encode(document("bad", **{name: "MARK"}))
    return dead(
        f"{name} is {text[:20].decode(errors='replace')}", marked.replace(b'"MARK"', text), f"invalid_field:{name}"
    )


def optional(name: str, account: str, fault: str, **changes: Any) -> Case:
    """An optional field that is faulty: the event counts, the field is unknown."""
    event = put(msgspec.json.encode(document(account, **changes)), account=account)
    return Case(name, (event,), {("field_faults", "field", fault): 1})


def counted(name: str, outcome: str, *puts: Put, n: int = 1, metric: str = "events", label: str = "outcome") -> Case:
    """A case that is only counted."""
    return Case(name, puts, {(metric, label, outcome): n})


def one(account: str, **changes: Any) -> Put:
    """One event of an account."""
    return put(msgspec.json.encode(document(account, **changes)), account=account)


REQUIRED = ("event_id", "event_time", "account_id", "model", "input_tokens", "output_tokens")
LAST_MS = (2**32 - 1) * 1_000  # what memories count seconds in ends here, in 2106
TWICE = one("twice")
FLOATS = msgspec.json.encode(document("floats")).replace(b":10,", b":1e1,")
FAR, BEFORE_ALL = "far in the future", "at the end of time, before anything else"
CASES = [
    # broken as a whole
    dead("cut off", msgspec.json.encode(document("bad"))[:-5], "broken_json"),
    dead("no JSON at all", b"\x00\xff\xfe nonsense", "broken_json"),
    dead("nested 100,000 deep", b"[" * 100_000, "broken_json"),
    dead("a list", b"[1, 2]", "not_an_object"),
    dead("a JSON null", b"null", "not_an_object"),
    dead("an empty object", b"{}", "missing_field:event_id"),
    dead("empty value", b"", "empty"),
    dead("null value", None, "empty"),
    dead("above the size cap", msgspec.json.encode(document("bad", padding="x" * MAX_BYTES)), "too_large"),
    dead("above it and broken", b"{" * (MAX_BYTES + 1), "too_large"),
    # a required field
    *(field(name, ...) for name in REQUIRED),
    *(field(name, None) for name in REQUIRED),
    field("event_time", "yesterday"),
    field("input_tokens", "10"),
    field("account_id", 7),
    field("model", ["m"]),
    *(field(name, "") for name in ("event_id", "account_id", "model")),
    *(field(name, "é" * 129) for name in ("event_id", "account_id", "model")),
    field("input_tokens", -1),
    field("output_tokens", -(2**63)),
    field("event_time", -1),
    field("event_time", 1.5),
    field("event_time", LAST_MS + 1),
    field("event_time", 2**63 - 1),
    raw("event_time", b"9223372036854775808"),
    raw("event_time", b"1e300"),
    raw("event_time", b"1e999"),
    raw("event_time", b"NaN"),
    raw("event_time", b"-Infinity"),
    raw("event_time", b"9" * 5_000),
    raw("account_id", b'"\\ud800"'),
    raw("account_id", b'"\xff"'),
    # an optional field: unknown from here on, the exchange still counts
    optional("user agent too long", "agent", "client.user_agent", client={"user_agent": "x" * 513}),
    optional("wrong type", "wrong", "temperature", temperature="warm"),
    optional("an object that is none", "text", "prompt", prompt="what is this"),
    optional("below its minimum", "turn", "turn", turn=0),
    optional("no fingerprint", "simhash", "prompt.simhash", prompt={"simhash": "XYZ"}),
    # only counted
    counted("the same event twice", "duplicate", TWICE, TWICE, TWICE, n=2),
    counted("hours late", "late", *(one(f"late-{i}", event_time=MIDDLE_MS - i * HOUR_MS) for i in range(1, 6)), n=5),
    counted(
        FAR, "far_ahead", *(one(f"future-{i}", event_time=MIDDLE_MS + i * YEAR_MS) for i in range(1, 4)),
        one("end-of-time", event_time=LAST_MS), n=5,
    ),
    Case(BEFORE_ALL, (one("first", event_time=LAST_MS),)),  # the fifth of them
    counted("no key", "missing_key", put(msgspec.json.encode(document("keyless")), account="keyless", key=None),
            metric="misrouted_records", label="reason"),
    counted("another partition", "other_partition",
            one("astray")._replace(partition=(partition_of("astray", 4) + 1) % 4),
            metric="misrouted_records", label="reason"),
    # strange but good
    Case("unknown fields", (one("unknown", faults=[1], nothing={"deep": [None] * 50}),)),
    Case("any characters", (one("\x00 \u202e\U0001f600"), one("line\nbreak"))),
    Case("integral floats", (put(FLOATS, account="floats"),)),
]  # fmt: skip


class Run(NamedTuple):
    """What one worker made of everything."""

    origins: dict[str, list[tuple[int, int]]]  # partition and offset of the records of a case
    dead_letters: dict[tuple[int, int], Any]  # origin -> message
    counts: dict[Sample, float]
    alerts: set[Alert]
    expected: list[Alert]
    accepted: int
    probes: tuple[int, int]
    exit_code: int
    log: str


def good_events() -> tuple[list[Put], list[Put]]:
    """Ordinary accounts and two campaigns, one before and one after the middle."""
    spec = msgspec.structs.replace(SHAPES["fixed_prompt"].default, accounts=30, per_day=300)
    specs = tuple(msgspec.structs.replace(spec, start_h=start_h) for start_h in (0.2, HOURS / 2 + 0.2))
    halves: tuple[list[Put], list[Put]] = ([], [])
    for event in Simulation(Plan(seed=3, accounts=150, hours=HOURS, campaigns=specs)):
        found = Put(partition_of(event.account_id, PARTITIONS), event.account_id.encode(), event.value)
        halves[event.time_ms > MIDDLE_MS].append(found)
    return halves


def in_one_process(settings: Settings, puts: list[Put]) -> list[Alert]:
    """The alerts of these records without those that end in the dead letters."""
    pipeline = Pipeline(settings)
    records = []
    for partition in range(PARTITIONS):
        mine = [each for each in puts if each.partition == partition and each.dead is None]
        keys, values = [each.key for each in mine], [each.value for each in mine]
        records += pipeline.feed(Batch(partition, range(len(mine)), keys, values))
    return [(each.key or b"", each.value, tuple(each.headers)) for each in records if each.role == ALERTS]


def far_ones_apart(puts: tuple[Put, ...]) -> Iterator[Put]:
    """A good event of its account after each, so that no run of strange times confirms itself."""
    for each in puts:
        account = (each.key or b"").decode()
        yield from (each, one(account, event_id=f"{account}-2"))


@pytest.fixture(scope="module")
def run(kafka: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Send half of the good events, all cases, and the other half to one worker; end it by SIGTERM."""
    settings = private_settings(kafka.bootstrap, Settings(time=Time(idle_after_s=600)))
    create_topics(settings)
    before, after = good_events()
    origins: dict[str, list[tuple[int, int]]] = {}
    ends = [0] * PARTITIONS
    puts: list[Put] = []

    def take(each: Put) -> tuple[int, int]:
        puts.append(each)
        ends[each.partition] += 1
        return each.partition, ends[each.partition] - 1

    first = next(case for case in CASES if case.name == BEFORE_ALL)
    origins[first.name] = [take(each) for each in first.puts]
    for each in before:
        take(each)
    for case in CASES:
        if case is first:
            continue
        if case.name == FAR:
            placed = [take(each) for each in far_ones_apart(case.puts)]
            origins[case.name] = placed[::2]
        else:
            origins[case.name] = [take(each) for each in case.puts]
    for each in after:
        take(each)

    expected = in_one_process(settings, puts)
    usable = sum(each.dead is None for each in puts)
    follower = Follower(settings)
    with real_worker(settings, tmp_path_factory.mktemp("bad")) as worker:
        send(settings, puts)

        def counts(**labels: str) -> float:
            return samples(worker).get(("stillwatch_events_total", frozenset(labels.items())), 0.0)

        def everything() -> bool:
            taken = ("accepted", "duplicate", "dead_letter")
            return len(puts) == sum(counts(stage="accounts", outcome=outcome) for outcome in taken)

        assert until(lambda: "accounts" in worker.assigned() and everything()), worker.log()
        assert until(lambda: follower.at_least(len(expected))), len(follower.alerts)
        probes = tuple(
            urllib.request.urlopen(url(worker) + path, timeout=PATIENCE_S).status for path in ("/livez", "/readyz")
        )
        found = samples(worker)
        worker.signal(signal.SIGTERM)
        code = worker.wait()
        log = worker.log()
    follower.close()
    letters = read_topic(settings, topic_name(settings, DEAD_LETTERS))
    return Run(
        origins, {origin_of(message): message for message in letters}, found, follower.alerts, expected,
        usable, probes, code, log,
    )  # fmt: skip


def send(settings: Settings, puts: list[Put]) -> None:
    """Produce each record to its partition."""
    producer = Producer(producer_config(settings))
    for each in puts:
        producer.produce(settings.kafka.requests_topic, each.value, each.key, each.partition)
        producer.poll(0)
    assert 0 == producer.flush(30)


def origin_of(message: Any) -> tuple[int, int]:
    """Where a dead letter came from, as its headers say."""
    headers = dict(message.headers())
    return int(headers["x-origin-partition"]), int(headers["x-origin-offset"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_in_its_place(run: Run, case: Case):
    """A dead letter with reason and origin for each record that cannot be used, a counter for the rest."""
    for place, each in zip(run.origins[case.name], case.puts, strict=True):
        letter = run.dead_letters.get(place)
        assert (each.dead is not None) == (letter is not None)
        if letter is not None:
            assert each.dead == dict(letter.headers())["x-reason"].decode()
            body = msgspec.json.decode(letter.value())
            assert (each.dead, *place) == (body["reason"], body["partition"], body["offset"])
            assert len(each.value or b"") == body["bytes"]
            assert each.key == letter.key()
    for (metric, label, value), n in case.counts.items():
        found = {key: count for key, count in run.counts.items() if key[0] == f"stillwatch_{metric}_total"}
        assert n == found[f"stillwatch_{metric}_total", frozenset({"stage": "accounts", label: value}.items())], found


def test_no_two_cases_are_mixed_up():
    """A counter belongs to one case, and a name too."""
    counted = [key for case in CASES for key in case.counts]
    assert len(set(counted)) == len(counted)
    assert len({case.name for case in CASES}) == len(CASES)


def test_nothing_else_is_lost(run: Run):
    """Every other record was accepted, and the alerts are those of the input without the unusable records."""
    assert run.expected
    assert "" == difference(run.expected, run.alerts)
    dead = sum(each.dead is not None for case in CASES for each in case.puts)
    assert dead == len(run.dead_letters)
    assert dead == total(run, "events", outcome="dead_letter") == total(run, "dead_letters")
    duplicates = total(run, "events", outcome="duplicate")
    assert run.accepted - duplicates == total(run, "events", outcome="accepted")


def total(run: Run, metric: str, **labels: str) -> float:
    """A counter of stage accounts, summed over the labels that are not given."""
    wanted = {"stage": "accounts", **labels}.items()
    return sum(n for (name, found), n in run.counts.items() if name == f"stillwatch_{metric}_total" and wanted <= found)


def test_strange_times_drag_no_watermark(run: Run):
    """All partitions end where their last good event is."""
    name = "stillwatch_request_watermark_timestamp_seconds"
    watermarks = [value for (each, _), value in run.counts.items() if each == name]
    assert PARTITIONS == len(watermarks)
    assert MIDDLE_MS < 1_000 * min(watermarks) <= 1_000 * max(watermarks) <= START_MS + HOURS * HOUR_MS


def test_worker_lives_on(run: Run):
    """It is alive and ready after all of it, tells of alerts that came later, and ends in order."""
    assert (200, 200) == run.probes
    assert any(msgspec.json.decode(value)["detected_at"] > MIDDLE_MS for _, value, _ in run.alerts)
    assert 0 == run.exit_code, run.log
    assert "Traceback" not in run.log
