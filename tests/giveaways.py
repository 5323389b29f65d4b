"""What an onlooker sees of accounts besides content, and a small tree that tries to tell the hostile by it.

The tree is exhaustive: every pair of tests below every first test, so it is the best of its depth on the data it grows
on. No cut is tuned: a category is one value, a number is cut at nine quantiles of the traffic it grows on.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import msgspec
import numpy as np

from streams.simulator.infra import CLOUDS, COUNTRIES, MAIL_DOMAINS
from streams.simulator.rhythm import HOUR_MS

SEEN_EXCHANGES = 12  # of an account: as many of everyone, so that its rate does not show
SEEN_FEWEST = 4
PUBLIC_MAIL = {name for name, _ in MAIL_DOMAINS}
NETWORKS = {
    **{asn: "home" for c in COUNTRIES for asn in c.home},
    **{asn: "mobile" for c in COUNTRIES for asn in c.mobile},
    **{c.campus: "campus" for c in COUNTRIES},
    **{asn: "cloud" for asn, _, _ in CLOUDS},
}

_decode = msgspec.json.Decoder().decode
Event = dict[str, Any]


def read(values: Iterable[bytes]) -> Iterator[Event]:
    """Decode events, without their text."""
    for value in values:
        event = _decode(value)
        event["prompt"].pop("text", None)
        yield event


def mail_kind(domain: str | None) -> str:
    """Say what a mail domain is: a public one by name, or its owner's by its ending."""
    if domain is None:
        return "unknown"
    return domain if domain in PUBLIC_MAIL else "." + domain.rpartition(".")[2]


def fields(event: Event) -> dict[str, Any]:
    """Categories of one exchange that are no content and no identifier: values, kinds of values, and what is known."""
    client, identity, prompt = event.get("client") or {}, event.get("identity") or {}, event["prompt"]
    ip = client.get("ip", "")
    agent = client.get("user_agent")
    return {
        **{name: event.get(name) for name in ("plan", "model", "operation", "status", "refused", "stream")},
        "temperature": event.get("temperature"),
        **{name: client.get(name) for name in ("asn", "country", "user_agent", "tls_fingerprint")},
        "program": agent and agent.partition("/")[0],
        "network": NETWORKS.get(client.get("asn"), "unknown"),
        "mail": mail_kind(identity.get("email_domain")),
        "address": "v6" if ":" in ip else "v4" if ip else None,
        "event_id": (len(event["event_id"]), event["event_id"].isalnum()),
        "account_id": (len(event["account_id"]), event["account_id"][:5]),
        "payment": identity.get("payment_fingerprint", "")[:3],
        "device": identity.get("device_fingerprint", "")[:4],
        "org": event.get("org_id", "")[:4],
        "key": event.get("api_key_id", "")[:4],
        **{f"has {name}": name in event for name in ("conversation_id", "latency_ms", "tools")},
        "has system": "system_hash" in prompt,
    }


def numbers(event: Event) -> dict[str, float]:
    """Numbers of one exchange, -1 for unknown; age in ms, hour of the day in UTC."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "latency_ms", "turn", "tools")
    found = {name: float(event.get(name, -1)) for name in names}
    found["age"] = event["event_time"] - event["account_created_at"]
    found["hour"] = event["event_time"] // HOUR_MS % 24
    return found


class Column:
    """Values of one category, as numbers of the distinct ones."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values, self.codes = np.unique(np.array(list(values), object), return_inverse=True)

    def only(self, chosen: np.ndarray) -> "Column":
        """Keep some units."""
        other = object.__new__(Column)
        other.values, other.codes = self.values, self.codes[chosen]
        return other

    def counts(self) -> dict[str, int]:
        """Count the units by value."""
        return dict(
            zip(self.values.tolist(), np.bincount(self.codes, minlength=len(self.values)).tolist(), strict=True)
        )

    def isin(self, wanted: Iterable[str]) -> np.ndarray:
        """Tell which units have one of some values."""
        return np.isin(self.values, list(wanted))[self.codes]


