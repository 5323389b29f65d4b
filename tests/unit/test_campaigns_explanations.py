"""What clears a group, and that it no longer does without what an attacker cannot easily have."""

from collections.abc import Callable

import numpy as np
import pytest
from campaign_crowd import NOW, Crowd, N

from streams.campaigns.evidence import weigh
from streams.campaigns.reference import Reference
from streams.campaigns.table import PLANS
from streams.contracts.packets import NETWORK, PAYMENT, SYSTEM

SCHOOL = 7  # a mail domain
Change = Callable[[Crowd], None]


def of_one_firm(crowd: Crowd) -> None:
    crowd.rows["org"][crowd.at] = 5


def of_four_firms(crowd: Crowd) -> None:
    crowd.rows["org"][crowd.at] = np.arange(N) % 4 + 5


def behind_one_network(crowd: Crowd) -> None:
    crowd.token(50, NETWORK, range(N))


def at_home(crowd: Crowd) -> None:
    for i in range(N // 2):
        crowd.token(50 + i, NETWORK, range(2 * i, 2 * i + 2))


def students(crowd: Crowd) -> None:
    """On education plans, who talk about what they ask; nothing is known of their mail."""
    crowd.rows["plan"][crowd.at] = PLANS.index("edu")


def mail(crowd: Crowd, domains: list[int]) -> None:
    crowd.rows["mail"][crowd.at] = domains
    for domain in domains:
        crowd.table.mail_accounts[domain] += 1


def of_one_school(crowd: Crowd) -> None:
    students(crowd)
    mail(crowd, [SCHOOL if i % 3 else 100 + i for i in range(N)])


def of_many_schools(crowd: Crowd) -> None:
    students(crowd)
    mail(crowd, [100 + i // 2 for i in range(N)])


def with_public_mail(crowd: Crowd) -> None:
    """All at a provider whose other users pay."""
    students(crowd)
    mail(crowd, [SCHOOL] * N)
    others = crowd.table.insert(np.arange(1_000, 1_020, dtype=np.uint64))
    crowd.table.rows["mail"][others] = SCHOOL
    crowd.rows = crowd.table.rows


def without_mail(crowd: Crowd) -> None:
    """Only of these nothing is known."""
    students(crowd)
    others = crowd.table.insert(np.arange(1_000, 1_020, dtype=np.uint64))
    crowd.table.rows["mail"][others], crowd.table.rows["plan"][others] = SCHOOL, PLANS.index("edu")
    crowd.rows = crowd.table.rows


def whose_payers_have_mail(crowd: Crowd) -> None:
    """Of one of them the domain is known, as he pays; students' never is."""
    students(crowd)
    crowd.rows["plan"][crowd.at[0]], crowd.rows["mail"][crowd.at[0]] = PLANS.index("individual"), 99


def on_campus(crowd: Crowd) -> None:
    of_many_schools(crowd)
    behind_one_network(crowd)


def paid_for(crowd: Crowd) -> None:
    of_one_school(crowd)
    crowd.rows["plan"][crowd.at] = PLANS.index("individual")


def single_questions(crowd: Crowd) -> None:
    of_one_school(crowd)
    crowd.rows["first_turn"][crowd.at] = 40


def tool(crowd: Crowd) -> None:
    """All show a system prompt, in conversations."""
    crowd.token(60, SYSTEM, range(N))
    crowd.shared.system_of = {row: [60] for row in range(N)}


def tool_of_newcomers(crowd: Crowd) -> None:
    tool(crowd)
    crowd.rows["created"][crowd.at] = NOW // 86_400_000 - 3


def once_each(crowd: Crowd) -> None:
    crowd.uses = [1] * N


def once_each_on_shared_cards(crowd: Crowd) -> None:
    once_each(crowd)
    for i in range(N // 4):
        crowd.token(70 + i, PAYMENT, range(4 * i, 4 * i + 4))


def here_before(crowd: Crowd) -> None:
    crowd.rows["first"][crowd.at] -= 100 * 3_600_000
    crowd.uses = [2] * N


def nothing(crowd: Crowd) -> None:
    """As they are."""


def nats(change: Change, indicator: str) -> float:
    """Contribution of an indicator to the evidence on a crowd."""
    crowd = Crowd()
    change(crowd)
    return sum(i.contribution for i in weigh(crowd.group(), Reference(), None, NOW) if i.indicator == indicator)


@pytest.mark.parametrize(
    ("explanation", "clears", "by", "without"),
    [
        ("organisation", of_one_firm, 7.0, of_four_firms),
        ("site", behind_one_network, 4.0, at_home),
        ("course", of_one_school, 8.0, of_many_schools),
        ("course", on_campus, 8.0, with_public_mail),
        ("course", students, 8.0, paid_for),
        ("course", whose_payers_have_mail, 8.0, without_mail),
        ("course", on_campus, 8.0, without_mail),
        ("course", of_one_school, 8.0, single_questions),
        ("tool", tool, 7.0, tool_of_newcomers),
        ("copied_prompt", once_each, 3.0, once_each_on_shared_cards),
        ("own_life", here_before, 2.0, nothing),
    ],
)
def test_an_explanation_needs_what_cannot_be_imitated(explanation: str, clears: Change, by: float, without: Change):
    """A firm, a site, a school, a tool and a copied prompt clear a group; one that only looks like it stays accused."""
    assert nats(clears, f"benign.{explanation}") == pytest.approx(-by)
    assert nats(without, f"benign.{explanation}") == pytest.approx(0.0)
