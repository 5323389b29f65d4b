"""A case says it when its accounts move to another model, and only then."""

import numpy as np
from campaign_feed import HOUR_MS, SETTINGS, START_MS

from streams.accounts.features import put
from streams.campaigns import pivots
from streams.campaigns.nats import evidence
from streams.campaigns.state import CampaignsState
from streams.contracts.alert import AlertEvent, decode_alert
from streams.contracts.packets import SIGNAL

N = 40
ITEMS = [evidence("I1", 12.0, 40, 2, "forty owners")]


class Pool:
    """One open case of forty accounts."""

    def __init__(self) -> None:
        self.state = CampaignsState(SETTINGS)
        self.rows = self.state.table.insert(np.arange(1, N + 1, dtype=np.uint64) << np.uint64(40))
        for row in self.rows.tolist():
            self.state.table.names[row] = f"account-{row:02}"
        members = self.rows.tolist()
        self.case = self.state.cases.open("cluster", "distillation", 1, members, 1, START_MS, START_MS)
        self.state.cases.revise(self.case, "open", members, ITEMS, 11.5, START_MS)

    def take_up(self, accounts: range, model: int, hour: float) -> list[AlertEvent]:
        """Accounts take up a model; returns what is published then."""
        signals = np.zeros(len(accounts), SIGNAL)
        signals["time"] = START_MS + int(hour * HOUR_MS)
        signals["bins"] = put("new_model", np.uint64(1)) | put("model", np.uint64(model))
        pivots.note(self.state, signals, self.rows[accounts.start : accounts.stop])
        return [decode_alert(record.value) for record in pivots.tell(self.state, int(signals["time"][0]))]


def test_a_twentieth_of_the_accounts():
    """Three of forty accounts that take up one model within a day make a revision with I16, which adds up."""
    pool = Pool()

    assert [] == pool.take_up(range(2), 7, 1.0)
    (told,) = pool.take_up(range(2, 3), 7, 2.0)
    assert ["I1", "I16"] == [item.indicator for item in told.evidence]
    assert told.evidence_total == sum(item.contribution for item in told.evidence)
    assert N == told.accounts.count


def test_told_once():
    """The rest of the pool follows without another such revision, and later ones still say it."""
    pool = Pool()
    pool.take_up(range(5), 7, 1.0)

    assert [] == pool.take_up(range(5, 30), 7, 2.0)
    members = list(pool.case.members)
    (later,) = pool.state.cases.revise(pool.case, "updated", members, ITEMS, 11.5, START_MS + 3 * HOUR_MS)
    assert ["I1", "I16"] == [item.indicator for item in decode_alert(later.value).evidence]


def test_each_model_is_told():
    """Three accounts that took up one model by themselves do not hide the move to another; each is told once."""
    pool = Pool()
    first = pool.take_up(range(3), 3, 1.0)
    (moved,) = pool.take_up(range(10, 30), 7, 2.0)

    told = [next(item for item in alert.evidence if item.indicator == "I16") for alert in (*first, moved)]
    assert ["3 of 40", "20 of 40"] == [item.detail[:8].strip() for item in told]
    assert [] == pool.take_up(range(30, 35), 3, 3.0)


def test_models_of_all_kinds():
    """Accounts that each take up another model do not move together, nor do three over three days."""
    pool = Pool()

    assert [] == [alert for i in range(5) for alert in pool.take_up(range(i, i + 1), i, 1.0)]
    assert [] == [alert for i in range(5, 8) for alert in pool.take_up(range(i, i + 1), 9, 25.0 * i)]


def test_an_account_of_no_case():
    """Whoever is in no case may take up what he likes."""
    pool = Pool()
    pool.state.cases.revise(pool.case, "closed", list(pool.case.members), [], 11.5, START_MS)

    assert [] == pool.take_up(range(20), 7, 1.0)
    assert {} == pool.case.moves
