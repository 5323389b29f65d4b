"""Accounts that prompts are dealt out to are told from people, whatever the prompts say."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.accounts.features import put
from streams.campaigns import cohorts
from streams.campaigns.cohorts import Cohort
from streams.campaigns.nats import total
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.table import AccountTable
from streams.contracts.packets import DEVICE, NETWORK, PAYMENT, SIGNAL

HOUR_MS = 3_600_000
START_MS = 500_000 * HOUR_MS
NOW = START_MS + 24 * HOUR_MS
ENOUGH = 11.5  # nats: the usual threshold
N = 30
OPEN = put("topic", np.uint64(2)) | put("new_near_prompt", np.uint64(1)) | put("first_turn", np.uint64(1))


class Town:
    """Accounts that send prompts; a subject is how likely each bit of a SimHash is set."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.table, self.shared = AccountTable(), SharedTokens(1000)

    def subject(self, width: float = 0.25) -> np.ndarray:
        """Draw a subject."""
        return np.clip(0.5 + self.rng.normal(0, width, 64), 0.02, 0.98)

    def send(self, account: int, subject: np.ndarray, times: np.ndarray) -> None:
        """Let an account send a prompt at each of these times."""
        signals = np.zeros(times.size, SIGNAL)
        bits = self.rng.random((times.size, 64)) < subject
        signals["simhash"] = (bits.astype(np.uint64) << np.arange(64, dtype=np.uint64)).sum(axis=1)
        signals["time"], signals["bins"], signals["account"] = np.sort(times), OPEN, account
        self.table.absorb(self.table.insert(signals["account"]), signals)

    def deal(self, first: int, n: int, subject: np.ndarray, mean: float = 40) -> None:
        """Deal prompts of one subject out over accounts."""
        when = self.rng.random(24) ** 2  # a router is busy at some hours
        for account in range(first, first + n):
            hours = self.rng.choice(24, self.rng.poisson(mean), p=when / when.sum())
            self.send(account, subject, START_MS + hours * HOUR_MS + self.rng.integers(HOUR_MS, size=hours.size))

    def live(self, first: int, n: int, subjects: list[np.ndarray], sigma: float = 1.0) -> None:
        """Let people send prompts in visits, each as many as he likes."""
        for account in range(first, first + n):
            size = int(np.clip(self.rng.lognormal(3.0, sigma), 1, 400))
            visits = self.rng.integers(23 * HOUR_MS, size=1 + size // 8)
            times = START_MS + self.rng.choice(visits, size) + self.rng.integers(HOUR_MS // 3, size=size)
            self.send(account, subjects[account % len(subjects)], times)

    def share(self, token: int, kind: int, accounts: Sequence[int]) -> None:
        """Let accounts share a card or a network."""
        rows = self.table.insert(np.array(accounts, np.uint64)).tolist()
        shared = self.shared._add(SharedToken(token, kind, START_MS))
        shared.degree, shared.members = len(rows), {row: [START_MS, NOW, 5, 0] for row in rows}
        for row in rows:
            self.shared.infrastructure_of.setdefault(row, []).append(token)

    def look(self) -> list[Cohort]:
        """All cohorts."""
        return cohorts.cohorts(self.table, self.shared, set(), NOW)

    def nats(self) -> list[tuple[float, set[int]]]:
        """Evidence and accounts of each cohort."""
        hashes = self.table.rows["hash"]
        return [
            (total(cohorts.weigh(found, Reference(), NOW)), set(hashes[found.group.at].tolist()))
            for found in self.look()
        ]


@pytest.mark.parametrize("seed", range(5))
def test_prompts_dealt_out_among_people(seed: int):
    """Accounts that a list is dealt out to are found among people with subjects of their own, and nobody else is."""
    town = Town(seed)
    town.live(1, 300, [town.subject() for _ in range(300)])
    town.deal(1000, N, town.subject())

    found = [accounts for nats, accounts in town.nats() if nats >= ENOUGH]

    assert 1 == len(found)
    assert found[0] <= set(range(1000, 1000 + N))
    assert len(found[0]) >= 0.9 * N


@pytest.mark.parametrize("seed", range(5))
def test_people_of_one_subject(seed: int):
    """People who all ask the same kind of thing, each as much and when he likes, do not reach half of the threshold."""
    town = Town(seed)
    town.live(1, 300, [town.subject()])

    assert all(nats < ENOUGH / 2 for nats, _ in town.nats())


def test_one_subject_and_one_pool():
    """People's volumes and hours, but one subject and one pool of cards: found, without the other card-holders."""
    town = Town(1)
    town.live(1, 300, [town.subject() for _ in range(300)])
    town.live(1000, N, [town.subject()], sigma=0.3)
    for i in range(0, N, 5):
        town.share(7 + i, PAYMENT, range(1000 + i, 1000 + i + 5))
        town.share(70 + i, PAYMENT, range(1 + i, 6 + i))

    found = [accounts for nats, accounts in town.nats() if nats >= ENOUGH]

    assert 1 == len(found)
    assert found[0] <= set(range(1000, 1000 + N))


def test_one_subject_and_a_network_each():
    """Accounts whom one network each joins with one of three hubs are nobody to name, though all ask the same."""
    town = Town(1)
    town.deal(1000, N, town.subject())
    for hub in range(1000, 1000 + N, 10):
        for i in range(1, 10, 3):
            town.share(hub + i, NETWORK, [hub, hub + i, hub + i + 1, hub + i + 2])

    assert [] == town.look()


SHARED = st.tuples(
    st.sampled_from([NETWORK, PAYMENT, DEVICE]), st.sets(st.integers(1000, 999 + N), min_size=3, max_size=6)
)


@settings(deadline=None, max_examples=300)
@given(tokens=st.lists(SHARED, max_size=20), loose=st.integers(0, 8), mean=st.sampled_from([9, 40]))
def test_any_infrastructure(tokens: list[tuple[int, set[int]]], loose: int, mean: float):
    """Whatever accounts of one subject have in common, a cohort has three of them or more, and finite evidence."""
    town = Town(1)
    town.deal(1000, N - loose, subject := town.subject(), mean)
    town.live(1000 + N - loose, loose, [subject])
    for token, (kind, accounts) in enumerate(tokens, 1):
        town.share(token, kind, sorted(accounts))

    for found in town.look():
        assert len(found.group) >= 3
        assert np.isfinite(total(cohorts.weigh(found, Reference(), NOW)))


@pytest.mark.parametrize("everyday", [False, True], ids=["one subject", "everyday subjects"])
def test_accounts_that_nothing_joins_with_their_pool(everyday: bool):
    """Who sends as much as the others of a pool on one subject is named; of everyday subjects, only who is joined."""
    town = Town(1)
    town.live(1, 300, [town.subject() for _ in range(300)])
    subject = town.subject()
    town.deal(1000, N, subject)
    bystander = 2000
    town.send(bystander, subject, START_MS + town.rng.integers(24 * HOUR_MS, size=15))
    joined = range(1000, 1000 + N - 5)
    for i in range(0, len(joined), 5):
        town.share(7 + i, PAYMENT, joined[i : i + 5])
    if everyday:
        town.table.rows["topics"][:, 3:6] = town.table.rows["topics"][:, 2:3]

    found = [accounts for nats, accounts in town.nats() if nats >= ENOUGH]

    assert 1 == len(found)
    alone = found[0] - set(joined)
    assert alone == (set() if everyday else set(range(1000 + N - 5, 1000 + N)))


@pytest.mark.parametrize(
    "explain",
    [
        lambda town: town.share(7, NETWORK, range(1000, 1000 + N)),
        lambda town: town.table.rows["org"].__setitem__(slice(None), 7),
    ],
    ids=["one site", "one organisation"],
)
def test_people_brought_together(explain: Callable[[Town], None]):
    """One subject among the people of one site or one employer is what they are there for."""
    town = Town(2)
    town.live(1000, N, [town.subject()], sigma=0.3)
    for i in range(0, N, 5):
        town.share(8 + i, PAYMENT, range(1000 + i, 1000 + i + 5))
    explain(town)

    assert all(nats < ENOUGH - 4 for nats, _ in town.nats())


def test_a_list_that_everybody_runs():
    """Accounts that repeat what they sent before run a monitor: the same traffic that was found with new prompts."""
    town = Town(3)
    town.deal(1000, N, town.subject())
    before = max(nats for nats, _ in town.nats())
    town.table.rows["near_new"] //= 2

    assert before >= ENOUGH
    assert all(nats < ENOUGH - 4 for nats, _ in town.nats())


def test_prompts_beyond_what_is_counted():
    """The sums of an account of more than 127 prompts fade, and say the same."""
    town = Town(4)
    subject = town.subject(0.4)
    town.send(1, subject, START_MS + np.arange(5000) * 1000)
    row = town.table.rows[0]

    assert 63 <= row["prompts"] <= 127
    mean = row["bits"] / row["prompts"]
    assert np.corrcoef(mean, subject)[0, 1] > 0.9


def test_an_account_of_few_prompts():
    """Below eight prompts anything is like anything: no cohort."""
    town = Town(5)
    town.deal(1000, N, town.subject(), mean=3)
    rows = town.table.rows
    rows["prompts"] = np.minimum(rows["prompts"], cohorts.PROMPTS_MIN - 1)

    assert [] == town.look()
