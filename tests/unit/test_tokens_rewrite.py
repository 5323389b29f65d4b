"""How stage tokens shortens its log when that holds much more than the table."""

import numpy as np
from msgspec.structs import replace

from streams.config import Settings
from streams.contracts.packets import NETWORK, RUNNING, SIGHTING, Sightings, encode_packet
from streams.operator import MARKER_KEY, Batch
from streams.tokens.operator import REWRITE_ROWS, REWRITE_STEP_ROWS, TokensOperator

TOKENS = REWRITE_STEP_ROWS + 50_000
START_MS = 1_700_000_000_000
SETTINGS = replace(Settings(), kafka=replace(Settings().kafka, request_partitions=1))


def show_all(operator: TokensOperator, account: int) -> None:
    """In a second of its own, an account shows every network."""
    found = np.zeros(TOKENS, SIGHTING)
    found["offset"] = np.arange(account * TOKENS, (account + 1) * TOKENS)
    found["account"], found["token"], found["count"] = account, np.arange(1, TOKENS + 1), 1
    time = START_MS + 1_000 * account
    found["kind"], found["first"], found["time"] = NETWORK, 1, time
    packet = encode_packet(Sightings(0, time + 900, time, RUNNING, found.tobytes()))
    operator.on_batch(Batch(0, [account], [None], [packet]))


def rows_of(operator: TokensOperator) -> bytes:
    """Everything the table holds of the networks, in one order."""
    rows: np.ndarray = operator._table.rows(np.arange(1, TOKENS + 1, dtype=np.uint64))
    return np.sort(rows, order="token").tobytes()


def restored(records: dict[bytes, bytes]) -> TokensOperator:
    """An operator from its state."""
    operator = TokensOperator(SETTINGS, 0)
    operator.restore(records.items())
    return operator


def test_a_log_is_rewritten_in_steps_and_a_restart_in_between_loses_nothing():
    """No step writes the whole table; restored after each step the tables are alike; at last the old records go."""
    operator = TokensOperator(SETTINGS, 0)
    records: dict[bytes, bytes] = {}
    longest, halfway = 0, False
    for account in range(9):
        show_all(operator, account)
        checkpoint = operator.checkpoint()
        assert checkpoint is not None
        for key, value in (*checkpoint.snapshots, (MARKER_KEY, checkpoint.marker)):
            records.pop(key, None)
            if value is not None:
                records[key] = value
        longest = max(longest, operator._table_log.rows)
        if operator._rewritten is not None:
            halfway = True
            assert rows_of(operator) == rows_of(restored(records))
    assert halfway
    assert longest > 4 * TOKENS + REWRITE_ROWS
    assert operator._table_log.rows < longest - 2 * TOKENS
    again = restored(records)
    assert rows_of(operator) == rows_of(again)
    assert operator._table_log.rows == again._table_log.rows
    show_all(operator, 10)
    show_all(again, 10)
    assert rows_of(operator) == rows_of(again)
