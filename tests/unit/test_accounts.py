"""Stage 1 over one partition: what becomes of each record, and what goes out."""

import json
from typing import Any

import msgspec
import pytest

from streams.accounts.features import ANSWERED, FAILED, REFUSED, THROTTLED, outcome
from streams.accounts.operator import AccountsOperator
from streams.config import Accounts, Settings
from streams.contracts.packets import (
    CLIENT,
    ENDED,
    HEAD,
    IDLE,
    NEAR_HIGH,
    NEAR_LOW,
    NETWORK,
    NO_TIME,
    PAYMENT,
    RUNNING,
    TEMPLATE,
    Signals,
    decode_evidence,
    decode_sightings,
)
from streams.operator import DEAD_LETTERS, EVIDENCE, MARKER_KEY, SIGHTINGS, Batch, Record

T = 1_789_030_800_000
HOUR_MS = 3_600_000
TTL_MS = 10 * HOUR_MS
BASE = Settings(accounts=Accounts(ttl_ms=TTL_MS, infrastructure_ttl_ms=40 * HOUR_MS, dedupe_events=4))
SETTINGS = msgspec.structs.replace(BASE, kafka=msgspec.structs.replace(BASE.kafka, request_partitions=1))


def event(number: int, account: str = "a", at_ms: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "event_time": T + at_ms,
        "account_id": account,
        "model": "m",
        "input_tokens": 10,
        "output_tokens": 100,
        **fields,
    }


class Feeder:
    """An operator and the offset it has come to; starts with two accounts, so that there is a watermark."""

    def __init__(self, settings: Settings = SETTINGS, partition: int = 0, warm: bool = True) -> None:
        self.operator = AccountsOperator(settings, partition)
        self.offset = 0
        if warm:
            self.feed(*(event(-i, f"warm{i % 2}") for i in range(3)))

    def feed(self, *events: Any, keys: list[bytes | None] | None = None) -> list[Record]:
        """Feed events (dicts, or raw bytes) as one batch."""
        values = [each if isinstance(each, bytes | None) else json.dumps(each).encode() for each in events]
        start, self.offset = self.offset, self.offset + len(values)
        return self.operator.on_batch(Batch(0, range(start, self.offset), keys or [b"k"] * len(values), values))

    def move(self, at_ms: int) -> None:
        """Let time pass: more than 10 minutes at once are believed of two accounts."""
        self.feed(*(event(10**6 + self.offset + i, f"warm{i % 2}", at_ms) for i in range(3)))

    def count(self, *key: str) -> int:
        return self.operator.counters.get(key, 0)


def sightings(records: list[Record]) -> list[dict[str, int]]:
    out = []
    for record in records:
        if record.role == SIGHTINGS:
            items = decode_sightings(record.value)[1]
            out += [dict(zip(items.dtype.names, item, strict=True)) for item in items.tolist()]
    return out


def signals(records: list[Record]) -> list[dict[str, int]]:
    out = []
    for record in records:
        if record.role == EVIDENCE:
            items = decode_evidence(record.value)[1]
            out += [dict(zip(items.dtype.names, item, strict=True)) for item in items.tolist()]
    return out


def introduced(records: list[Record]) -> list[tuple[str, str]]:
    out = []
    for record in records:
        if record.role == EVIDENCE:
            packet = decode_evidence(record.value)[0]
            assert isinstance(packet, Signals)
            out += [(who.account_id, who.plan) for who in packet.introductions]
    return out


def test_one_signal_an_event():
    """Every accepted event is a signal with the account's own count."""
    feed = Feeder()
    found = signals(feed.feed(event(1, at_ms=5), event(2, at_ms=7), event(3, "b", at_ms=9)))
    assert [(1, T + 5), (2, T + 7), (1, T + 9)] == [(each["count"], each["time"]) for each in found]
    assert [3, 4, 5] == [each["offset"] for each in found]


def test_near_prompts_are_sighted_by_their_whole_simhash():
    """A prompt is told of to both its halves, once; another one that has a half in common with it too."""
    feed = Feeder()
    shown = [0x1_0000_0002, 0x1_0000_0003, 0x1_0000_0002, 0x2_0000_0003]
    found = sightings(feed.feed(*(event(i, prompt={"simhash": f"{each:016x}"}) for i, each in enumerate(shown))))
    near = [(each["simhash"], each["kind"]) for each in found if each["kind"] in (NEAR_LOW, NEAR_HIGH)]
    assert {(each, kind) for each in shown for kind in (NEAR_LOW, NEAR_HIGH)} == set(near)
    assert 6 == len(near)
    assert 3 == len(feed.operator._memories[b"n"])


