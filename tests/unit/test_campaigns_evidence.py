"""Each indicator says more when what it looks for is there than when it is not."""

from collections.abc import Callable

import numpy as np
import pytest
from campaign_crowd import DAY_MS, HOUR_MS, NOW, Crowd, N

from streams.campaigns import relays, watches
from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.evidence import once_each, weigh
from streams.campaigns.families import Member
from streams.campaigns.group import Group
from streams.campaigns.index import HashIndex
from streams.campaigns.naming import named
from streams.campaigns.reference import Reference
from streams.campaigns.shared import CONTENTS_MAX
from streams.contracts.alert import Evidence
from streams.contracts.packets import NETWORK, PAYMENT, SIGNAL, SYSTEM, TAIL


def as_group(crowd: Crowd) -> list[Evidence]:
    return weigh(crowd.group(), Reference(), crowd.models, NOW)


def as_relay(crowd: Crowd) -> list[Evidence]:
    return relays.weigh(crowd.group(), NOW)


def as_scraper(crowd: Crowd) -> list[Evidence]:
    return watches.weigh_scraper(crowd.rows[0], Reference(), NOW)


def set_(**columns: int) -> Callable[[Crowd], None]:
    """Set columns of all accounts."""

    def change(crowd: Crowd) -> None:
        for name, value in columns.items():
            crowd.rows[name][crowd.at] = value

    return change


def one_owner(crowd: Crowd) -> None:
    crowd.rows["org"][crowd.at] = 7


def around_the_clock(crowd: Crowd) -> None:
    crowd.rows["hours"][crowd.at] = 2


def uneven(crowd: Crowd) -> None:
    crowd.uses = [1 if row % 2 else 200 for row in range(N)]
    crowd.rows["exchanges"][crowd.at] = [10 if row % 2 else 900 for row in range(N)]


def wrap(crowd: Crowd) -> None:
    crowd.fresh = [5] * N


def pure(crowd: Crowd) -> None:
    crowd.uses = [40] * N


def reasoning(crowd: Crowd) -> None:
    crowd.template.elicit = 90
    crowd.rows["elicit"][crowd.at] = 38


def graders(crowd: Crowd) -> None:
    crowd.template.grading = 90
    crowd.rows["grading"][crowd.at] = 38


def one_card(crowd: Crowd) -> None:
    crowd.token(2, PAYMENT, range(N))


