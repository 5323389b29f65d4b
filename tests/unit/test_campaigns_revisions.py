"""How large changes of a case are published."""

import numpy as np

from streams.campaigns.state import CampaignsState
from streams.config import Settings
from streams.contracts.alert import ADDED_MAX_ACCOUNTS, decode_alert
from streams.contracts.fold import fold

NOW = 1_789_030_800_000
ACCOUNTS = 2_500


def test_no_revision_names_more_accounts_than_fit():
    """A case that loses 2,400 of 2,500 members and wins one takes several revisions, whose fold is right."""
    state = CampaignsState(Settings())
    rows = state.table.insert(np.arange(1, ACCOUNTS + 2, dtype=np.uint64)).tolist()
    for row in rows:
        state.table.names[row] = f"a{row:04}"
    case = state.cases.open("cluster", "distillation", 7, rows[:-1], 7, NOW, NOW)
    records = state.cases.revise(case, "open", rows[:-1], [], 8.0, NOW)
    opened = [decode_alert(record.value) for record in records]
    left = [*rows[:100], rows[-1]]
    records = state.cases.revise(case, "updated", left, [], 8.0, NOW + 1_000)
    shrunk = [decode_alert(record.value) for record in records]

    assert [1_000, 1_000, 500] == [len(each.accounts.added) for each in opened]
    assert [(1, 999), (0, 1_000), (0, 401)] == [(len(e.accounts.added), len(e.accounts.removed)) for e in shrunk]
    assert {NOW + 1_000} == {each.detected_at for each in shrunk}
    assert max(len(e.accounts.added) + len(e.accounts.removed) for e in (*opened, *shrunk)) <= ADDED_MAX_ACCOUNTS
    assert sorted(state.table.names[row] for row in left) == sorted(fold([*opened, *shrunk]).members)
    assert [ACCOUNTS - 998, ACCOUNTS - 1_998, 101] == [each.accounts.count for each in shrunk]