def test_duplicates():
    """An event id that the account has shown lately is dropped and counted; another account may use it."""
    feed = Feeder()
    assert 3 == len(signals(feed.feed(event(1), event(1), event(2), event(1, "b"))))
    assert 0 == len(signals(feed.feed(event(2))))
    assert 2 == feed.count("events", "duplicate")


def test_duplicates_are_remembered_for_a_while():
    """The last ids of an account are remembered, as many as configured."""
    feed = Feeder()
    feed.feed(*(event(i) for i in range(1, 7)))
    assert 1 == len(signals(feed.feed(event(3), event(2))))  # 3 to 6 are known


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "broken_json"),
        (None, "empty"),
        (b"[]", "not_an_object"),
        (b'{"event_id": "x"}', "missing_field:event_time"),
        (b" " * (SETTINGS.accounts.max_event_bytes + 1), "too_large"),
    ],
)
def test_dead_letters(value, reason):
    """A record that cannot be used goes to the dead letters with its reason; its neighbours are not touched."""
    feed = Feeder()
    out = feed.feed(event(1), value, event(2))
    letters = [record for record in out if record.role == DEAD_LETTERS]
    assert [reason] == [json.loads(letter.value)["reason"] for letter in letters]
    assert 4 == json.loads(letters[0].value)["offset"]
    assert [3, 5] == [each["offset"] for each in signals(out)]
    assert 1 == feed.count("dead_letters", reason) == feed.count("events", "dead_letter")


def test_a_dead_letter_fits_its_topic():
    """The key of a longest account id is kept; one that would make the record too large is not."""
    feed = Feeder()
    keys = ["\U0001f600".encode() * 128, b"k" * 1_000_000]
    out = feed.feed(b"{", b"{", keys=keys)
    assert [keys[0], None] == [record.key for record in out if record.role == DEAD_LETTERS]


@pytest.mark.parametrize("time", [T * 1_000, 2**63 - 1])
def test_times_that_no_clock_shows_move_nothing(time):
    """Microseconds, or the largest integer, are dead letters: the clock stays, also when nothing else has come."""
    feed = Feeder(warm=False)
    out = feed.feed(*(event(i, name, time - T) for i, name in enumerate("abcab")))
    out += feed.operator.on_end()
    assert 5 == sum(record.role == DEAD_LETTERS for record in out)
    feed = Feeder()
    feed.feed(*(event(i, name, time - T) for i, name in enumerate("abcab")))
    feed.feed(event(9))
    assert 0 == feed.count("events", "late")


def test_nothing_but_dead_letters():
    """A batch without a usable record is taken in like any other."""
    feed = Feeder(warm=False)
    assert 2 == len(feed.feed(b"x", b"y"))
    assert 2 == feed.operator.checkpoint().offset


def test_fault_in_an_optional_field():
    """The event counts, the field is unknown and counted by name."""
    feed = Feeder()
    client = {"ip": "203.0.113.5", "user_agent": "x" * 513}
    out = feed.feed(event(1, client=client))
    assert 1 == feed.count("field_faults", "client.user_agent")
    assert {NETWORK} == {each["kind"] for each in sightings(out)}


def test_misrouted():
    """Accounts that Kafka's default partitioner would put elsewhere, and records without a key, are counted."""
    kafka = msgspec.structs.replace(SETTINGS.kafka, request_partitions=4)
    feed = Feeder(msgspec.structs.replace(SETTINGS, kafka=kafka))
    feed.operator.counters.clear()
    feed.feed(event(1, "account-0"), event(2, "account-0"), keys=[b"account-0", None])  # belongs to partition 3
    assert (2, 1) == (feed.count("misrouted", "other_partition"), feed.count("misrouted", "missing_key"))


def test_late_and_far_ahead():
    """Late events and clocks far ahead are counted and get the time that the clock gives them."""
    feed = Feeder()
    feed.feed(event(1, at_ms=60_000))
    found = signals(feed.feed(event(2, at_ms=1_000), event(3, at_ms=10**9)))
    assert [T + 55_000, T + 655_000] == [each["time"] for each in found]
    assert (1, 1) == (feed.count("events", "late"), feed.count("events", "far_ahead"))


def test_waits_for_a_watermark():
    """The first events wait until a third confirms them, the end of input comes, or the input pauses."""
    for end in (AccountsOperator.on_end, AccountsOperator.on_idle):
        feed = Feeder(warm=False)
        assert [] == feed.feed(event(1), event(2))
        assert feed.operator.checkpoint() is None
        assert 2 == len(signals(end(feed.operator)))
    feed = Feeder(warm=False)
    feed.feed(event(1), event(2))
    assert 4 == len(signals(feed.feed(event(3, "b"), event(4))))


