"""Cases merge, split, close and open again, in event time, and their revisions always fold to their members."""

import pytest
from campaign_feed import SETTINGS, START_MS, Feed, members, run, told

from streams.campaigns.families import Member
from streams.campaigns.group import Group
from streams.campaigns.groups import merge
from streams.campaigns.nats import evidence
from streams.campaigns.operator import CampaignsOperator
from streams.campaigns.pools import _settle
from streams.contracts.alert import decode_alert
from streams.contracts.fold import fold_all
from streams.operator import Batch

RED, BLUE, BOTH = ([f"{name}-{i:02}" for i in range(n)] for name, n in (("red", 16), ("blue", 12), ("both", 3)))


def two_campaigns() -> Feed:
    """Two campaigns with a template and a card each, every ten minutes for an hour."""
    feed = Feed()
    for minute in range(0, 60, 10):
        feed.use(minute, RED, "red template")
        feed.use(minute + 5, BLUE, "blue template")
    return feed


def merged() -> Feed:
    """... and then four accounts that use both templates for an hour."""
    feed = two_campaigns()
    for minute in range(60, 120, 10):
        feed.use(minute, [*RED, *BOTH], "red template")
        feed.use(minute + 5, [*BLUE, *BOTH], "blue template")
    return feed


def parted() -> Feed:
    """... and then not: what the two campaigns have in common expires, while each goes on."""
    feed = merged()
    for minute in range(120, 480, 15):
        feed.use(minute, RED, "red template")
        feed.use(minute + 5, BLUE, "blue template")
    return feed


def two_jobs() -> Feed:
    """One pool that has answers reasoned in one template, and from half an hour on plain work done in another."""
    feed = Feed()
    for minute in range(0, 180, 10):
        feed.use(minute, RED, "red template")
        if minute >= 30:
            feed.use(minute + 5, [*RED, *BOTH], "plain template", asks=False)
    return feed


def two_subjects() -> Feed:
    """One pool whose prompts ask for nothing, in one template about mathematics, and then in another about programs."""
    feed = Feed()
    for minute in range(0, 180, 10):
        feed.use(minute, RED, "red template", asks=False)
        if minute >= 30:
            feed.use(minute + 5, [*RED, *BOTH], "blue template", asks=False, topic="coding")
    return feed


def one_ending() -> Feed:
    """One campaign whose prompts end alike, with few templates among them, each of them on fewer than half of it."""
    feed = Feed()
    for minute in range(0, 120, 10):
        feed.use(minute, RED, "", tail="red ending")
        if minute >= 60:
            feed.use(minute + 5, RED[:7], "red template")
    return feed


def quiet_and_back() -> Feed:
    """One campaign of an hour, three quiet hours, and half an hour more."""
    feed = Feed()
    for minute in (*range(0, 60, 10), *range(240, 270, 10)):
        feed.use(minute, RED, "red template")
        feed.use(minute + 5, ["bystander"], "")
    for minute in range(60, 240, 10):
        feed.use(minute, ["bystander"], "")
    return feed


def test_two_campaigns_are_two_cases():
    """Without an account in common each campaign is a case of its own, named in full."""
    alerts, _ = run(two_campaigns().packets())

    assert [tuple(sorted(RED)), tuple(sorted(BLUE))] == [case.members for case in fold_all(alerts).values()]


def test_merge():
    """The older case takes the other's members in a revision of its own; right after it the other ends `merged`."""
    alerts, operator = run(merged().packets())
    red, blue = fold_all(alerts)

    at = next(i for i, alert in enumerate(alerts) if alert.status == "merged")
    assert (blue, red) == (alerts[at].alert_id, alerts[at].merged_into)
    assert (red, "updated", True) == (
        alerts[at - 1].alert_id,
        alerts[at - 1].status,
        set(BLUE) <= set(alerts[at - 1].accounts.added),
    )
    assert alerts[at - 1].detected_at == alerts[at].detected_at
    assert tuple(sorted([*RED, *BLUE, *BOTH])) == fold_all(alerts)[red].members == members(operator, red)


