"""What really happened, for whoever judges the alerts; the detector never reads it.

The file is one JSON object::

    {"version": 1, "seed": 7, "start_ms": ..., "end_ms": ..., "events": 201300, "benign_exchanges": 186000,
     "campaigns": [{"id": "1-fixed_prompt", "shape": "fixed_prompt", "category": "distillation",
                    "parameters": {...},           the CampaignSpec
                    "start_ms": ..., "end_ms": ..., planned
                    "accounts": ["acct_...", ...], all that carry it
                    "pools": [["acct_...", ...]],  those that share infrastructure
                    "exchanges": 5230,             hostile ones; cover traffic is in "cover" (of all campaigns that
                    "cover": 0,                    share the accounts)
                    "answered_ms": [...],          sorted event times of hostile exchanges that were answered
                                                   (status 2xx, not refused)
                    "unanswered_ms": [...],        the other hostile ones: refused, throttled, blocked
                    "moments": {"ban_ms": ...},    what happened when, by shape: ban, pivot, probe, burst, scale_up
                    "per_account": {"acct_...": 87, ...},  hostile exchanges by account
                    "times_ms": {"acct_...": [...]}}],     and their sorted event times, answered or not
     "benign": [{"kind": "hobbyist", "hard_negative": false, "accounts": [...], "exchanges": 91000}, ...]}

Counts are of distinct exchanges: duplicates that a disturbance adds are not counted again. Exchanges leaked before a
time t are the ``answered_ms`` below t (`leaked_before`).
"""

import bisect
from pathlib import Path

import msgspec


class CampaignTruth(msgspec.Struct):
    """One campaign as it really ran."""

    id: str
    shape: str
    category: str
    parameters: dict[str, float | int | str]
    start_ms: int
    end_ms: int
    accounts: list[str]
    pools: list[list[str]]
    moments: dict[str, int] = msgspec.field(default_factory=dict)
    exchanges: int = 0
    cover: int = 0
    answered_ms: list[int] = msgspec.field(default_factory=list)
    unanswered_ms: list[int] = msgspec.field(default_factory=list)
    per_account: dict[str, int] = msgspec.field(default_factory=dict)
    times_ms: dict[str, list[int]] = msgspec.field(default_factory=dict)

    def leaked_before(self, time_ms: int) -> int:
        """Count the answered hostile exchanges before a time."""
        return bisect.bisect_left(self.answered_ms, time_ms)


class KindTruth(msgspec.Struct):
    """One benign kind and its accounts."""

    kind: str
    hard_negative: bool
    accounts: list[str]
    exchanges: int = 0


class Truth(msgspec.Struct):
    """The whole truth of one run."""

    seed: int
    start_ms: int
    end_ms: int
    campaigns: list[CampaignTruth]
    benign: list[KindTruth]
    events: int = 0
    benign_exchanges: int = 0
    version: int = 1

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(msgspec.json.encode(self))


def read(path: Path) -> Truth:
    """Read a file that `Truth.write` made."""
    return msgspec.json.decode(path.read_bytes(), type=Truth)