class Table:
    """Columns of units (exchanges or accounts): categories, numbers as floats, and whose each unit is."""

    def __init__(self, owners: list[str], rows: list[tuple[dict[str, Any], dict[str, float]]]) -> None:
        self.owner = np.array(owners, object)
        self.categories = {name: Column([str(row[name]) for row, _ in rows]) for name in rows[0][0]}
        self.numbers = {name: np.array([row[name] for _, row in rows]) for name in rows[0][1]}

    def __len__(self) -> int:
        """Count the units."""
        return len(self.owner)

    def without(self, names: Iterable[str]) -> "Table":
        """Leave columns out, what was made of them too: "model" takes "usual model" along, not the other way round."""
        left = tuple(names)

        def stays(column: str) -> bool:
            return not any(column == name or column.endswith(f" {name}") for name in left)

        other = object.__new__(Table)
        other.owner = self.owner
        other.categories = {k: v for k, v in self.categories.items() if stays(k)}
        other.numbers = {k: v for k, v in self.numbers.items() if stays(k)}
        return other

    def only(self, chosen: np.ndarray) -> "Table":
        """Keep some units."""
        other = object.__new__(Table)
        other.owner = self.owner[chosen]
        other.categories = {k: v.only(chosen) for k, v in self.categories.items()}
        other.numbers = {k: v[chosen] for k, v in self.numbers.items()}
        return other


def sampled(events: Iterable[Event], fewest: int = SEEN_FEWEST, most: int = SEEN_EXCHANGES) -> dict[str, list[Event]]:
    """Exchanges of each account that has enough, at most so many of them, drawn by their ids."""
    mine: dict[str, list[tuple[int, Event]]] = defaultdict(list)
    for event in events:
        heap, entry = mine[event["account_id"]], (-int(event["event_id"], 16), event)
        if len(heap) < most:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)
    return {
        account: [event for _, event in sorted(heap, key=lambda entry: -entry[0])]
        for account, heap in mine.items()
        if len(heap) >= fewest
    }


def tables(samples: dict[str, list[Event]], group: dict[str, str]) -> tuple[Table, Table]:
    """Tables of exchanges and of accounts; ``group`` names the kind or shape of each account.

    An account has its most frequent value of each category, the means of its numbers, and the share of its exchanges
    on its most frequent network, program and model.
    """
    owners, rows, account_rows = [], [], []
    for account, seen in samples.items():
        found = [(fields(event), numbers(event)) for event in seen]
        rows += found
        owners += [group[account]] * len(found)
        account_rows.append(_account(found))
    return Table(owners, rows), Table([group[account] for account in samples], account_rows)


def _account(found: list[tuple[dict[str, Any], dict[str, float]]]) -> tuple[dict[str, Any], dict[str, float]]:
    usual: dict[str, Any] = {}
    figures = {f"mean {name}": float(np.mean([row[name] for _, row in found])) for name in found[0][1]}
    for name in found[0][0]:
        counts = Counter(str(row[name]) for row, _ in found)
        usual[f"usual {name}"], most = max(counts.items(), key=lambda item: (item[1], item[0]))
        if name in ("asn", "user_agent", "model", "tls_fingerprint"):
            figures[f"share of usual {name}"] = most / len(found)
    figures["one hour"] = found[0][1]["hour"]  # a mean of hours tells how often an account was seen
    del figures["mean hour"]
    figures["mean status"] = float(np.mean([row["status"] == 200 for row, _ in found]))
    figures["mean refused"] = float(np.mean([bool(row["refused"]) for row, _ in found]))
    return usual, figures


Item = tuple[tuple[str, str], ...]  # one value, or a pair of values, each with its field