def test_groups_count_once():
    """Two families that become one were two groups of the day, and are no third."""
    for story in (two_campaigns, merged):
        _, operator = run(story().packets())
        assert 2 == len(operator.state.groups_seen)


def test_three_cases_that_become_one_in_a_tick():
    """A family takes one in, and an older one takes it in: all ends in the oldest case."""
    feed = two_campaigns()
    green = [f"green-{i:02}" for i in range(14)]
    for minute in range(7, 67, 10):
        feed.use(minute, green, "green template")
    alerts, operator = run(feed.packets())
    families, tokens = operator.state.families, operator.state.shared.tokens
    oldest, older, newest = sorted(families.families, key=lambda founder: tokens[founder].first)

    families._union(tokens[older], tokens[newest])
    families._union(tokens[oldest], tokens[older])
    assert [(older, newest), (oldest, older)] == families.merged
    alerts += [decode_alert(record.value) for record in merge(operator.state, operator.ticks.done)]

    first, *others = fold_all(alerts).values()
    assert tuple(sorted([*RED, *BLUE, *green])) == first.members
    assert [("merged", first.latest.alert_id)] * 2 == [(c.latest.status, c.latest.merged_into) for c in others]
    assert first.active


def test_two_pools_with_one_founder_are_two_cases():
    """Pools that are found at once and whose oldest network is the same one have an id each."""
    _, operator = run(two_campaigns().packets())
    found = [operator.cases.open("cluster", "reseller", 7, rows, 7, 5, 5).alert_id for rows in ([0, 1], [2, 3])]
    assert 2 == len(set(found))


def test_split():
    """The part with most of the first members keeps the case and loses the rest, which opens a case of its own."""
    alerts, operator = run(parted().packets())
    red, blue, again = fold_all(alerts)

    opening = next(i for i, alert in enumerate(alerts) if alert.alert_id == again)
    assert (red, "updated") == (alerts[opening - 1].alert_id, alerts[opening - 1].status)
    assert set(BLUE) <= set(alerts[opening - 1].accounts.removed)
    assert (1, "open") == (alerts[opening].revision, alerts[opening].status)
    assert alerts[opening - 1].detected_at == alerts[opening].detected_at
    cases = fold_all(alerts)
    assert tuple(sorted(RED)) == cases[red].members == members(operator, red)
    assert tuple(sorted(BLUE)) == cases[again].members == members(operator, again)
    assert ("updated", "merged") == (cases[red].latest.status, cases[blue].latest.status)


@pytest.mark.parametrize("story", [two_jobs, two_subjects])
def test_two_campaigns_of_one_pool(story):
    """Prompts that ask for different things, or about different things, become two cases, either in full, as soon as
    each is enough by itself.
    """
    alerts, operator = run(story().packets())
    cases = fold_all(alerts)

    assert sorted([tuple(sorted(RED)), tuple(sorted([*RED, *BOTH]))]) == sorted(case.members for case in cases.values())
    assert {"open", "updated"} >= {case.latest.status for case in cases.values()}
    assert [case.members for case in cases.values()] == [members(operator, alert_id) for alert_id in cases]


