"""What a campaign that is half of a segment from the first minute can teach the reference if nobody notices it."""

import msgspec
import numpy as np
import pytest

from streams.campaigns import reference as module
from streams.campaigns.families import Member
from streams.campaigns.group import Group
from streams.campaigns.nats import evidence
from streams.campaigns.pools import _settle
from streams.campaigns.reference import CLUSTER_MOST, GENERATION_MS, PLANS, PRIOR, WINDOW, Reference
from streams.campaigns.state import CampaignsState
from streams.campaigns.table import ROW
from streams.campaigns.upkeep import _learn
from streams.config import Campaigns, Settings
from streams.replay import Replay
from streams.simulator.campaigns import parse
from streams.simulator.campaigns.shapes import DEFAULTS
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan

HOUR_MS = 3_600_000
START_MS = 1_789_000_000_000
HALF = 100  # accounts
PLAN = PLANS.index("individual")
TOKEN = 2**40


def accounts(seed: int, hostile: bool) -> np.ndarray:
    """Half of a segment: people of all sorts, or a campaign that asks for reasoning at a steady pace."""
    rng = np.random.default_rng(seed)
    rows = np.zeros(HALF, ROW)
    rows["hash"] = np.arange(HALF) + (2**41 if hostile else 2**42)
    rows["plan"], rows["first"] = PLAN, START_MS
    n = rows["exchanges"] = 800 if hostile else rng.integers(20, 2_000, HALF)
    rows["elicit_known"] = rows["grading_known"] = n
    rows["elicit"] = n * (0.95 if hostile else rng.beta(1, 12, HALF))
    rows["first_turn"] = n * (1.0 if hostile else rng.beta(2, 2, HALF))
    rows["output"] = n * (900 if hostile else rng.integers(50, 1_500, HALF))
    for hour in range(24 if hostile else 12):
        rows["hours"][:, hour] = 10
    rows["topics"][:, 3] = 100
    if not hostile:
        rows["topics"][:, 4:8] = rng.integers(0, 100, (HALF, 4))
    return rows


BENIGN, CAMPAIGN = accounts(1, False), accounts(2, True)


def a_day(campaign: np.ndarray, token: int = TOKEN) -> tuple[Reference, list[list[bool]]]:
    """Learn for a generation; a campaign's accounts come before all others in each hour, as those do that came first.

    Returns the reference and, for each forest's worth of what it learned, whether it was the campaign's.
    """
    reference, learned = Reference(), []
    for hour in range(25):
        now = START_MS + (24 + hour) * HOUR_MS
        for rows, hostile in ((campaign, True), (BENIGN, False)):
            for row in rows:
                clusters = [int(row["hash"]), token] if hostile and token else [int(row["hash"])]
                if reference.learn_account(row, now, clusters):
                    learned.append(hostile)
        reference.turn(now)
    assert 1 == reference.swaps
    return reference, [learned[at : at + WINDOW] for at in range(0, len(learned) - WINDOW, WINDOW)]


def oddness(reference: Reference) -> float:
    """How much odder the campaign is than half of the others, in standard deviations."""
    now = START_MS + 48 * HOUR_MS
    others = [reference.oddness(row, now) for row in BENIGN]
    return float(reference.oddness(CAMPAIGN[0], now)) - float(np.median(others))


@pytest.mark.parametrize("token", [TOKEN, 0], ids=["one template", "paraphrased"])
def test_an_unnoticed_campaign_is_no_more_than_an_eighth_of_a_forest(token: int):
    """Not in any forest that scores, though it is half of the segment and comes first; nor if it shares no token."""
    _, forests = a_day(CAMPAIGN, token)

    assert len(forests) > 24
    assert CLUSTER_MOST == max(sum(forest) for forest in forests)


@pytest.mark.parametrize("token", [TOKEN, 0], ids=["one template", "paraphrased"])
def test_an_unnoticed_campaign_moves_the_reference_no_further_than_a_bound(token: int, monkeypatch: pytest.MonkeyPatch):
    """It stays as odd beside the others, but for half a deviation; without the cap, half of its oddness is gone."""
    clean = oddness(a_day(CAMPAIGN[:0])[0])
    poisoned = oddness(a_day(CAMPAIGN, token)[0])
    monkeypatch.setattr(module, "CLUSTER_MOST", WINDOW)
    uncapped = oddness(a_day(CAMPAIGN, token)[0])

    assert clean > 2.5
    assert clean - 0.5 < poisoned < clean
    assert uncapped < 0.6 * clean


def test_unnoticed_groups_cannot_make_a_purpose_ordinary():
    """However many groups ask for reasoning, the share of benign ones that do is at most doubled."""
    reference = Reference()
    for _ in range(10_000):
        reference.learn_group(elicit=True, grading=False)

    priors = {name: a / (a + b) for name, (a, b) in PRIOR.items()}
    assert 2 * priors["elicit"] == pytest.approx(reference.rate("elicit"))
    assert priors["grading"] / 2 == pytest.approx(reference.rate("grading"))


