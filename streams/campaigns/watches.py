"""Single accounts: a stolen key's probe and burst, and an account that scrapes by itself."""

import math
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Struct

from streams.accounts.features import LAYOUT
from streams.campaigns.evidence import once_each
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.reference import Reference
from streams.campaigns.table import AccountTable
from streams.contracts.alert import Evidence

WATCH_MS = 48 * 3_600_000  # a probe is forgotten after so long: bursts followed within hours in the reported case
RUN_PAUSE_MS = 1_800_000
TOGETHER_MS = 900_000
PROBE_TOKENS_BIN = 4  # a probe's prompt has 15 tokens at most: it only asks whether the key works
PROBE_NATS = 4.0
SETTLED_VISITS = 2  # on its first visit an account has shown one of its own places
PROBE_RUN = 2  # exchanges of a probe at most
RUN_TRIED, RUN_UNTRIED = 3, 12  # exchanges after which a rate counts in full: a conversation is faster than any mean
PLACES_FOREIGN = 4  # of a thief at most: accounts on short-lived machines have far more
PLACES_NATS = (0.0, 0.0, 2.0, 3.5, 4.4)  # by places: of 292 accounts watched for a day 21 had two or more, 5 three
PLACES_UNTRIED_NATS = 3.0  # at most, without a probe
MANY_NETWORKS = 3  # new within a quarter of an hour: a traveller shows one or two
DAY_MS = 86_400_000
SCRAPE_MIN = 100  # exchanges with a purpose before a single account is looked at

_SHIFT = {name: shift for name, (shift, _) in LAYOUT.items()}
_NEW = {name: 1 << _SHIFT[name] for name in ("new_network", "new_client", "new_model", "new_country")}
_ANY_NEW = sum(_NEW.values())
TRIGGER = np.uint64(_NEW["new_network"])
TRIGGER_WITH = np.uint64(_NEW["new_client"] | _NEW["new_model"] | _NEW["new_country"])
# Without any of these bits an exchange changes no watch: all that `Watch.add` reads begins with one of them.
MATTERS = np.uint64(_ANY_NEW | 1 << _SHIFT["rate_change"] | 1 << _SHIFT["other_network"])


