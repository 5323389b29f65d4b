"""Made-up benign traffic of as many accounts as wanted, cheap to make: what a scale curve is drawn from.

The simulator's accounts are too quiet for it: of a million, a tenth shows up in a day's ten million events. Here each
account shows up once and then again by rank (Zipf's law), so that few are busy and most stay below eight events.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

CHUNK_EVENTS = 100_000
PER_ACCOUNT = 3  # events on average, at least: one for certain, the others by rank
LEAST_EVENTS = 300_000  # half a minute: several times the lateness, or nothing is decided before the end
SKEW = 0.8  # of Zipf's law
START_MS = 1_790_000_000_000
EVENTS_PER_S = 10_000  # of event time: a busy provider's, so that ticks are as full as under load
SHARED_TEMPLATES = 2_000  # wrappers that many have, for one event in five; the others are nobody else's
ACCOUNTS_PER_NETWORK = 4
CLIENTS = 300

LINE = (
    b'{"event_id":"%016x%04d","event_time":%d,"account_id":"acct_%016x","org_id":"org_%012x","plan":"pro",'
    b'"account_created_at":1764897307259,"identity":{"payment_fingerprint":"pm_%012x","device_fingerprint":"dev_%012x",'
    b'"email_domain":"gmail.com"},"model":"atlas-5-mini","status":200,"input_tokens":%d,"output_tokens":%d,'
    b'"stream":true,"latency_ms":1494,"turn":1,"client":{"ip":"10.%d.%d.%d","asn":8075,"country":"NL",'
    b'"user_agent":"atlas-python/2.8.%d","tls_fingerprint":"t13d1312h2_c2bd2c22eca1_d0fb1897713e"},"prompt":{'
    b'"simhash":"%016x","template_hash":"%016x","chars":304,"reasoning_elicitation":0,"grading":0,"topic":"qa",'
    b'"language":"en"}}'
)


class Crowd(NamedTuple):
    """``seen`` accounts, one after another, with so many events a second of event time."""

    seen: int
    seed: int = 1
    events_per_s: int = EVENTS_PER_S

    @property
    def events(self) -> int:
        """How many there are."""
        return max(self.seen * PER_ACCOUNT, LEAST_EVENTS)

    def lines(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (account id, event) in order of event time."""
        random = np.random.default_rng(self.seed)
        done = shown = 0
        while done < self.events:
            size = min(CHUNK_EVENTS, self.events - done)
            # whose turn it is: the newcomers of this time, and of those before, by rank, whoever is busy
            newcomers = np.arange(shown, self.seen * (done + size) // self.events)
            shown += newcomers.size
            ranks = (max(1, shown) * random.random(size - newcomers.size) ** (1 / (1 - SKEW))).astype(np.int64)
            accounts = random.permutation(np.concatenate([newcomers, ranks]))
            for i, (who, numbers) in enumerate(zip(accounts.tolist(), _contents(random, size), strict=True), done):
                yield _event(i, START_MS + i * 1_000 // self.events_per_s, who, numbers)
            done += size


class Turnover(NamedTuple):
    """So many accounts at a time, for ever: each is there for ``stay_ms`` of event time, then another takes its place.

    Who has which place is a matter of the time alone; places are busy by Zipf's law, as the crowd is.
    """

    accounts: int
    stay_ms: int
    seed: int = 1

    def lines(self, step_ms: float) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (event time in ms, account id, event), ``step_ms`` apart."""
        random = np.random.default_rng(self.seed)
        for done in itertools.count(0, CHUNK_EVENTS):
            places = self._ranks(random)
            passed = ((done + np.arange(CHUNK_EVENTS)) * step_ms).astype(np.int64)
            # they do not all change at once: each place has a moment of its own
            turns = (passed + places * self.stay_ms // self.accounts) // self.stay_ms
            accounts = (turns * self.accounts + places).tolist()
            times = (START_MS + passed).tolist()
            for i, (time_ms, who, numbers) in enumerate(
                zip(times, accounts, _contents(random, CHUNK_EVENTS), strict=True), done
            ):
                yield time_ms, *_event(i, time_ms, who, numbers)

    def _ranks(self, random: np.random.Generator) -> Any:
        return (self.accounts * random.random(CHUNK_EVENTS) ** (1 / (1 - SKEW))).astype(np.int64)


def _contents(random: np.random.Generator, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield what each event asks: SimHash, template, input and output tokens."""
    hashes = random.integers(0, 2**63, (size, 2))
    sizes = random.lognormal(5, 1, (size, 2)).astype(np.int64) + 1
    common = random.random(size) < 0.2
    hashes[common, 1] %= SHARED_TEMPLATES
    return zip(*hashes.T.tolist(), *sizes.T.tolist(), strict=True)


def _event(i: int, time_ms: int, who: int, numbers: tuple[int, int, int, int]) -> tuple[bytes, bytes]:
    simhash, template, asked, answered = numbers
    net, mixed = who // ACCOUNTS_PER_NETWORK, who * 0x9E3779B97F4A7C15 % 2**64
    return b"acct_%016x" % mixed, LINE % (
        *(i, 0, time_ms, mixed, who // 2, who, who, asked, answered),
        *(net >> 16 & 255, net >> 8 & 255, net & 255, who % CLIENTS, simhash, template),
    )
