"""Hand-made evidence for the campaigns stage: accounts that use templates at given times, as packets."""

import msgspec
import numpy as np

from streams.accounts.features import TOPIC_CODES, put
from streams.campaigns.operator import CampaignsOperator
from streams.config import Accounts, Campaigns, Kafka, Settings
from streams.contracts.alert import AlertEvent, decode_alert
from streams.contracts.hashing import hash64
from streams.contracts.packets import (
    ENDED,
    LINK,
    PAYMENT,
    RUNNING,
    SIGNAL,
    TAIL,
    TEMPLATE,
    TICK_ITEMS_BITS,
    Introduction,
    Links,
    Signals,
    encode_packet,
)
from streams.operator import Batch, Record

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
START_MS = 1_789_000_000_000 // HOUR_MS * HOUR_MS
SETTINGS = Settings(
    kafka=Kafka(request_partitions=1, sighting_partitions=1),
    accounts=Accounts(
        ttl_ms=4 * HOUR_MS,
        infrastructure_ttl_ms=4 * HOUR_MS,
        content_ttl_ms=4 * HOUR_MS,
        near_prompt_ttl_ms=HOUR_MS,
    ),
    campaigns=Campaigns(close_after_ms=90 * MINUTE_MS),
)


def number(name: str) -> int:
    """The 64-bit id of an account or token."""
    return hash64(name.encode())


class Feed:
    """Collects exchanges; `packets` gives them to the stage as the stages before it would, a tick at a time."""

    def __init__(self) -> None:
        self._uses: list[tuple[int, str, str, int, str, int]] = []
        self._packets: list[bytes] = []
        self._known: dict[str, int] = {}  # account -> last exchange
        self._holders: dict[str, dict[str, int]] = {}  # token -> account -> last sighting
        self._counts: dict[str, int] = {}
        self._offset = 0

    def use(
        self, minute: float, accounts: list[str], template: str, asks: bool = True, tail: str = "", topic: str = "math"
    ) -> None:
        """Let each account send one exchange with new content in this template, which asks for reasoning or not.

        ``tail`` is how the prompt ends; it counts where there is no template.
        """
        at = START_MS + int(minute * MINUTE_MS)
        self._uses += [(at, account, template, 4 if asks else 1, tail, TOPIC_CODES[topic]) for account in accounts]

    def packets(self, until_minute: float | None = None) -> list[bytes]:
        """Everything so far, in ticks; ends the input unless a minute is given up to which all has come."""
        by_tick: dict[int, list[tuple[int, str, str, int, str, int]]] = {}
        for use in sorted(self._uses):
            by_tick.setdefault(-(-use[0] // 1000) * 1000, []).append(use)
        self._uses.clear()
        out = [packet for end, uses in by_tick.items() for packet in self._tick(end, uses)]
        if until_minute is None:
            last = max(by_tick, default=START_MS)
            out += [
                encode_packet(kind(0, last + 1, last, ENDED, b"", *more))
                for kind, more in ((Signals, ([],)), (Links, ()))
            ]
        else:
            end = START_MS + int(until_minute * MINUTE_MS)
            out += [
                encode_packet(kind(0, end, end, RUNNING, b"", *more)) for kind, more in ((Signals, ([],)), (Links, ()))
            ]
        return out

    def _tick(self, end: int, uses: list[tuple[int, str, str, int, str, int]]) -> list[bytes]:
        signals, introductions, links = np.zeros(len(uses), SIGNAL), [], []
        for i, (time, account, template, asks, tail, topic) in enumerate(uses):
            self._offset += 1
            who = number(account)
            if time - self._known.get(account, -(10**15)) > SETTINGS.accounts.ttl_ms:
                created = START_MS - 24 * HOUR_MS
                introductions.append(Introduction(self._offset, time, who, account, 0, "free", created, 0))
            self._known[account] = time
            count = self._counts[account] = self._counts.get(account, 0) + 1
            bins = put("elicitation", np.uint64(asks)) | put("grading", np.uint64(1)) | put("topic", np.uint64(topic))
            content = number(f"{account} {time}") if template or tail else 0
            tokens = (number(template) if template else 0, 0, 0, number(tail) if tail else 0)
            bins |= put("new_template", np.uint64(not template))
            signals[i] = (self._offset, time, who, count, 200, *tokens, content, 0, int(bins))
            for text, kind in ((template, TEMPLATE), (tail, TAIL)):
                if text:
                    links += self._show(end, time, account, text, kind)
                    links += self._show(end, time, account, f"card of {text}", PAYMENT)
        items = np.array(links, LINK)
        items["offset"] = (end // 1000 << TICK_ITEMS_BITS) + np.arange(items.size)
        return [
            encode_packet(Signals(0, end + 1, end, RUNNING, signals.tobytes(), introductions)),
            encode_packet(Links(0, end + 1, end, RUNNING, items.tobytes())),
        ]

    def _show(self, end: int, time: int, account: str, token: str, kind: int) -> list[tuple[int, ...]]:
        life = SETTINGS.accounts.content_ttl_ms
        held = self._holders.get(token, {})
        held = self._holders[token] = {a: t for a, t in held.items() if time - t <= life}
        if account in held and time - held[account] < life // 4:
            return []
        before = len(held)
        fresh = account not in held
        held[account] = time
        if before == 0 or len(held) < 2:
            return []
        shown = [*held.items()][:1] if fresh and before == 1 else []
        return [(0, end, number(token), number(a), t, t, len(held), kind, 1) for a, t in [*shown, (account, time)]]


def run(
    packets: list[bytes], sizes: tuple[int, ...] = (1,), crash: bool = False, settings: Settings = SETTINGS
) -> tuple[list[AlertEvent], CampaignsOperator]:
    """Feed packets in batches of these sizes in turn; ``crash`` restores a new operator from its state after each."""
    operator = CampaignsOperator(settings)
    state: dict[bytes, bytes] = {}
    alerts: list[Record] = []
    start = turn = 0
    while start < len(packets):
        part = packets[start : start + sizes[turn % len(sizes)]]
        alerts += operator.on_batch(Batch(0, range(start, start + len(part)), [None] * len(part), part))
        start += len(part)
        turn += 1
        if crash and (cut := operator.checkpoint()) is not None:
            for key, value in cut.snapshots:
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
            operator = CampaignsOperator(settings)
            start = operator.restore([*state.items(), (b"\x00marker", cut.marker)]) or 0
    return [decode_alert(record.value) for record in alerts], operator


def members(operator: CampaignsOperator, alert_id: str) -> tuple[str, ...]:
    """Whom the stage itself holds to be members of a case."""
    return tuple(sorted(operator.table.names[row] for row in operator.cases.cases[alert_id].members))


def told(alerts: list[AlertEvent]) -> list[bytes]:
    """Alerts as comparable bytes."""
    return [msgspec.json.encode(alert) for alert in alerts]