def shown(seen: Iterable[Event], size: int) -> set[Item]:
    """All ``size`` values that are shown together by one of some exchanges."""
    rows = {tuple((name, str(value)) for name, value in fields(event).items()) for event in seen}
    return {item for row in rows for item in combinations(row, size)}


def showing(samples: Iterable[list[Event]], size: int) -> Counter[Item]:
    """How many accounts show each set of ``size`` values."""
    found: Counter[Item] = Counter()
    for seen in samples:
        found.update(shown(seen, size))
    return found


Test = tuple[str, Any]


def tests(table: Table) -> list[Test]:
    """One-value tests of categories that half a percent shows, and nine cuts of each number."""
    found: list[Test] = []
    for name, column in table.categories.items():
        found += [(name, value) for value, n in column.counts().items() if n > 0.005 * len(table)]
    for name, figures in table.numbers.items():
        cuts = np.unique(np.quantile(figures, np.linspace(0.1, 0.9, 9)))
        found += [(name, float(cut)) for cut in cuts]
    return sorted(found, key=str)


def passes(table: Table, test: Test) -> np.ndarray:
    """Tell which units pass a test."""
    name, value = test
    if name in table.categories:
        return table.categories[name].isin([value])
    return np.asarray(table.numbers[name] <= value)


class Tree:
    """The best tree of depth two by Gini impurity over all first tests and all pairs of second ones, sides balanced."""

    def __init__(self, table: Table, hostile: np.ndarray) -> None:
        self.tests = tests(table)
        m = np.array([passes(table, test) for test in self.tests], np.float32)
        w_bad = np.where(hostile, 0.5 / hostile.sum(), 0).astype(np.float32)
        w_good = np.where(hostile, 0, 0.5 / (~hostile).sum()).astype(np.float32)
        bad, good = (m * w_bad) @ m.T, (m * w_good) @ m.T  # mass that passes both tests
        bad1, good1 = (m * w_bad).sum(1), (m * w_good).sum(1)

        def split(b: np.ndarray, g: np.ndarray, b_all: Any, g_all: Any) -> np.ndarray:
            return _gini(b, g) + _gini(b_all - b, g_all - g)

        inside = split(bad, good, bad1[:, None], good1[:, None])
        outside = split(bad1 - bad, good1 - good, (0.5 - bad1)[:, None], (0.5 - good1)[:, None])
        self.first = int(np.argmin(inside.min(1) + outside.min(1)))
        self.seconds = int(np.argmin(inside[self.first])), int(np.argmin(outside[self.first]))
        leaf = self._leaves(table)
        share = [w_bad[leaf == i].sum() / max((w_bad + w_good)[leaf == i].sum(), 1e-9) for i in range(4)]
        self.share = np.array(share)

    def _leaves(self, table: Table) -> np.ndarray:
        a = passes(table, self.tests[self.first])
        b, c = (passes(table, self.tests[i]) for i in self.seconds)
        return np.where(a, np.where(b, 0, 1), np.where(c, 2, 3))

    def auc(self, table: Table, hostile: np.ndarray) -> float:
        """Probability that a hostile unit of a table scores above a benign one, ties halved."""
        return auc(self.share[self._leaves(table)], hostile)

    def __repr__(self) -> str:
        """Show the three tests."""
        first, (inside, outside) = self.tests[self.first], (self.tests[i] for i in self.seconds)
        return f"{first} ? {inside} : {outside} -> {np.round(self.share, 2)}"


def _gini(bad: np.ndarray, good: np.ndarray) -> np.ndarray:
    return np.asarray(bad * good / np.maximum(bad + good, 1e-9))


def auc(scores: np.ndarray, hostile: np.ndarray) -> float:
    """Probability that a hostile unit scores above a benign one, ties halved."""
    values = np.unique(scores)
    good = np.array([(scores[~hostile] == s).mean() for s in values])
    bad = np.array([(scores[hostile] == s).mean() for s in values])
    return float((bad * (np.cumsum(good) - good / 2)).sum())