def test_a_segment_learns_again_with_the_next_forest():
    """A cluster's share counts for one forest; restored in its midst, a reference goes on the same."""
    reference, other = Reference(), Reference()
    for number in range(3 * WINDOW):
        given = (BENIGN[number % HALF], START_MS + 24 * HOUR_MS, [TOKEN if number % 4 == 0 else number + 10])
        assert reference.learn_account(*given) == other.learn_account(*given)
        other = Reference.load(msgspec.msgpack.decode(msgspec.msgpack.encode(other.dump())))

    assert msgspec.msgpack.encode(reference.dump()) == msgspec.msgpack.encode(other.dump())
    assert 2 * WINDOW < reference.sizes()["individual"] < 3 * WINDOW


def test_age_is_counted_by_segment_from_what_it_last_learned():
    """A segment that learns nothing more grows old, while the generations go on turning."""
    reference = Reference()
    reference.learn_account(BENIGN[0], START_MS, [1])
    other = BENIGN[1].copy()
    other["plan"] = PLANS.index("edu")
    reference.turn(START_MS)
    reference.learn_account(other, START_MS + 2 * HOUR_MS, [2])
    assert reference.turn(START_MS + GENERATION_MS)

    now = START_MS + 26 * HOUR_MS
    assert {"individual": 26 * HOUR_MS, "edu": 24 * HOUR_MS} == reference.ages_ms(now)


def test_what_was_suspected_stays_out():
    """... for six hours after anything was last held against it, and whom a case has named while that case is held."""
    state, learned = CampaignsState(Settings()), []
    at = state.table.insert(np.arange(1, 9, dtype=np.uint64))
    state.table.rows["exchanges"][at], state.table.rows["first"][at] = 50, START_MS
    state.reference.learn_account = lambda row, now, clusters: learned.append(int(row["hash"])) or True

    def out(hour: int) -> set[int]:
        """Who is not learned at this hour."""
        now = START_MS + hour * HOUR_MS
        state.table.rows["last"][at] = now
        learned.clear()
        _learn(state, now)
        return set(range(1, 9)) - set(learned)

    assert set(range(1, 9)) == out(5)
    assert set() == out(6)
    state.table.suspect(at[2:4], START_MS + 7 * HOUR_MS)
    assert {3, 4} == out(13)
    assert state.quarantined == 0.25
    assert set() == out(14)

    case = state.cases.open("cluster", "distillation", 99, at[:2].tolist(), 99, START_MS, START_MS)
    state.cases.revise(case, "open", at[:2].tolist(), [], 11.5, START_MS)
    assert {1, 2} == out(15)
    state.cases.revise(case, "closed", [], [], 11.5, START_MS)
    assert {1, 2} == out(30)


def test_a_pool_that_comes_near_is_suspected():
    """Half-way to the threshold it is kept from the reference, though it has no case."""
    state = CampaignsState(Settings())
    at = state.table.insert(np.arange(1, 9, dtype=np.uint64))
    used = {row: Member(START_MS, START_MS, 5, 0, 0) for row in at[:4].tolist()}
    group = Group(state.table, state.shared, used, [], START_MS)
    for nats, hours in ((4.0, 0), (6.0, START_MS // HOUR_MS)):
        _settle(state, "reseller", [(1, group, [evidence("I20", nats, 1, 0, "near")])], START_MS)
        assert {hours} == set(state.table.rows["suspected"][at[:4]].tolist())
    assert not state.table.rows["suspected"][at[4:]].any()


def test_a_real_campaign_that_is_never_noticed_stays_below_its_share():
    """Half of the students' plan for eight hours, with a budget at which no case ever opens: the benign are learned."""
    plan = Plan(1, 300, 8.2, activity=0.4, campaigns=(parse("poisoning:per_day=60", DEFAULTS),))
    run = Simulation(plan)
    settings = Settings(campaigns=Campaigns(false_cases_per_day=1e-300))
    replay = Replay(settings, lambda record: None)
    state = replay.pipeline.campaigns.state
    learn, offered, learned = state.reference.learn_account, [], []
    hostile = {account for campaign in run.truth.campaigns for account in campaign.accounts}

    def note(row: np.void, now: int, clusters: list[int]) -> bool:
        who = state.table.names[int(np.flatnonzero(state.table.used["hash"] == row["hash"])[0])] in hostile
        taken = learn(row, now, clusters)
        if row["plan"] == PLANS.index("edu"):
            offered.append(who)
            learned.extend([who] * taken)
        return taken

    state.reference.learn_account = note
    for event in run:
        replay.feed(event.value)
    replay.end()

    assert sum(offered) > 0.4 * len(offered)
    assert 0 < sum(learned) <= CLUSTER_MOST * -(-len(learned) // WINDOW)