def test_a_broken_clock_at_the_start():
    """A first event from the far future does not sit in the buffers below for years."""
    feed = Feeder(warm=False)
    found = signals(feed.feed(event(1, at_ms=10**11), event(2, "b"), event(3, "b")))
    assert T + SETTINGS.time.far_ahead_ms == max(each["time"] for each in found)


def test_sightings_once_and_again():
    """A token is sent when the account first shows it, and once per quarter of its life."""
    feed = Feeder()
    client = {"ip": "203.0.113.5", "user_agent": "agent"}
    hours = [0, 5, 9, 10, 15, 19, 20]
    found = []
    for i, hour in enumerate(hours):
        feed.move(hour * HOUR_MS)
        found.append(sightings(feed.feed(event(i, at_ms=hour * HOUR_MS, client=client))))
    assert [2, 0, 0, 2, 0, 0, 2] == [len(each) for each in found]
    assert {NETWORK, CLIENT} == {each["kind"] for each in found[0]}
    assert [1, 0, 0] == [each[0]["first"] for each in found if each]


def test_networks_are_general():
    """Addresses of one /24 are one network, and each kind has tokens of its own."""
    feed = Feeder()
    one = sightings(feed.feed(event(1, client={"ip": "203.0.113.5"})))
    two = sightings(feed.feed(event(2, "b", client={"ip": "203.0.113.77"})))
    other = sightings(feed.feed(event(3, "c", client={"ip": "203.0.114.5"})))
    assert one[0]["token"] == two[0]["token"] != other[0]["token"]
    identity = {"payment_fingerprint": "same", "device_fingerprint": "same"}
    card, device = sightings(feed.feed(event(4, "d", identity=identity)))
    assert PAYMENT == card["kind"]
    assert card["token"] != device["token"]


def test_prompt_text_becomes_fingerprints():
    """A text is turned into tokens and forgotten; what the gateway sent of them stands."""
    text = "Solve the following problem. Show your full reasoning step by step.\n\nTom has 7 apples and buys 15 more."
    feed = Feeder()
    found = sightings(feed.feed(event(1, prompt={"text": text})))
    assert {TEMPLATE, HEAD} <= {each["kind"] for each in found}
    sent = {"text": text, "template_hash": "feedbeef", "simhash": "00000000000000ff"}
    own = sightings(feed.feed(event(2, "b", prompt=sent)))
    alone = sightings(feed.feed(event(3, "c", prompt={"template_hash": "feedbeef"})))
    assert alone[0]["token"] in {each["token"] for each in own}
    assert {0xFF} == {each["simhash"] for each in own if each["simhash"]}


def test_introductions():
    """An account is introduced with its first event and when what it says of itself changes."""
    feed = Feeder()
    assert [("a", "pro")] == introduced(feed.feed(event(1, plan="pro"), event(2, plan="pro"), event(3)))
    assert [("a", "team")] == introduced(feed.feed(event(4, plan="team"), event(5, plan="team", org_id=None)))
    assert [("a", "team")] == introduced(feed.feed(event(6, org_id="o"), event(7, org_id="o")))


def test_an_account_that_was_away_is_new():
    """After its lifetime an account counts from one again, whether or not it was swept."""
    feed = Feeder()
    feed.feed(event(1), event(2))
    feed.move(TTL_MS)
    assert 3 == signals(feed.feed(event(3, at_ms=TTL_MS)))[0]["count"]
    feed.move(2 * TTL_MS + 1)
    assert 1 == signals(feed.feed(event(4, at_ms=2 * TTL_MS + 1)))[0]["count"]
    feed.move(4 * TTL_MS)
    assert 1 == feed.operator.gauges()["held", "accounts"]  # only the one whose event was believed


def test_status():
    """The first record after a pause says so, the end of input is declared once the operator is told."""
    feed = Feeder()
    assert {IDLE} == {decode_sightings(r.value)[0].status for r in feed.operator.on_idle() if r.role == SIGHTINGS}
    feed.feed(event(1))
    assert not feed.operator.finished
    out = feed.operator.on_end()
    assert {ENDED} == {decode_sightings(r.value)[0].status for r in out if r.role == SIGHTINGS}
    assert feed.operator.finished
    out = feed.feed(event(2))
    assert {RUNNING} == {decode_sightings(r.value)[0].status for r in out if r.role == SIGHTINGS}


