"""Stage 3: the graph of accounts and what they share, candidate groups, evidence, cases. One partition, in ticks."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from streams import __version__
from streams.campaigns import proxies, relays, watches
from streams.campaigns.cases import CLOSE_MARGIN, Case, Cases, threshold
from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.evidence import MEMBERS_MIN, named, total, weigh
from streams.campaigns.families import PHRASES, Families, Family, Member
from streams.campaigns.group import Group
from streams.campaigns.reference import WINDOWS_PER_HOUR, Reference
from streams.campaigns.shared import SharedTokens
from streams.campaigns.snapshot import Snapshot
from streams.campaigns.table import AccountTable
from streams.campaigns.watches import TRIGGER, TRIGGER_WITH, Watch
from streams.config import Settings
from streams.contracts.alert import Category, Evidence
from streams.contracts.packets import LINK, NEAR_LOW, NO_TIME, SIGNAL, TEMPLATE, Signals, decode_evidence
from streams.operator import Batch, Checkpoint, Record
from streams.settings import settings_digest
from streams.ticks import TickBuffer

INTRODUCTION = np.dtype([("offset", "<i8"), ("time", "<i8"), ("introduction", "O")])
LOOK_GROWTH = 1.1  # a group is weighed again when it has grown by a tenth ...
LOOK_AGAIN_MS = 60_000  # ... or when it has new traffic after a minute
MARK_MS = 120_000  # reselling pools are looked for every two minutes, which costs one pass over the table
POOLS_MS = 600_000  # pools behind proxies are looked for, and quiet cases closed, every ten minutes
IDLE_MARKS_MS = 45 * 86_400_000  # beyond the life of anything held
HOUR_MS = 3_600_000
WARM_SHARE = 0.4  # of the threshold: from here on a group has River models
CLEAN_MS = 6 * HOUR_MS  # an account enters the reference after so long without suspicion
GROUP_CLEAN_MS = 24 * HOUR_MS
EVIDENCE_BUCKETS = (-5, 0, 2, 4, 6, 8, 10, 12, 15, 20)

Columns = tuple[Any, Any, Any]


class CampaignsOperator:
    """All campaigns. Sources are the request partitions (signals), then the sightings partitions (links)."""

    stage = "campaigns"

    def __init__(self, settings: Settings, partition: int = 0) -> None:
        self.partition = partition
        self.counters: dict[tuple[str, ...], int] = {}
        self.settings = settings
        self._requests = settings.kafka.request_partitions
        self.ticks = TickBuffer(self._requests + settings.kafka.sighting_partitions, settings.time.tick_ms)
        self.table = AccountTable()
        self.shared = SharedTokens(settings.time.tick_ms)
        self.families = Families(self.shared)
        self.reference = Reference()
        self.models: dict[int, ClusterModels] = {}  # by family
        self.watches: dict[int, Watch] = {}  # by account row
        self.cases = Cases(self.table, {"version": __version__, "configuration": settings_digest(settings)})
        self.case_of: dict[int, str] = {}  # family -> its case
        self.pool_cases: dict[int, str] = {}  # founding token of a pool -> its case
        self.active = NO_TIME  # end of the last tick that held anything
        self.marked = NO_TIME  # last ten-minute mark that was acted on
        self.groups_seen: list[int] = []  # event times at which candidate groups were first weighed, last day
        self.evidence_of: dict[int, float] = {}  # family -> evidence when last weighed
        self._snapshot = Snapshot(self)

    @property
    def finished(self) -> bool:
        """All sources have ended and everything is acted on."""
        return self.ticks.ended and self.ticks.due() is None

    def count(self, *key: str, n: int = 1) -> None:
        """Add to a counter."""
        self.counters[key] = self.counters.get(key, 0) + n

    @property
    def limit(self) -> float:
        """Evidence at which a case opens now, in nats."""
        return threshold(len(self.groups_seen), self.settings.campaigns.false_cases_per_day)

    def on_batch(self, batch: Batch) -> list[Record]:
        """Take in packets of signals and links; act on every tick that is complete."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                packet, items = decode_evidence(value or b"")
                signals = isinstance(packet, Signals)
                source = packet.source if signals else self._requests + packet.source
                first, last = (0, self._requests) if signals else (self._requests, len(self.ticks.sources))
                if not first <= source < last:
                    raise ValueError(f"source partition {packet.source} is not configured")
            except ValueError:
                self.count("dead_letters", "broken_packet")
                self.ticks.next_offset = offset + 1
                continue
            if isinstance(packet, Signals):
                who = np.empty(len(packet.introductions), INTRODUCTION)
                for i, introduction in enumerate(packet.introductions):
                    who[i] = (introduction.offset, introduction.time, introduction)
                columns = [items, np.empty(0, LINK), who]
            else:
                columns = [np.empty(0, SIGNAL), items, np.empty(0, INTRODUCTION)]
            self.ticks.add(offset, source, packet.watermark, packet.last_time, packet.status, columns)
        self.counters["repeated_items",] = self.ticks.repeated
        self.counters["watermark_forced",] = self.ticks.forced
        until = self.ticks.due()
        if until is None:
            return []
        return self._act(until, self.ticks.take(until))

    def on_idle(self) -> list[Record]:
        """Stages below the first never time out."""
        return []

    def on_end(self) -> list[Record]:
        """The end of input comes with the packets."""
        return []

    def _act(self, until: int, taken: list[Any]) -> list[Record]:
        out: list[Record] = []
        if taken:
            signals, links, who = taken
            signals = signals[np.lexsort((signals["count"], signals["account"], signals["time"]))]
            links = links[np.lexsort((links["offset"], links["account"], links["token"], links["time"]))]
            accounts = np.array([w.account for w in who["introduction"]], np.uint64)
            who = who[np.lexsort((who["offset"], accounts, who["time"]))]
            tick_ms = self.settings.time.tick_ms
            ends = [-(-column["time"] // tick_ms) * tick_ms for column in (signals, links, who)]
            for end in np.unique(np.concatenate(ends)).tolist():
                out += self._marks(end - 1)
                s, k, w = (
                    column[np.searchsorted(e, end, "left") : np.searchsorted(e, end, "right")]
                    for column, e in zip((signals, links, who), ends, strict=True)
                )
                out += self._tick(end, s, k, w)
                self.active = end
        return out + self._marks(until)

    def _marks(self, until: int) -> list[Record]:
        """Act on every mark of event time up to ``until`` that is still to come.

        A mark comes after all ticks up to it and before those beyond, however batches are cut.
        """
        if self.marked == NO_TIME:
            self.marked = until // MARK_MS * MARK_MS
        out: list[Record] = []
        for mark in range(self.marked + MARK_MS, until + 1, MARK_MS):
            # long after the last exchange everything has expired: a clock that jumps by years must not stall
            if mark <= self.active + IDLE_MARKS_MS:
                out += self._relays(mark)
                if mark % POOLS_MS == 0:
                    out += self._proxies(mark)
                    out += self._close_quiet(mark)
                if mark % HOUR_MS == 0:
                    out += self._hourly(mark)
            else:
                break
        self.marked = max(self.marked, until // MARK_MS * MARK_MS)
        return out

    def _tick(self, now: int, signals: Any, links: Any, who: Any) -> list[Record]:
        self.count("ticks")
        if who.size:
            self.table.introduce(who["introduction"].tolist())
        touched: dict[int, None] = {}
        if links.size:
            rows = self.table.insert(np.ascontiguousarray(links["account"]))
            arrivals: dict[int, int] = {}
            for link, row in zip(links.tolist(), rows.tolist(), strict=True):
                shared = self.shared.link(link, row)
                if shared.kind >= TEMPLATE and shared.kind < NEAR_LOW:
                    touched[shared.token] = None
                    if shared.family:
                        self.families.look(shared, row)
                        arrivals[shared.family] = arrivals.get(shared.family, 0) + 1
            for family, n in arrivals.items():
                if family in self.models:
                    self.models[family].add(now, 0, 0, n)
            self.count("links", n=links.size)
        if signals.size:
            rows = self.table.insert(np.ascontiguousarray(signals["account"]))
            self.table.absorb(rows, signals)
            used = self.shared.absorb(rows, signals)
            touched.update(dict.fromkeys(used))
            for token, (_, _, users) in used.items():
                shared = self.shared.tokens[token]
                if shared.family and shared.kind in PHRASES:
                    for user in users:
                        self.families.look(shared, user)
            self._flow(now, used)
            self.count("signals", n=signals.size)
            self.count("events", "accepted", n=signals.size)
        out = self._watch(now, signals, rows) if signals.size else []
        families: dict[int, None] = {}
        for token in touched:
            if (shared_ := self.shared.tokens.get(token)) is not None:
                looked = self.families.look(shared_)
                if looked is not None:
                    families[looked.founder] = None
        out += self._merge(now)
        for founder in sorted(families):
            if (found := self.families.families.get(founder)) is not None:
                out += self._look(found, now)
        return out

    def _flow(self, now: int, used: dict[int, list[Any]]) -> None:
        """Feed the models of groups: exchanges of the kind of token that shows most."""
        flows: dict[tuple[int, int], list[int]] = {}
        for token, (exchanges, purposeful, _) in used.items():
            shared = self.shared.tokens[token]
            if shared.family in self.models:
                flow = flows.setdefault((shared.family, shared.kind), [0, 0])
                flow[0] += exchanges
                flow[1] += purposeful
        most: dict[int, list[int]] = {}
        for (family, _), flow in flows.items():
            most[family] = max(most.get(family, [0, 0]), flow)
        for family, (exchanges, purposeful) in most.items():
            self.models[family].add(now, exchanges, purposeful, 0)

    def _look(self, family: Family, now: int) -> list[Record]:
        """Weigh a family again if it has grown enough, and act on its evidence."""
        tokens = [shared for token in family.tokens if (shared := self.shared.tokens.get(token)) is not None]
        exchanges = sum(shared.exchanges for shared in tokens)
        size = max((len(shared.members) for shared in tokens), default=0)
        grown = (
            exchanges >= family.looked_exchanges * LOOK_GROWTH
            or size >= family.looked_members * LOOK_GROWTH + 1
            or now - family.looked_at >= LOOK_AGAIN_MS
        )
        if size < 2 or not grown:
            return []
        return self.weigh(family, now)

    def weigh(self, family: Family, now: int) -> list[Record]:
        """Compute a family's evidence and open, update or close its case."""
        tokens = [shared for token in family.tokens if (shared := self.shared.tokens.get(token)) is not None]
        members = self.families.members(family)
        family.looked_exchanges = sum(shared.exchanges for shared in tokens)
        family.looked_members = max((len(shared.members) for shared in tokens), default=0)
        first_time, family.looked_at = family.looked_at == 0, now
        self.families.dirty[family.founder] = None
        case = self.cases.cases.get(self.case_of.get(family.founder, ""))
        if len(members) < MEMBERS_MIN:
            return self._close(case, now, []) if case is not None and case.live else []
        if first_time:
            self.groups_seen.append(now)
        group = Group(self.table, self.shared, members, tokens, now)
        core = named(group)
        part = group.take(core) if int(core.sum()) >= MEMBERS_MIN else group
        items = weigh(part, self.reference, self.models.get(family.founder), now)
        evidence_total = total(items)
        limit = self.limit
        self.evidence_of[family.founder] = evidence_total
        bucket = next((str(b) for b in EVIDENCE_BUCKETS if evidence_total <= b), "+Inf")
        self.count("evidence_bucket", bucket)
        if evidence_total >= WARM_SHARE * limit and family.founder not in self.models:
            self.models[family.founder] = ClusterModels()
        if case is None or case.status == "merged":
            if evidence_total < limit or int(core.sum()) < MEMBERS_MIN:
                return []
            return self._open(family, part, items, limit, now)
        return self._update(case, part, items, limit, now)

    def _category(self, group: Group) -> Category:
        exchanges = sum(token.exchanges for token in group.tokens)
        refused = sum(token.refused for token in group.tokens)
        if exchanges >= 20 and refused >= 0.5 * exchanges:
            return "technique_search"
        asked = sum(token.elicit + token.grading for token in group.tokens)
        known = sum(max(token.elicit_known, token.grading_known) for token in group.tokens)
        work = int(np.count_nonzero(group.fresh >= 3))
        return "distillation" if asked >= 0.3 * known or work >= 2 else "anomaly"

    def _open(self, family: Family, group: Group, items: list[Evidence], limit: float, now: int) -> list[Record]:
        rows = group.at.tolist()
        category = self._category(group)
        case = self.cases.open("cluster", category, family.founder, rows, family.founder, int(group.last.max()), now)
        self.case_of[family.founder] = case.alert_id
        out = self._revise(case, "open", group, items, limit, now)
        for row in rows:
            out += self._join_account_cases(row, case, now)
        return out

    def _update(self, case: Case, group: Group, items: list[Evidence], limit: float, now: int) -> list[Record]:
        rows = group.at.tolist()
        weak = total(items) < limit - CLOSE_MARGIN
        if not case.live:
            fresh = int(group.last.max()) > case.revised_at
            return self._revise(case, "updated", group, items, limit, now) if fresh and total(items) >= limit else []
        if weak:
            return self._close(case, now, items)
        category = self._category(group)
        changed = category != case.category or set(rows) != set(case.members)
        if not changed or not self.cases.due(case, now):
            return []
        case.category = category
        joined = [row for row in rows if row not in case.members]
        out = self._revise(case, "updated", group, items, limit, now)
        for row in joined:
            out += self._join_account_cases(row, case, now)
        return out

    def _revise(
        self, case: Case, status: Any, group: Group, items: list[Evidence], limit: float, now: int
    ) -> list[Record]:
        rows = group.at.tolist()
        return self.cases.revise(case, status, rows, items, limit, now, group.pools, int(group.last.max()))

    def _close(self, case: Case | None, now: int, items: list[Evidence]) -> list[Record]:
        if case is None or not case.live:
            return []
        return self.cases.revise(case, "closed", list(case.members), items, self.limit, now)

    def _join_account_cases(self, row: int, case: Case, now: int) -> list[Record]:
        """An account's own case of the same category ends in the cluster's."""
        out: list[Record] = []
        for own in self.cases.live():
            if own.kind == "account" and own.founder == row and own.category == case.category != "stolen_credential":
                own.merged_into = case.alert_id
                out += self.cases.revise(own, "merged", list(own.members), [], self.limit, now)
        return out

    def _merge(self, now: int) -> list[Record]:
        """Cases of families that became one: the older survives and takes the other's members."""
        out: list[Record] = []
        for survivor, absorbed in self.families.merged:
            models = self.models.pop(absorbed, None)
            if models is not None and survivor not in self.models:
                self.models[survivor] = models
            self.evidence_of.pop(absorbed, None)
            gone = self.cases.cases.get(self.case_of.pop(absorbed, ""))
            if gone is None:
                continue
            into = self.cases.cases.get(self.case_of.get(survivor, ""))
            if into is None or not into.live:
                # the family goes on under the older token, the case under its own id
                self.case_of[survivor] = gone.alert_id
                gone.founder = survivor
                self.cases.dirty[gone.alert_id] = None
            elif gone.live:
                if gone.opened_at < into.opened_at:
                    gone, into = into, gone
                    self.case_of[survivor] = into.alert_id
                    into.founder = survivor
                family = self.families.families[survivor]
                members = self.families.members(family)
                tokens = [self.shared.tokens[token] for token in family.tokens if token in self.shared.tokens]
                for row in {**into.members, **gone.members}:
                    members.setdefault(row, _passive(self.table.rows[row]))
                group = Group(self.table, self.shared, members, tokens, now)
                keep = np.isin(group.at, list({**into.members, **gone.members}))
                group = group.take(keep)
                items = weigh(group, self.reference, self.models.get(survivor), now)
                out += self._revise(into, "updated", group, items, self.limit, now)
                gone.merged_into = into.alert_id
                out += self.cases.revise(gone, "merged", list(gone.members), [], self.limit, now)
        self.families.merged.clear()
        return out

    def _watch(self, now: int, signals: Any, rows: Any) -> list[Record]:
        """Follow established accounts that show something new: stolen credentials."""
        bins = signals["bins"]
        found = np.flatnonzero(((bins & TRIGGER) != 0) & ((bins & TRIGGER_WITH) != 0)).tolist()
        if self.watches:
            found = sorted({*found, *(i for i, row in enumerate(rows.tolist()) if row in self.watches)})
        out: list[Record] = []
        for i in found:
            row, bits = int(rows[i]), int(bins[i])
            watch = self.watches.get(row)
            if watch is None:
                watch = self.watches[row] = watches.watch(row, self.table.rows[row], now)
            watch.add(int(signals["time"][i]), bits, self.table.rows[row])
            self._snapshot.dirty_watches[row] = None
            items = watch.weigh()
            limit = self.limit
            if total(items) < limit:
                continue
            out += self._account_case(row, "stolen_credential", items, limit, now)
        return out

    def _account_case(
        self, row: int, category: Category, items: list[Evidence], limit: float, now: int
    ) -> list[Record]:
        for case in self.cases.cases.values():
            if case.kind == "account" and case.founder == row and case.category == category and case.status != "merged":
                last = int(self.table.rows[row]["last"])
                if case.live and not self.cases.due(case, now):
                    return []
                if case.live and total(items) <= case.evidence_total + 1.0 and case.last_seen >= last - HOUR_MS:
                    return []
                return self._revise_account(case, "updated", row, items, limit, now)
            if case.kind == "cluster" and case.live and case.category == category and row in case.members:
                return []
        case = self.cases.open("account", category, row, [row], None, int(self.table.rows[row]["last"]), now)
        return self._revise_account(case, "open", row, items, limit, now)

    def _revise_account(
        self, case: Case, status: Any, row: int, items: list[Evidence], limit: float, now: int
    ) -> list[Record]:
        last = int(self.table.rows[row]["last"])
        return self.cases.revise(case, status, [row], items, limit, now, None, last)

    def _relays(self, now: int) -> list[Record]:
        out: list[Record] = []
        for founder, group in relays.pools(self.table, self.shared, now):
            out += self._pool("reseller", founder, group, relays.weigh(group, now), now)
        return out

    def _proxies(self, now: int) -> list[Record]:
        out: list[Record] = []
        for case in [self.cases.cases[alert_id] for alert_id in self.pool_cases.values()]:
            if case.live and case.category == "distillation":
                out += self._into_family(case, now)
        covered = {
            row
            for case in self.cases.live()
            if case.category == "distillation" and case.alert_id not in self.pool_cases.values()
            for row in case.members
        }
        for founder, group in proxies.pools(self.table, self.shared, self.families, covered, now):
            out += self._pool("distillation", founder, group, weigh(group, self.reference, None, now), now)
        return out

    def _into_family(self, pool: Case, now: int) -> list[Record]:
        """End a pool's case in that of the campaign which names most of its accounts."""
        for case in self.cases.live():
            if case.kind != "cluster" or case.category != pool.category or case.alert_id not in self.case_of.values():
                continue
            if 2 * len(case.members.keys() & pool.members.keys()) >= len(pool.members):
                pool.merged_into = case.alert_id
                return self.cases.revise(pool, "merged", list(pool.members), [], self.limit, now)
        return []

    def _pool(self, category: Category, founder: int, group: Group, items: list[Evidence], now: int) -> list[Record]:
        limit = self.limit
        rows = set(group.at.tolist())
        # the same pool as before: the case that has most of these accounts
        known = [each for alert_id in self.pool_cases.values() if (each := self.cases.cases[alert_id]).live]
        known.sort(key=lambda c: (-len(rows & set(c.members)), c.opened_at, c.alert_id))
        case = next(
            (
                c
                for c in known
                if c.category == category and 2 * len(rows & set(c.members)) >= min(len(rows), len(c.members))
            ),
            None,
        )
        if case is not None:
            if total(items) < limit - CLOSE_MARGIN:
                return self._close(case, now, items)
            if rows != set(case.members) and self.cases.due(case, now):
                return self._revise(case, "updated", group, items, limit, now)
            return []
        if total(items) < limit:
            return []
        case = self.cases.open("cluster", category, founder, sorted(rows), founder, int(group.last.max()), now)
        self.pool_cases[founder] = case.alert_id
        out = self._revise(case, "open", group, items, limit, now)
        for row in sorted(rows):
            out += self._join_account_cases(row, case, now)
        return out

    def _close_quiet(self, now: int) -> list[Record]:
        """Close cases whose traffic has ended."""
        out: list[Record] = []
        quiet = now - self.settings.campaigns.close_after_ms
        for case in self.cases.live():
            last = case.last_seen
            if case.kind == "account" or case.alert_id in self.pool_cases.values():
                last = int(self.table.rows["last"][list(case.members)].max())
            elif (family := self.families.families.get(case.founder)) is not None:
                last = max((t.last for k in family.tokens if (t := self.shared.tokens.get(k))), default=last)
            if last < quiet:
                case.last_seen = max(case.last_seen, last)
                out += self._close(case, now, [])
        return out

    def _hourly(self, now: int) -> list[Record]:
        out: list[Record] = []
        limits = self.settings.accounts
        self.groups_seen = [time for time in self.groups_seen if time > now - 24 * HOUR_MS]
        for row in [row for row, watch in self.watches.items() if now - watch.start > watches.WATCH_MS]:
            del self.watches[row]
            self._snapshot.dirty_watches[row] = None
        changed = self.shared.expire(
            now - limits.infrastructure_ttl_ms, now - limits.content_ttl_ms, now - limits.near_prompt_ttl_ms
        )
        if changed:
            self.families.forget(changed)
        for case in self.cases.live():
            if case.kind == "cluster" and case.alert_id not in self.pool_cases.values():
                family = self.families.families.get(case.founder)
                if family is not None:
                    out += self.weigh(family, now)
        limit = self.limit
        for row in watches.scrapers(self.table, now).tolist():
            items = watches.weigh_scraper(self.table.rows[row], self.reference, now)
            if total(items) >= limit:
                out += self._account_case(row, "distillation", items, limit, now)
        self._learn(now)
        return out

    def _learn(self, now: int) -> None:
        """Let clean accounts and clean groups into the reference."""
        rows = self.table.rows[: len(self.table)]
        active = np.flatnonzero((rows["last"] > now - HOUR_MS) & (rows["first"] <= now - CLEAN_MS))
        suspicious = {
            row
            for founder, nats in self.evidence_of.items()
            if nats >= WARM_SHARE * self.limit and (family := self.families.families.get(founder)) is not None
            for token in family.tokens
            if (shared := self.shared.tokens.get(token)) is not None
            for row in shared.members
        }
        suspicious |= {row for case in self.cases.live() for row in case.members} | set(self.watches)
        step = max(1, active.size // WINDOWS_PER_HOUR)
        for row in active[::step].tolist():
            if row in suspicious:
                self.reference.skipped += 1
                self.count("model_skip", "half_space_trees")
                continue
            self.reference.learn_account(rows[row], now)
            self.count("model_learn", "half_space_trees")
        for founder, nats in self.evidence_of.items():
            family = self.families.families.get(founder)
            if family is None or nats >= WARM_SHARE * self.limit or self.case_of.get(founder):
                continue
            root = self.shared.tokens.get(founder)
            if root is not None and now - HOUR_MS < root.first + GROUP_CLEAN_MS <= now:
                self.reference.learn_group(root.elicitation >= 0.5, root.judging >= 0.5)
                self.count("model_learn", "beta")
        if self.reference.turn(now):
            self.count("reference_swaps")
        self.reference.changed = True

    def checkpoint(self, max_keys: int | None = None) -> Checkpoint | None:
        """Everything that changed since the last checkpoint, as one cut."""
        return self._snapshot.take()

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load the state and the position."""
        return self._snapshot.restore(records)

    def gauges(self) -> dict[tuple[str, ...], float]:
        """What is held, and the health of the reference."""
        for (category, severity, status), n in self.cases.counts.items():
            self.counters["alerts", category, severity, status] = n
        live = self.cases.live()
        values: dict[tuple[str, ...], float] = {
            ("held", "accounts"): len(self.table),
            ("held", "shared_tokens"): len(self.shared.tokens),
            ("held", "clusters"): len(self.families.families),
            ("held", "cases_open"): len(live),
            ("buffered_items",): len(self.ticks),
            ("state_bytes",): self.table.nbytes,
            ("threshold_nats",): self.limit,
        }
        for segment, size in self.reference.sizes().items():
            values["reference_size", segment] = size
            values["reference_age_ms", segment] = max(0, self.ticks.done - self.reference.since)
        rows = self.table.rows[: len(self.table)]
        if rows.size and self.ticks.done != NO_TIME:
            young = rows["first"] > self.ticks.done - CLEAN_MS
            values["quarantine_share",] = float(rows["exchanges"][young].sum() / max(1, rows["exchanges"].sum()))
        if self.ticks.done != NO_TIME:
            values["watermark_ms",] = self.ticks.done
        return values


def _passive(row: Any) -> Member:
    """A member that no longer shows the family's tokens."""
    return Member(int(row["first"]), int(row["last"]), 1, 0, 0)
