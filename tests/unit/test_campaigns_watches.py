"""A stolen key is told by what is new, how fast, and from how many places; each says more when it is there."""

from typing import Any

import numpy as np
import pytest

from streams.campaigns import watches
from streams.campaigns.cases import threshold
from streams.campaigns.nats import total
from streams.campaigns.table import AccountTable

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOW = 500_000 * HOUR_MS


def owner() -> Any:
    """The row of an account with a past of thirty hours."""
    table = AccountTable()
    table.insert(np.array([1 << 32], np.uint64))
    row = table.rows[0]
    for name, value in (
        ("first", NOW - 30 * HOUR_MS), ("last", NOW), ("exchanges", 40), ("answered", 40),
        ("created", (NOW - 9_000 * HOUR_MS) // DAY_MS), ("networks", 20), ("clients", 1),
    ):  # fmt: skip
        row[name] = value
    row["hours"][:8] = 5
    return row.copy()


def bits(**fields: int) -> int:
    """Bins of an exchange."""
    return sum(value << watches._SHIFT[name] for name, value in fields.items())


ELSEWHERE = {"other_network": 1, "other_client": 1}


@pytest.mark.parametrize(
    ("indicator", "fields"),
    [
        ("I10", {"rate_change": 1}), ("I12", {"new_network": 1}), ("I19", {"rate_surprise": 4}), ("I20", {}),
        ("I21", {"input_surprise": 3}), ("I21", {"size_surprise": 4}), ("I28", {"new_model": 1, "new_client": 1}),
    ],
)  # fmt: skip
def test_indicator_of_a_stolen_key(indicator, fields):
    """A burst from elsewhere that shows it contributes more than quiet use by the owner."""
    account = owner()
    account["visits"], account["networks"] = 20, 1

    def contribution(times: int, **shown: int) -> float:
        watched = watches.watch(0, account, NOW)
        for i in range(times):
            watched.add(NOW + i * 1_000, bits(**shown), account)
        return sum(item.contribution for item in watched.weigh() if item.indicator == indicator)

    assert contribution(30, **ELSEWHERE, **fields) > max(0.0, contribution(30))


def stolen(places: int, requests: int) -> float:
    """Evidence after a tiny probe, and three hours later a burst that comes from so many places by turns."""
    account = owner()
    account["visits"], account["networks"] = 20, 1
    place = {"new_network": 1, "new_client": 1}
    watched = watches.watch(0, account, NOW)
    probe = bits(**ELSEWHERE, **place, new_model=1, new_country=1, input=4, model=7)
    watched.add(NOW, probe, account)
    for i in range(requests):
        new = place if 0 < i < places else {}
        watched.add(NOW + 3 * HOUR_MS + i * 4_000, bits(**ELSEWHERE, **new, input=15, model=7), account)
    return total(watched.weigh())


def test_a_probe_and_a_few_requests_are_enough():
    """A probe's model that comes back from elsewhere and from a second place is a case at the third request."""
    limit = threshold(0, 0.02)

    assert stolen(places=2, requests=3) >= limit > stolen(places=2, requests=1)


def test_a_new_server_is_tried_first():
    """The same from one place only is no case, however long it goes on: so is a machine that was set up and tried."""
    assert stolen(places=1, requests=500) < threshold(0, 0.02)


def test_places_of_the_thief_are_no_habit_of_the_owner():
    """An account of few visits is relied on as before when probe and burst have come from four places more."""
    account = owner()
    account["visits"], account["networks"], account["clients"] = 8, 5, 5
    foreign = watches.past(account, NOW, 4)[2]

    assert watches.past(account, NOW)[2] < 0.2 < 1.0 == foreign


def test_what_an_owner_takes_up_at_home_is_no_sign_of_a_thief():
    """A model that is new to an account counts where it comes from elsewhere, not from a usual network."""
    totals = []
    for other_network in (0, 1):
        account = owner()
        account["visits"], account["networks"] = 20, 1
        watched = watches.watch(0, account, NOW)
        watched.add(NOW, bits(**ELSEWHERE, new_network=1, new_client=1), account)
        watched.add(NOW + HOUR_MS, bits(other_network=other_network, other_client=1, new_model=1, model=9), account)
        totals.append([item.value for item in watched.weigh() if item.indicator == "I28"])

    assert "model" not in totals[0]
    assert "model" in totals[1]


def test_places_of_an_earlier_run_say_nothing_of_a_later_one():
    """Two servers that were taken up on one evening, one after the other, do not make the next move a theft."""
    account = owner()
    account["visits"], account["networks"] = 20, 2
    watched = watches.watch(0, account, NOW)
    place = {"new_network": 1, "new_client": 1, "new_country": 1}
    for i in range(2):
        watched.add(NOW + i * 60_000, bits(**ELSEWHERE, **place), account)
    found = []
    for hours in (0, 24):
        watched.add(NOW + hours * HOUR_MS + 120_000, bits(**ELSEWHERE), account)
        found.append([(item.value, item.detail) for item in watched.weigh() if "countries" in item.detail])

    assert [[2.0], []] == [[value for value, _ in each] for each in found]


def test_what_cannot_matter_to_a_watch_changes_none():
    """Without any bit of `MATTERS` an exchange leaves a watch as it was."""
    account = owner()
    account["visits"] = 20
    watched = watches.watch(0, account, NOW)
    watched.add(NOW, bits(**ELSEWHERE, new_network=1, new_model=1), account)
    before = repr(watched)
    for bit in range(64):
        if not int(watches.MATTERS) >> bit & 1:
            watched.add(NOW + 1_000, 1 << bit, account)
    watched.add(NOW + 2_000, (1 << 64) - 1 & ~int(watches.MATTERS), account)

    assert before == repr(watched)
