"""Single accounts: a stolen key's probe and burst, and an account that scrapes by itself."""

from typing import Any

import numpy as np

from streams.accounts.features import LAYOUT
from streams.campaigns.evidence import evidence, ramp
from streams.campaigns.reference import Reference
from streams.campaigns.table import AccountTable
from streams.contracts.alert import Evidence

WATCH_MS = 48 * 3_600_000  # a probe is forgotten after so long: bursts followed within hours in the reported case
DAY_MS = 86_400_000
SCRAPE_MIN = 100  # exchanges with a purpose before a single account is looked at

_SHIFT = {name: shift for name, (shift, _) in LAYOUT.items()}
_NEW = {name: 1 << _SHIFT[name] for name in ("new_network", "new_client", "new_model", "new_country")}
TRIGGER = np.uint64(_NEW["new_network"])
TRIGGER_WITH = np.uint64(_NEW["new_client"] | _NEW["new_model"] | _NEW["new_country"])


class Watch:
    """An established account after an exchange from a network, client, model or country that it never used."""

    __slots__ = ("changes", "churn", "exchanges", "networks", "new", "rates", "row", "sizes", "start")

    def __init__(self, row: int, start: int, churn: float) -> None:
        self.row, self.start, self.churn = row, start, churn
        self.new = 0  # bits seen new since the start
        self.exchanges = self.networks = self.changes = 0
        self.rates = self.sizes = 0.0

    def add(self, bins: int) -> None:
        """Take in an exchange."""
        self.exchanges += 1
        for bit in _NEW.values():
            self.new |= bins & bit
        self.networks += bool(bins & _NEW["new_network"])
        self.changes += bins >> _SHIFT["rate_change"] & 1
        rate, size = bins >> _SHIFT["rate_surprise"] & 7, bins >> _SHIFT["size_surprise"] & 7
        self.rates += max(0, rate - 1)
        self.sizes += max(0, size - 1) + max(0, (bins >> _SHIFT["input_surprise"] & 3) - 1)

    def weigh(self) -> list[Evidence]:
        """Evidence of a stolen credential, in nats; what the account does all the time counts less (``churn``)."""
        trust = 1.0 - ramp(self.churn, 0.02, 0.15)
        items = []
        for name, nats in (("new_network", 1.2), ("new_client", 1.2), ("new_model", 2.0), ("new_country", 1.2)):
            if self.new & _NEW[name]:
                what = name.removeprefix("new_")
                items.append(evidence("I28", nats * trust, what, 0, f"a {what} that this account never used before"))
        for indicator, value, nats, most, what in (
            ("I28", self.rates, 0.35, 4.5, "faster than its own past (deviations, summed)"),
            ("I21", self.sizes, 0.3, 2.5, "larger than its own past (deviations, summed)"),
            ("I19", float(self.changes), 1.0, 1.0, "lasting changes of its rate (Page-Hinkley)"),
            ("I20", float(max(0, self.networks - 1)), 0.6, 2.4, "further networks never used before"),
        ):
            items.append(evidence(indicator, min(most, nats * value) * trust, round(value, 4), 0, what))
        return [item for item in items if item.contribution]

    def dump(self) -> tuple[Any, ...]:
        """Plain numbers."""
        return (
            self.row, self.start, self.churn, self.new, self.exchanges, self.networks, self.changes, self.rates, self.sizes
        )  # fmt: skip

    @classmethod
    def load(cls, state: tuple[int, int, float, int, int, int, int, float, float]) -> "Watch":
        """Rebuild from `dump`."""
        watch = cls(state[0], state[1], state[2])
        watch.new, watch.exchanges, watch.networks, watch.changes, watch.rates, watch.sizes = state[3:]
        return watch


WatchState = tuple[int, int, float, int, int, int, int, float, float]


def churn(row: Any) -> float:
    """How often an account shows something new, per exchange."""
    return (int(row["networks"]) + int(row["clients"])) / (int(row["exchanges"]) + 10.0)


def scrapers(table: AccountTable, now: int) -> Any:
    """Rows of accounts that may scrape by themselves: much traffic with one purpose."""
    rows = table.rows[: len(table)]
    mask = np.zeros(rows.size, bool)
    for asked, known in (("elicit", "elicit_known"), ("grading", "grading_known")):
        mask |= (rows[asked] >= SCRAPE_MIN) & (rows[asked] >= 0.6 * rows[known])
    return np.flatnonzero(mask & (now - rows["last"] < DAY_MS))


def weigh_scraper(row: Any, reference: Reference, now: int) -> list[Evidence]:
    """Evidence that one account copies the model by itself, in nats."""
    n = int(row["exchanges"])
    days = max(0.25, (now - int(row["first"])) / DAY_MS)
    rate = n / days
    items = [
        evidence("I21", 3.5 * ramp(np.log10(rate), 2.3, 3.6), round(rate, 1), 200, "exchanges a day"),
        evidence("I3", 2.0 * ramp(int(row["near_new"]) / n, 0.5, 0.95), round(int(row["near_new"]) / n, 4), 0.5,
                 "share of prompts unlike its own before"),
        evidence("I2", 1.0 * ramp(int(row["first_turn"]) / n, 0.7, 1.0), round(int(row["first_turn"]) / n, 4), 0.5,
                 "share of conversations of one turn"),
    ]  # fmt: skip
    for indicator, name, known, what in (
        ("I4", "elicit", "elicit_known", "ask for the model's reasoning"),
        ("I8", "grading", "grading_known", "use the model as a grader"),
    ):
        share = int(row[name]) / max(1, int(row[known]))
        items.append(
            evidence(indicator, 3.2 * ramp(share, 0.3, 0.8), round(share, 4), 0.04, f"{share:.0%} of its prompts {what}")
        )
    hours = row["hours"]
    if days >= 0.8:
        even = float(hours.min() / max(1.0, hours.mean()))
        items.append(evidence("I18", 2.0 * ramp(even, 0.3, 0.7), round(even, 4), 0.3, "quietest hour over the mean hour"))
    if int(row["org"]):
        items.append(evidence("benign.organisation", -4.0, 1, 0, "belongs to an organisation that answers for it"))
    if int(row["plan"]) in (4, 5):
        items.append(evidence("benign.plan", -2.0, 1, 0, "a plan meant for automation"))
    odd = reference.oddness(row, now)
    if odd is not None:
        items.append(evidence("I19", 1.0 * ramp(odd, 1.0, 4.0), round(odd, 6), 0, "deviations odd for its plan"))
    return [item for item in items if item.contribution]