class Watch(Struct, array_like=True):
    """An established account after an exchange from a network, client, model or country that it never used.

    A run is the exchanges from elsewhere without a pause of half an hour: not a usual network, and not a usual client
    or a model first taken since the watch began or many new networks at once. The account's own past gives the rate
    that its runs are held against.
    """

    row: int
    start: int
    before: int  # exchanges before the watch
    rate: Annotated[float, Meta(gt=0)]  # of these, per minute
    trust: Annotated[float, Meta(ge=0, le=1)]  # how much of a past there is, and how steady it was
    new: int = 0  # bits seen new since the start
    networks: int = 0  # most first sightings within a quarter of an hour
    seen: list[int] = []  # times of the last of them
    countries: int = 0  # the same of countries
    visited: list[int] = []
    changes: int = 0
    run_start: int = 0
    run_last: int = 0
    run: int = 0
    surprise: int = 0  # deviations of the gaps in the run
    sizes: int = 0  # deviations of the output sizes in the run
    inputs: int = 0  # of the input sizes, in steps of two doublings
    models: list[int] = []  # hashes of models first taken since the start
    places: int = 0  # exchanges from a network and by a client that it never used, both at once
    probed: int = 0  # when it was probed, 0: never
    returned: int = 0  # when whoever probed it came back, 0: not yet
    came: list[int] = []  # times of the last such exchanges

    def add(self, time: int, bins: int, account: Any) -> None:
        """Take in an exchange; ``account`` is the row of the table, which holds it already."""
        away = bins >> _SHIFT["other_network"] & 1
        if away:  # what an owner takes up at home is no thief's
            self.new |= bins & _ANY_NEW
        if bins & _NEW["new_network"]:
            self.seen = [*[t for t in self.seen if t > time - TOGETHER_MS][-7:], time]
            self.networks = max(self.networks, len(self.seen))
        if bins & _NEW["new_country"]:
            self.visited = [*[t for t in self.visited if t > time - TOGETHER_MS][-7:], time]
            self.countries = max(self.countries, len(self.visited))
        self.changes += bins >> _SHIFT["rate_change"] & 1
        settled = bins & _NEW["new_network"] and int(account["visits"]) >= SETTLED_VISITS
        if settled and bins & _NEW["new_client"]:
            self.places += 1
            self.came = [*self.came, time][-PLACES_FOREIGN:]
        model = bins >> _SHIFT["model"] & 255
        if away and bins & _NEW["new_model"]:
            self.models = [*self.models, model][-4:]
            if settled and (bins >> _SHIFT["input"] & 15) <= PROBE_TOKENS_BIN:
                self.probed = time
        elsewhere = bins >> _SHIFT["other_client"] & 1 or model in self.models or self.networks >= MANY_NETWORKS
        if away and elsewhere:
            if time - self.run_last > RUN_PAUSE_MS:
                if 0 < self.probed < time and self.run <= PROBE_RUN and model in self.models:
                    self.returned = time
                self.run_start, self.run, self.surprise, self.sizes, self.inputs = time, 0, 0, 0, 0
                # many places at once say something of the run that they are seen in, not of one a day later
                self.networks = sum(t > time - TOGETHER_MS for t in self.seen)
                self.countries = sum(t > time - TOGETHER_MS for t in self.visited)
                # what a thief has added by now, probe included, says nothing about the owner's habits
                foreign = sum(t > time - TOGETHER_MS or t == self.probed for t in self.came) if self.probed else 0
                self.before, self.rate, self.trust = past(account, time, foreign)
            self.run_last = time
            self.run += 1
            self.surprise += max(0, (bins >> _SHIFT["rate_surprise"] & 7) - 1)
            self.sizes += max(0, (bins >> _SHIFT["size_surprise"] & 7) - 1)
            self.inputs += max(0, (bins >> _SHIFT["input_surprise"] & 3) - 1)

    def weigh(self) -> list[Evidence]:
        """Evidence of a stolen credential, in nats. No kind of reason is enough by itself, nor are two."""
        if not self.trust:
            return []
        items = []
        for name, nats in (("new_network", 1.0), ("new_client", 1.0), ("new_model", 2.5), ("new_country", 1.0)):
            if self.new & _NEW[name]:
                what = name.removeprefix("new_")
                items.append(
                    evidence("I28", nats * self.trust, what, 0, f"a {what} that this account never used before")
                )
        if self.returned and self.places >= 2:  # a new server is tried first, too, and then used from there
            pause = round((self.returned - self.probed) / 60_000)
            what = "minutes from a prompt of a few tokens to the next by that model, from elsewhere"
            items.append(evidence("I28", PROBE_NATS * self.trust, pause, 0, what))
        minutes = max(1.0, (self.run_last - self.run_start) / 60_000)
        faster = self.run / minutes / self.rate
        full = RUN_TRIED if self.returned else RUN_UNTRIED
        intensity = 5.6 * ramp(math.log10(max(1.0, faster)), 0.6, 2.4) * ramp(self.run, 1, full)
        intensity += 2.5 * ramp(math.log10(max(1, self.run)), 1.0, 2.3) * ramp(faster, 3, 10)  # and keeps it up
        items.append(
            evidence(
                "I20",
                intensity * self.trust,
                round(faster, 1),
                60,
                "times its usual rate, from elsewhere, by another client",
            )
        )
        exchanges = max(1, self.run)
        # who is in many places at once but no busier than ever is a program on short-lived machines
        long_run = ramp(exchanges, 0, 5)
        # a team that shares a key adds places over the day, too, but did not try it first
        places = min(PLACES_NATS[min(4, self.places)], 4.4 if self.returned else PLACES_UNTRIED_NATS)
        busy = 0.4 + 0.6 * ramp(math.log10(max(1.0, faster)), 0.6, 1.5)
        for indicator, value, nats, what in (
            ("I19", self.surprise / exchanges, 1.9 * ramp(self.surprise / exchanges, 0.0, 0.8),
             "deviations by which its gaps are shorter than ever, an exchange"),
            ("I21", self.inputs / exchanges, busy * 4.0 * ramp(self.inputs / exchanges, 0.15, 1.0) * long_run,
             "steps by which its prompts are longer than ever, an exchange"),
            ("I21", self.sizes / exchanges, busy * 1.6 * ramp(self.sizes / exchanges, 0.05, 2.0) * long_run,
             "deviations by which its answers are longer than ever, an exchange"),
            ("I10", float(self.changes), min(0.6, 0.3 * self.changes), "lasting changes of its rate (Page-Hinkley)"),
            ("I12", float(max(self.networks, self.places)),
             max(places, busy * min(4.4, 2.2 * max(0, self.networks - 1))),
             "networks never used before, within a quarter of an hour, or each by another client"),
            ("I12", float(self.countries), busy * min(5.0, 2.5 * max(0, self.countries - 1)),
             "countries never used before, within a quarter of an hour"),
        ):  # fmt: skip
            items.append(evidence(indicator, nats * self.trust, round(value, 4), 0, what))
        # any account may move or scale up on any day, so there are more chances to err than with groups
        items.append(evidence("benign.many_accounts", -0.7 * self.trust, 1, 0, "one account among many that change"))
        if max(self.networks, self.places) < 2:  # one new place is how new machines and new offices look, too
            items.append(
                evidence(
                    "benign.one_place", -2.0 * self.trust, max(self.networks, self.places), 2, "all from one new place"
                )
            )
        return [item for item in items if item.contribution]


