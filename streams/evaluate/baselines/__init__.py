"""Simple methods that read the same events. Each gives scores; whoever exceeds the method's threshold is an alarm.

All start afresh at midnight UTC (the forests and the window test apart), as counters with a daily window do. `METHODS`
lists them with the threshold that is usual for them; the threshold that gives no false case on benign traffic is
measured.
"""

from collections.abc import Callable
from typing import NamedTuple

from streams.evaluate.baselines import counts, forests, graphs, windows
from streams.evaluate.baselines.common import Method


class Entry(NamedTuple):
    """A method by name, what it does, what its score is, and the score above which it usually alarms."""

    name: str
    about: str
    score: str
    usual: float
    make: Callable[[], Method]


METHODS = (
    Entry("rate", "rate threshold per account", "exchanges of an account in an hour", 100, counts.AccountRate),
    Entry("networks", "more than 5 networks per key", "networks (/24) of an API key in a day", 5, counts.KeyNetworks),
    Entry(
        "reasoning",
        "share of an account's requests that ask for reasoning",
        "Wilson's lower bound of the share in a day, from 20 exchanges on",
        0.6,
        counts.ReasoningShare,
    ),
    Entry("template", "one prompt template on many accounts", "accounts in a day", 9, counts.SharedTemplate),
    Entry("prefix", "one prompt prefix on many accounts", "accounts in a day", 9, counts.SharedPrefix),
    Entry(
        "hst-account",
        "River's HalfSpaceTrees, one per account, over its exchanges in eights",
        "anomaly score 0..1, mean of three",
        0.95,
        forests.PerAccount,
    ),
    Entry(
        "hst-shared",
        "River's HalfSpaceTrees, one for all accounts, over their exchanges in eights",
        "anomaly score 0..1, mean of three",
        0.95,
        forests.Shared,
    ),
    Entry("union", "union-find on shared tokens, fixed weights", "accounts of a component", 4, graphs.FixedWeights),
    Entry(
        "careful-union",
        "union-find of accounts that share a prompt and a network, card or device, none of them popular",
        "accounts of a component",
        4,
        graphs.TwoKinds,
    ),
    Entry(
        "mmd",
        "kernel two-sample test of 1,500 exchanges against the first ones, on SimHashes (arXiv 2606.05725)",
        "squared maximum mean discrepancy; names nobody",
        0.01,
        windows.TrafficWindow,
    ),
)