def test_variants_of_one_campaign_stay_together():
    """That one of five variants is not recognised as asking for the same does not make it a campaign of its own."""
    feed = Feed()
    for minute in range(0, 180, 5):
        feed.use(minute, RED, f"variant {minute // 5 % 5}", asks=minute // 5 % 5 > 0)
    alerts, _ = run(feed.packets())

    assert [tuple(sorted(RED))] == [case.members for case in fold_all(alerts).values()]


def test_variants_about_the_same_subjects_stay_together():
    """Two variants of one campaign are about mathematics and programs alike, if not in the same shares."""
    feed = Feed()
    for minute in range(0, 180, 5):
        variant, turn = minute // 5 % 2, minute // 10
        feed.use(minute, RED, f"variant {variant}", topic="math" if (turn % 3 == 0) == (variant == 0) else "coding")
    alerts, _ = run(feed.packets())

    assert [tuple(sorted(RED))] == [case.members for case in fold_all(alerts).values()]


def test_an_ending_and_a_template_of_the_same_accounts_are_one_case():
    """What meets too seldom to be one family is one case all the same, if it has much the same accounts."""
    alerts, operator = run(one_ending().packets())
    ((alert_id, case),) = fold_all(alerts).items()

    assert tuple(sorted(RED)) == case.members == members(operator, alert_id)
    assert [2] == [len(family.tokens) for family in operator.families.families.values()]


def test_a_pool_whose_prompts_become_known_keeps_its_case():
    """A family with an open pool's accounts goes on in the pool's case and opens none of its own."""
    feed, operator = Feed(), CampaignsOperator(SETTINGS)
    feed.use(0, RED, "")
    for minute in range(5, 60, 10):
        feed.use(minute, RED, "red template")
    packets = feed.packets()
    operator.on_batch(Batch(0, range(2), [None] * 2, packets[:2]))
    state = operator.state
    rows = {row: Member(START_MS, START_MS, 1, 0, 0) for row in range(1, len(RED))}
    pool = (1, Group(state.table, state.shared, rows, [], START_MS), [evidence("I12", 20.0, 1, 0, "sure")])
    (opened,) = [decode_alert(record.value) for record in _settle(state, "distillation", [pool], START_MS)]
    rest = operator.on_batch(Batch(0, range(2, len(packets)), [None] * (len(packets) - 2), packets[2:]))
    told = [decode_alert(record.value) for record in rest]

    assert {opened.alert_id} == {alert.alert_id for alert in told}
    assert "I1" in {item.indicator for item in told[-1].evidence}
    assert not state.pool_cases
    assert [opened.alert_id] == list(state.case_of.values())


def test_close_and_reopen():
    """A case ends after its time without exchanges, at the next mark, and its next exchange opens it again."""
    alerts, operator = run(quiet_and_back().packets())
    (case,) = fold_all(alerts)
    statuses = [alert.status for alert in alerts]

    closed, back = statuses.index("closed"), alerts[statuses.index("closed") + 1]
    assert 90 * 60_000 < alerts[closed].detected_at - alerts[closed].last_seen <= 100 * 60_000
    assert ("updated", alerts[closed].revision + 1) == (back.status, back.revision)
    assert {"open", "updated", "closed"} == set(statuses)
    assert tuple(sorted(RED)) == fold_all(alerts)[case].members == members(operator, case)


@pytest.mark.parametrize("story", [merged, parted, two_jobs, two_subjects, one_ending, quiet_and_back])
def test_cuts_do_not_matter(story):
    """However the packets are cut into batches, the alerts are the same."""
    packets = story().packets()

    assert told(run(packets)[0]) == told(run(packets, (7, 2, 31, 500))[0])


@pytest.mark.parametrize("story", [merged, parted, two_jobs, two_subjects, one_ending, quiet_and_back])
def test_restored_again_and_again(story):
    """An operator restored from its checkpoint every five packets gives the same alerts and holds the same members."""
    packets = story().packets()
    alerts, operator = run(packets)
    again, restored = run(packets, (5,), crash=True)

    assert told(alerts) == told(again)
    assert {i: members(operator, i) for i in operator.cases.cases} == {
        i: members(restored, i) for i in restored.cases.cases
    }
    assert +operator.cases.naming == +restored.cases.naming
    assert [case.pooled for case in operator.cases.cases.values()] == [
        case.pooled for case in restored.cases.cases.values()
    ]


def test_whom_a_case_has_from_a_pool_is_restored():
    """A checkpoint holds who is named for his pool, as that decides whether he stays."""
    _, operator = run(merged().packets())
    (*_, case) = operator.cases.live()
    case.pooled = dict.fromkeys(list(case.members)[:3])
    cut = operator.checkpoint()
    assert cut is not None
    restored = CampaignsOperator(SETTINGS)
    kept = [(key, value) for key, value in cut.snapshots if value is not None]
    restored.restore([*kept, (b"\x00marker", cut.marker)])

    assert case.pooled
    assert list(case.pooled) == list(restored.cases.cases[case.alert_id].pooled)