def past(account: Any, now: int, foreign: int = 0) -> tuple[int, float, float]:
    """Exchanges before now, their rate per minute, and how far they can be relied on (0..1).

    ``foreign`` places, a network and a client each, are not the owner's.
    """
    n = max(1, int(account["exchanges"]) - 1)
    minutes = max(60.0, (now - int(account["first"])) / 60_000)
    trust = ramp(n, 4, 12) * ramp(minutes, 30, 120) * (1.0 - ramp(churn(account, 2 * foreign), 0.25, 0.6))
    trust *= ramp(int(account["visits"]), 2, 5)  # one long sitting in one place is no habit yet
    # the present visit is from elsewhere, the probe was, and a second usual place was until it had become one
    trust *= 1.0 - ramp((int(account["foreign"]) - 2) / max(1, int(account["visits"])), 0.3, 0.6)
    return n, n / minutes, trust


def watch(row: int, account: Any, now: int) -> Watch:
    """Begin to watch an account (its row of the table, which holds the present exchange already)."""
    return Watch(row, now, *past(account, now))


def churn(row: Any, foreign: int = 0) -> float:
    """How often an account came from a new network or by a new client, per visit; a move or two are everybody's.

    ``foreign`` of them are left out.
    """
    return (int(row["networks"]) + int(row["clients"]) - foreign - 3.0) / (int(row["visits"]) + 3.0)


def scrapers(table: AccountTable, now: int) -> Any:
    """Rows of accounts that may scrape by themselves: much traffic with one purpose."""
    rows = table.used
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
    shares = [int(row[name]) / max(1, int(row[f"{name}_known"])) for name in ("elicit", "grading")]
    values = [3.2 * ramp(share, 0.3, 0.8) for share in shares]
    for indicator, what, share, value, weight in zip(
        ("I4", "I8"), ("ask for the model's reasoning", "use the model as a grader"), shares, values,
        once_each(values, shares), strict=True,
    ):  # fmt: skip
        items.append(evidence(indicator, weight * value, round(share, 4), 0.04, f"{share:.0%} of its prompts {what}"))
    hours = row["hours"]
    if days >= 0.8:
        even = float(hours.min() / max(1.0, hours.mean()))
        items.append(
            evidence("I18", 2.0 * ramp(even, 0.3, 0.7), round(even, 4), 0.3, "quietest hour over the mean hour")
        )
    if int(row["org"]):
        items.append(evidence("benign.organisation", -4.0, 1, 0, "belongs to an organisation that answers for it"))
    if int(row["plan"]) in (4, 5):
        items.append(evidence("benign.plan", -2.0, 1, 0, "a plan meant for automation"))
    odd = reference.oddness(row, now)
    if odd is not None:
        items.append(evidence("I19", 1.0 * ramp(odd, 1.0, 4.0), round(odd, 6), 0, "deviations odd for its plan"))
    return [item for item in items if item.contribution]