def some_cards(crowd: Crowd) -> None:
    for card in range(N // 5):
        crowd.token(10 + card, PAYMENT, range(5 * card, 5 * card + 5))


def shared_networks(crowd: Crowd) -> None:
    for i in range(N):
        crowd.token(100 + i, NETWORK, range(i // 4 * 4, i // 4 * 4 + 4))


def steady(crowd: Crowd) -> None:
    crowd.models = ClusterModels()
    for minute in range(60):
        crowd.models.add(NOW - HOUR_MS + minute * 60_000, 10, 10, 0)


def surge(crowd: Crowd) -> None:
    steady(crowd)
    for minute in range(30):
        crowd.models.add(NOW + minute * 60_000, 10, 10, 1 + minute % 2)
    crowd.models.add(NOW + 31 * 60_000, 10, 10, 500)
    crowd.models.add(NOW + 33 * 60_000, 10, 10, 0)


def nothing(crowd: Crowd) -> None:
    pass


CASES = [
    (as_group, "I1", nothing, one_owner), (as_group, "I2", wrap, nothing), (as_group, "I3", pure, nothing),
    (as_group, "I4", reasoning, nothing), (as_group, "I8", graders, nothing), (as_group, "I9", steady, nothing),
    (as_group, "I10", steady, nothing), (as_group, "I11", one_card, nothing),
    (as_group, "I12", shared_networks, nothing), (as_group, "I14", surge, steady),
    (as_group, "I18", around_the_clock, nothing), (as_group, "I29", nothing, uneven),
    (as_group, "I19", set_(created=(NOW - 24 * HOUR_MS) // DAY_MS), nothing),
    (as_relay, "I12", shared_networks, nothing), (as_relay, "I15", set_(countries=5), nothing),
    (as_relay, "I20", set_(networks=60), set_(networks=1)), (as_relay, "I21", set_(exchanges=4_000), nothing),
    (as_relay, "I22", set_(clients=9), nothing), (as_relay, "I29", nothing, uneven),
    (as_scraper, "I2", set_(first_turn=40), nothing), (as_scraper, "I3", set_(near_new=40), nothing),
    (as_scraper, "I4", reasoning, nothing), (as_scraper, "I8", graders, nothing),
    (as_scraper, "I18", around_the_clock, nothing), (as_scraper, "I21", set_(exchanges=9_000), nothing),
]  # fmt: skip


@pytest.mark.parametrize(
    ("weighed", "indicator", "there", "not_there"), CASES, ids=lambda x: x if isinstance(x, str) else x.__name__
)
def test_indicator_of_a_group_or_account(weighed, indicator, there, not_there):
    """With what the indicator looks for, it contributes more than without, and something."""

    def contribution(change: Callable[[Crowd], None]) -> float:
        crowd = Crowd()
        change(crowd)
        return sum(item.contribution for item in weighed(crowd) if item.indicator == indicator)

    assert contribution(there) > max(0.0, contribution(not_there))


@pytest.mark.parametrize("weighed", [as_group, as_scraper])
def test_a_judge_that_explains_itself_has_one_purpose(weighed):
    """Who asks for reasoning and a grade in the same exchanges has hardly more than who asks for one, not twice."""
    once, crowd = [], Crowd()
    for ask, indicator in ((reasoning, "I4"), (graders, "I8")):
        one = Crowd()
        for asked in (one, crowd):
            ask(asked)
        once.append(of_all(weighed(one), indicator))
    both = sum(of_all(weighed(crowd), indicator) for indicator in ("I4", "I8"))

    assert 0.0 < max(once) < both <= 1.35 * max(once)


def test_purposes_of_different_exchanges_add_up():
    """Half of the exchanges ask for reasoning and half for a grade: two reasons in full."""
    assert [1.0, 1.0] == once_each([3.0, 2.0], [0.5, 0.5])
    assert [1.0, 0.25] == once_each([3.0, 2.0], [1.0, 1.0])
    assert pytest.approx([0.25, 1.0]) == once_each([2.0, 3.0], [0.4, 1.0])
    assert [1.0] == once_each([3.0], [1.0])
    assert [] == once_each([], [])


def tool(crowd: Crowd) -> None:
    """Let all show one system prompt, which nobody else shows."""
    crowd.token(3, SYSTEM, range(N))
    crowd.shared.system_of.update({row: [3] for row in range(N)})
    wrap(crowd)
    reasoning(crowd)
    crowd.rows["first_turn"][crowd.at] = 40


@pytest.mark.parametrize(
    ("but", "nats"),
    [
        (lambda crowd: None, -6.0),
        (lambda crowd: crowd.shared.tokens[3].members.update({row: [NOW, NOW, 1, 1] for row in range(100, 500)}), 0.0),
        (set_(created=(NOW - 48 * HOUR_MS) // DAY_MS), 0.0),
        (set_(created=0), 0.0),
        (set_(first_turn=20), -6.0),
        (some_cards, 0.0),
        (one_card, -6.0),
        (lambda crowd: crowd.shared.system_of.clear(), 0.0),
    ],
    ids=[
        "a tool",
        "a prompt of many others",
        "new accounts",
        "unknown age",
        "two turns each",
        "a pool's cards",
        "one payer",
        "no system prompt",
    ],
)
def test_a_tool_that_strangers_ask_single_questions(but: Callable[[Crowd], None], nats: float):
    """Settled accounts with one system prompt of their own and no infrastructure in common: a tool of many owners."""
    crowd = Crowd()
    tool(crowd)
    but(crowd)

    assert nats == of_all(as_group(crowd), "benign.tool")


def test_load_is_that_of_the_time_that_an_account_was_used():
    """Burners of an hour each, thrown away one after the other, carried the same load; who paused for long did not."""
    crowd = Crowd()
    members = {row: Member(NOW - row * HOUR_MS - HOUR_MS, NOW - row * HOUR_MS, 50, 0, 1, 50) for row in range(N)}
    burnt = Group(crowd.table, crowd.shared, members, [crowd.template], NOW)
    others = {row: m if row % 2 else Member(m.first, m.last, 5, 0, 1, 5) for row, m in members.items()}
    uneven = Group(crowd.table, crowd.shared, others, [crowd.template], NOW)

    even, not_so = (of_all(weigh(group, Reference(), None, NOW), "I29") for group in (burnt, uneven))
    assert even > 1.0 > 0.0 >= not_so


def test_chance_is_no_uneven_split():
    """Four exchanges an account, give or take what chance makes of it, are as even as a hundred each."""
    rng, found = np.random.default_rng(5), {}
    for mean in (4, 100):
        crowd = Crowd()
        crowd.uses = np.maximum(1, rng.poisson(mean, N)).tolist()
        found[mean] = of_all(as_group(crowd), "I29")

    assert found[4] > 1.5
    assert found[100] > 1.5


def test_one_exchange_of_most_and_many_of_a_few_is_no_even_split():
    """Chance does not make twenty of one, however little is known of the others."""
    crowd = Crowd()
    crowd.uses = [20 if row < 4 else 1 for row in range(N)]

    assert of_all(as_group(crowd), "I29") < 0.0


def test_a_long_life_does_not_hide_what_an_account_is_used_for_now():
    """All of the last day's traffic is all of it, however much there was in the month before."""
    crowd = Crowd()
    crowd.rows["first"][crowd.at] = NOW - 30 * DAY_MS
    crowd.rows["exchanges"][crowd.at] = 31 * 36
    members = {row: Member(NOW - DAY_MS, NOW, 36, 20, 1, 36) for row in range(N)}
    aged = Group(crowd.table, crowd.shared, members, [crowd.template], NOW)
    assert aged.purity == pytest.approx(36 / (31 * 36 / 30))
    assert named(aged).all()

    copied = {row: Member(NOW - 10 * DAY_MS, NOW, 36, 20, 1, 36) for row in range(N)}
    assert Group(crowd.table, crowd.shared, copied, [crowd.template], NOW).purity == pytest.approx(0.097, abs=0.001)


@pytest.mark.parametrize("days", [10, 100])
def test_what_an_account_showed_in_a_hundred_days_makes_no_router(days):
    """Thirty networks and eight clients in ten days are customers', in a hundred a traveller's with new browsers."""
    crowd = Crowd()
    for name, value in (("first", NOW - days * DAY_MS), ("networks", 30), ("clients", 8), ("countries", 3)):
        crowd.rows[name][crowd.at] = value

    assert (N if days == 10 else 0) == len(relays.candidates(crowd.table, NOW))
    found = {item.indicator: item.contribution for item in as_relay(crowd)}
    assert (days == 10) == (found.get("I20", 0.0) > 3.0) == (found.get("I22", 0.0) == 2.0)


def test_a_prompt_without_a_purpose_takes_none_away():
    """A system prompt under all of their traffic, cover included, does not dilute what a template asks for."""
    crowd = Crowd()
    reasoning(crowd)
    before = of(crowd, "I4")
    plain = crowd.token(3, SYSTEM, range(N))
    plain.exchanges = plain.elicit_known = plain.grading_known = 400
    group = crowd.group()
    group.tokens.append(plain)

    assert before == of_all(weigh(group, Reference(), None, NOW), "I4")


def of_all(items: list[Evidence], indicator: str) -> float:
    return sum(item.contribution for item in items if item.indicator == indicator)


def lasting(crowd: Crowd, contents: int) -> None:
    """A hundred and eighty exchanges, most of what everybody does, with so many different contents."""
    wrap(crowd)
    pure(crowd)
    crowd.template.exchanges, crowd.template.contents = 180, set(range(contents))


def test_contents_that_no_list_would_hold_count_for_a_group_with_a_purpose():
    """A list of 1,500 would have repeated itself ten times by now, so what is new there tells."""

    def work(contents: int, purpose: Callable[[Crowd], None]) -> float:
        crowd = Crowd()
        lasting(crowd, contents)
        purpose(crowd)
        return sum(item.contribution for item in as_group(crowd) if item.indicator == "I2")

    assert work(180, reasoning) == pytest.approx(work(170, reasoning) + 2.0)
    assert work(180, nothing) == pytest.approx(work(170, nothing))


def of(crowd: Crowd, indicator: str) -> float:
    """What an indicator contributes."""
    return sum(item.contribution for item in as_group(crowd) if item.indicator == indicator)


def test_strangers_may_have_begun_to_run_a_public_list():
    """What repeats nothing yet proves nothing, unless accounts have cards in common or many prompts."""
    crowd = Crowd()
    lasting(crowd, 180)
    proven = of(crowd, "benign.unproven")
    crowd.template.exchanges, crowd.template.contents = 30, set(range(30))
    early = of(crowd, "benign.unproven")
    with_cards = Crowd()
    lasting(with_cards, 30)
    one_card(with_cards)

    assert (proven, early, of(with_cards, "benign.unproven")) == (0.0, -3.0, 0.0)


def test_users_of_an_open_tool_do_other_things():
    """Contents of no list are no proof against strangers for whom a prompt is an eighth of their traffic."""
    crowd = Crowd()
    lasting(crowd, 180)
    crowd.uses = [5] * N

    assert of(crowd, "benign.unproven") < -2.5


@pytest.mark.parametrize(("size", "nats"), [(1_319, -4.0), (20_000, 0.0)], ids=["a test set", "a campaign's own"])
def test_a_list_shows_beyond_what_is_remembered(size, nats):
    """Later exchanges are held against the first contents: a list comes back to them, a campaign's work does not."""
    crowd = Crowd()
    pure(crowd)
    crowd.shared._index, rng = HashIndex(), np.random.default_rng(1)
    signals = np.zeros(3_000, SIGNAL)
    signals["template"], signals["time"] = crowd.template.token, NOW
    signals["content"] = rng.integers(1, size, signals.size)
    crowd.template.exchanges, crowd.template.contents = 0, set()
    crowd.shared.absorb(np.arange(signals.size) % N, signals)

    assert len(crowd.template.contents) == CONTENTS_MAX
    assert of(crowd, "benign.benchmark") == pytest.approx(nats)


def test_a_long_list_is_no_news():
    """Once a list has come round, what it must repeat is known: many exchanges alone say nothing against it."""
    crowd = Crowd()
    lasting(crowd, 120)
    reasoning(crowd)
    crowd.template.exchanges = 3_000
    few = sum(item.contribution for item in as_group(crowd) if item.indicator == "I2")

    assert few <= 2.0


def seldom(crowd: Crowd) -> None:
    """Everybody shows the prompt once in a hundred exchanges, and one account three times."""
    crowd.rows["exchanges"][crowd.at] = 100
    crowd.uses, crowd.fresh = [1] * N, [1] * N
    crowd.uses[19] = crowd.fresh[19] = 3


@pytest.mark.parametrize(
    ("purpose", "cards", "expected"),
    [
        (reasoning, 2, [*range(12), 19]),
        (reasoning, 0, []),
        (nothing, 2, []),
    ],
    ids=["a pool", "strangers", "no purpose"],
)
def test_accounts_that_show_a_prompt_seldom_are_named_with_those_they_share_cards_with(purpose, cards, expected):
    """Of a pool's own prompt, who shares a card with others that use it is named, and who works with it."""
    crowd = Crowd()
    seldom(crowd)
    purpose(crowd)
    for card in range(cards):
        crowd.token(2 + card, PAYMENT, range(6 * card, 6 * card + 6))

    assert np.flatnonzero(named(crowd.group())).tolist() == expected


@pytest.mark.parametrize(
    ("sets", "least", "most"),
    [
        ([range(2)], 0.4, 0.6),  # a couple: its share of the accounts, 10 %
        ([range(2), range(1, 3), range(2, 4)], 1.4, 1.6),  # three cards of one set: its share, 20 %
        ([range(2), range(2, 4)], 1.7, 1.8),
        ([range(2), range(2, 4), range(4, 6)], 3.0, 3.0),
    ],
    ids=["one card", "three cards of the same people", "two cards", "three cards"],
)
def test_cards_of_strangers_weigh_by_how_seldom_chance_brings_so_many_together(sets, least, most):
    """One card in a group is anybody's, three apart from each other are a pool's, however few accounts they join."""
    crowd = Crowd()
    for number, rows in enumerate(sets):
        crowd.token(2 + number, PAYMENT, rows)

    shared = sum(item.contribution for item in as_group(crowd) if item.indicator == "I11")
    assert least <= shared <= most


def test_a_phrase_is_anybodys_once_but_not_two_strangers_of_one_card():
    """Who has sent a phrase once is named if he shares a card with another who has, and not if he does not."""
    crowd = Crowd()
    crowd.template.kind = TAIL
    crowd.uses = [1] * 17 + [5] * 3
    crowd.rows["exchanges"][crowd.at] = crowd.uses
    crowd.token(2, PAYMENT, range(4, 6))

    assert np.flatnonzero(named(crowd.group())).tolist() == [4, 5, 17, 18, 19]


def test_a_prompt_that_is_copied_joins_no_cards():
    """That a prompt is public explains rare use by strangers, not by accounts that one card pays for."""

    def copied(crowd: Crowd) -> float:
        seldom(crowd)
        return sum(item.contribution for item in as_group(crowd) if item.indicator == "benign.copied_prompt")

    apart, together = Crowd(), Crowd()
    one_card(together)

    assert copied(apart) == -3.0
    assert copied(together) == 0.0
