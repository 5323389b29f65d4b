"""A system prompt is an app's, unless those who show it hang together as a pool does."""

from collections.abc import Callable

import numpy as np
import pytest
from campaign_feed import SETTINGS

from streams.campaigns.pools import SYSTEM_ACCOUNTS_MIN, look_at_system_prompts
from streams.campaigns.state import CampaignsState
from streams.config import Settings
from streams.contracts.alert import AlertEvent, decode_alert
from streams.contracts.packets import CLIENT, NETWORK, PAYMENT, SYSTEM, TEMPLATE
from streams.operator import ALERTS, Record
from streams.replay import Replay
from streams.simulator.campaigns import DEFAULTS
from streams.simulator.campaigns.spec import parse
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan

NOW = 1_789_000_000_000
N = 20
PROMPT = 1
CAMPAIGN = "fixed_prompt:accounts=60,per_day=60,place=system"


class Town:
    """Twenty accounts that show one system prompt, four to a card."""

    def __init__(self) -> None:
        self.state = CampaignsState(SETTINGS)
        at = self.state.table.insert(np.arange(1, N + 1, dtype=np.uint64) << np.uint64(40))
        self.state.table.rows["exchanges"][at] = 10
        self.share(PROMPT, SYSTEM, range(N))
        for card in range(N // 4):
            self.share(100 + card, PAYMENT, range(4 * card, 4 * card + 4))

    def share(self, token: int, kind: int, rows: range) -> None:
        """Let these accounts share a token."""
        for row in rows:
            self.state.shared.link((0, NOW, token, 0, NOW, NOW, len(rows), kind, 1), row)

    def families(self) -> list[int]:
        """Founders of the families there are after the look."""
        look_at_system_prompts(self.state, NOW)
        return list(self.state.families.families)


def no_cards(town: Town) -> None:
    town.state.shared.infrastructure_of.clear()


def one_employer(town: Town) -> None:
    town.state.table.rows["org"][:N] = 7


def one_payer(town: Town) -> None:
    town.share(200, PAYMENT, range(13))


def one_site(town: Town) -> None:
    town.share(200, NETWORK, range(16))


def users_elsewhere(town: Town) -> None:
    at = town.state.table.insert(np.arange(100, 130, dtype=np.uint64) << np.uint64(40))
    town.share(PROMPT, SYSTEM, range(int(at[0]), int(at[-1]) + 1))


def test_a_pool_makes_a_family():
    """Its accounts, on five cards, have a family in the system prompt, which the next exchange has weighed."""
    town = Town()
    assert [PROMPT] == town.families()
    assert town.state.shared.tokens[PROMPT].family == PROMPT
    assert PROMPT in town.state.shared.dirty
    assert [PROMPT] == town.families()


@pytest.mark.parametrize("but", [no_cards, one_employer, one_payer, one_site, users_elsewhere])
def test_an_app_makes_none(but: Callable[[Town], None]):
    """Nothing in common, one employer, one payer, one site, or a pool that is the lesser part of the users."""
    town = Town()
    but(town)
    assert [] == town.families()


def test_one_client_program_is_no_payer():
    """A router's accounts, on five cards, may all come by one rare client."""
    town = Town()
    town.share(200, CLIENT, range(16))
    assert [PROMPT] == town.families()


def test_what_joins_at_the_mark_is_one_case_at_once():
    """A family that the prompt takes in passes its case on before anything else looks: nothing is left to be done."""
    town = Town()
    state = town.state
    town.share(300, TEMPLATE, range(N))
    for token in (PROMPT, 300):
        shared = state.shared.tokens[token]
        shared.contents, shared.first = set(range(1, 9)), NOW + token
        for member in shared.members.values():
            member[2] = member[3] = 5
    state.families.begin(state.shared.tokens[300])
    case = state.cases.open("cluster", "distillation", 300, list(range(N)), 300, NOW, NOW)
    state.cases.revise(case, "open", list(range(N)), [], 0.0, NOW, [], NOW)
    state.case_of[300], state.evidence_of[300] = case.alert_id, 12.0

    assert [PROMPT] == town.families()
    assert [] == state.families.merged
    assert ({PROMPT: case.alert_id}, {PROMPT: 12.0}) == (state.case_of, state.evidence_of)


def test_a_few_accounts_make_none():
    """A household, or a team of friends, may share a card and an app."""
    town = Town()
    members = town.state.shared.tokens[PROMPT].members
    for row in list(members)[SYSTEM_ACCOUNTS_MIN - 1 :]:
        del members[row]
    assert [] == town.families()


def test_only_system_prompts_are_looked_at():
    """A template has to be telling by itself."""
    town = Town()
    town.share(300, TEMPLATE, range(N))
    assert [PROMPT] == town.families()


def test_a_campaign_that_asks_in_its_system_prompt_is_caught():
    """Simulated: bare questions, and what is wanted of them in one system prompt."""
    alerts: list[AlertEvent] = []

    def on_record(record: Record) -> None:
        if record.role == ALERTS:
            alerts.append(decode_alert(record.value or b""))

    host = Replay(Settings(), on_record)
    plan = Plan(seed=3, accounts=300, hours=4.0, campaigns=(parse(CAMPAIGN, DEFAULTS),))
    simulation = Simulation(plan)
    for event in simulation:
        host.feed(event.value)
    host.end()

    hostile = {name for campaign in simulation.truth.campaigns for name in campaign.accounts}
    named = {name for alert in alerts for name in alert.accounts.added}
    assert {"distillation"} == {alert.category for alert in alerts}
    assert len(named & hostile) >= 0.9 * len(hostile)
    assert named <= hostile