def test_end_without_input():
    """A partition without a record ends, too, and says that it has no time."""
    found = AccountsOperator(SETTINGS, 0).on_end()
    packet = decode_evidence(found[-1].value)[0]
    assert (ENDED, NO_TIME) == (packet.status, packet.watermark)


def test_checkpoint_in_pieces():
    """A checkpoint of some keys goes on from the first batch whose keys are not all written."""
    feed = Feeder()
    feed.operator.checkpoint()
    feed.feed(event(1, "a"), event(2, "b"))
    feed.feed(event(3, "c"), event(4, "a"))
    found = [feed.operator.checkpoint(1) for _ in range(3)]
    assert [(3, True), (5, True), (7, False)] == [(each.offset, each.more) for each in found]
    assert [[b"aa"], [b"ab"], [b"ac"]] == [[key for key, _ in each.snapshots if key[:1] == b"a"] for each in found]
    assert feed.operator.checkpoint() is None


def test_evicted_accounts_get_a_tombstone():
    """An account that is gone is deleted from the state topic."""
    feed = Feeder()
    feed.operator.checkpoint()
    feed.feed(*(event(i, "b", at_ms=3 * TTL_MS) for i in range(10, 20)))
    found = dict(feed.operator.checkpoint().snapshots)
    assert found[b"awarm0"] is None
    assert found[b"ab"] is not None


def test_tombstones_come_in_pieces():
    """If the clock makes all accounts old, no checkpoint has more tombstones than keys; all come at last."""
    feed = Feeder()
    feed.feed(*(event(i, f"old{i}") for i in range(10)))
    feed.operator.checkpoint()
    feed.feed(*(event(i, "b", at_ms=3 * TTL_MS) for i in range(20, 30)))
    found = []
    while (checkpoint := feed.operator.checkpoint(4)) is not None:
        gone = [key for key, value in checkpoint.snapshots if key[:1] == b"a" and value is None]
        assert len(gone) <= 4
        found += gone
        assert checkpoint.more == (len(found) < 12)
    assert sorted([b"awarm0", b"awarm1", *(b"aold%d" % i for i in range(10))]) == sorted(found)


def test_a_flood_of_accounts_pushes_itself_out():
    """Beyond the budget the accounts with the fewest events are forgotten first, and counted; memory stays bounded."""
    limits = msgspec.structs.replace(SETTINGS.accounts, max_accounts=400, first_sightings_max_bytes=100_000)
    feed = Feeder(msgspec.structs.replace(SETTINGS, accounts=limits))
    known = [f"known{i}" for i in range(20)]
    for i in range(10):
        feed.feed(*(event(i, name, at_ms=i) for name in known))
    sizes = set()
    for start in range(0, 10_000, 100):
        flood = [event(1, f"flood{start + i}", at_ms=start + i, plan=f"p{start + i}") for i in range(100)]
        feed.feed(*flood)
        feed.operator.checkpoint()
        sizes.add(feed.operator.gauges()["held", "accounts"])
    assert max(sizes) <= 500
    assert 10_000 + 22 - feed.operator.gauges()["held", "accounts"] == feed.count("accounts_evicted_early")
    assert {11} == {each["count"] for each in signals(feed.feed(*(event(99, name, at_ms=10_000) for name in known)))}
    assert [1] == [each["count"] for each in signals(feed.feed(event(2, "flood5", at_ms=10_000)))]
    assert len(feed.operator._plans) <= 2_000


@pytest.mark.parametrize(
    ("status", "refused", "found"),
    [
        (200, False, ANSWERED), (200, True, REFUSED), (400, True, REFUSED), (403, False, FAILED), (451, False, FAILED),
        (403, True, REFUSED), (429, False, THROTTLED), (503, False, FAILED),
    ],
)  # fmt: skip
def test_outcome(status: int, refused: bool, found: int):
    """Refused is what the event says was: a ban, or a country that is not served, is no guard's answer to a prompt."""
    assert found == outcome(status, refused)


def test_long_names():
    """An account id longer than a row holds is kept whole, through a checkpoint too."""
    feed = Feeder()
    name = "é" * 128
    feed.feed(event(1, name), event(2, "x" * 39), event(3, "x" * 40))
    found = feed.operator.checkpoint()
    keys = {key.decode() for key, _ in found.snapshots if key[:1] == b"a"}
    assert {"a" + name, "a" + "x" * 39, "a" + "x" * 40} <= keys
    other = AccountsOperator(SETTINGS, 0)
    other.restore([*((key, value) for key, value in found.snapshots if value), (MARKER_KEY, found.marker)])
    again = json.dumps(event(4, name, plan="y")).encode()
    assert [(name, "y")] == introduced(other.on_batch(Batch(0, [9], [b"k"], [again])))
