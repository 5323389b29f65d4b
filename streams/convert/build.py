"""Lay requests out over accounts and time, and turn them into events with their truth.

Accounts are drawn from one set of tables before anything is known of what they will do, so that nothing about an
account but its traffic tells the classes apart. With ``shuffle`` the same traffic runs on the same accounts with
everything that belongs to an account (networks, clients, TLS, cards, devices, mail domain, plan, age, country) dealt
out anew.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import xxhash

from streams.convert.sets import SETS, PromptSet, Request
from streams.convert.traces import TENANTS, USERS, Steady, Tenants, answer_lengths, users, workflow
from streams.errors import InputError
from streams.simulator import encode
from streams.simulator.accounts import API, CHAT, CODE, Accounts, draft, freeze
from streams.simulator.exchanges import EXCHANGE, complete
from streams.simulator.generate import Event
from streams.simulator.plan import START_MS
from streams.simulator.truth import CampaignTruth, KindTruth, Truth

DAY_MS = 86_400_000
SPAN_DAYS = 23.0  # of the trace of users
CHARS_PER_TOKEN = 4.0
STYLES = ((CHAT, 0.45), (CODE, 0.2), (API, 0.35))  # of every account, whatever it does
STRAY_REQUESTS = 5  # mean requests of a person without a trace of users: its mean
SLICE_EVENTS = 2_000


class Plan(msgspec.Struct, frozen=True):
    """What to build: ``accounts`` each campaign runs on, at most ``exchanges`` of it, ``per_day`` on each account."""

    seed: int = 1
    start_ms: int = START_MS
    exchanges: int = 2_000
    accounts: int = 40
    per_day: float = 26.0  # 28.8 million exchanges, 25,000 accounts, 45 days: the largest campaign made public
    people: int = 10_000  # at most; there are as many as there are prompts for
    sets: tuple[str, ...] = ()  # names; empty: all that are there
    shuffle: int | None = None


class Owner(msgspec.Struct):
    """Some accounts and what they send: parallel lists of time (ms since the start), account, request, turn, run."""

    name: str
    role: str
    accounts: int = 0
    times: list[int] = msgspec.field(default_factory=list)
    who: list[int] = msgspec.field(default_factory=list)
    requests: list[Request] = msgspec.field(default_factory=list)
    turns: list[int] = msgspec.field(default_factory=list)
    inputs: list[int] = msgspec.field(default_factory=list)  # characters sent in all

    def add(self, time: int, who: int, request: Request, turn: int = 1, input_chars: int = 0) -> None:
        """Lay one request."""
        self.times.append(int(time))
        self.who.append(who)
        self.requests.append(request)
        self.turns.append(turn)
        self.inputs.append(input_chars or len(request.text))


class Conversion:
    """Read the sets of a folder and lay them out: iterate for the events in order of time; `truth` tells what they are.

    ``notes`` says what was left out and why. Raises `InputError` if a named set is unknown or missing, if a file cannot
    be read, or if nothing at all is found.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan, self.notes = folder, plan, list[str]()
        chosen = self._choose()
        rhythm = self._rng("rhythm")
        self._flows = Tenants(folder) if (folder / TENANTS).is_file() else Steady()
        if isinstance(self._flows, Steady):
            self.notes.append(f"{TENANTS} is missing: campaigns and businesses come at random times")
        self.owners: list[Owner] = []
        by_role: dict[str, list[PromptSet]] = {}
        for chosen_set in chosen:
            by_role.setdefault(chosen_set.role, []).append(chosen_set)
        for chosen_set in by_role.get("campaign", []):
            self.owners.append(self._campaign(chosen_set))
        self.owners += self._people(by_role.get("people", []))
        for chosen_set in by_role.get("business", []):
            self.owners.append(self._business(chosen_set))
        for chosen_set in by_role.get("workflow", []):
            self.owners.append(self._workflow(chosen_set, rhythm))
        self.accounts = self._accounts(sum(owner.accounts for owner in self.owners))
        self._rows = self._lay_out()
        self.truth = self._truth()

    def __len__(self) -> int:
        return len(self._rows)

    def _rng(self, *path: object) -> np.random.Generator:
        digest = xxhash.xxh3_128_intdigest("/".join(map(str, ("convert", self.plan.seed, *path))).encode())
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence(digest)))

    def _choose(self) -> list[PromptSet]:
        known = {one.name: one for one in SETS}
        for name in self.plan.sets:
            if name not in known:
                raise InputError(f"there is no set {name!r}; known are {', '.join(known)}")
            if missing := known[name].missing(self.folder):
                raise InputError(f"set {name} needs {self.folder / missing[0]}, which is not there")
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {self.folder}")
        found = []
        for one in SETS:
            if self.plan.sets and one.name not in self.plan.sets:
                continue
            if missing := one.missing(self.folder):
                self.notes.append(f"set {one.name} left out: {missing[0]} is missing")
            else:
                found.append(one)
        if not found:
            raise InputError(f"{self.folder} holds none of the sets; `stillwatch convert --list` names their files")
        return found

    def _campaign(self, source: PromptSet) -> Owner:
        """Deal a set's prompts out over accounts at random, as a router does, with the rhythm of a real tenant."""
        rng = self._rng("campaign", source.name)
        requests = list(source.read(self.folder))
        if len(requests) > self.plan.exchanges:
            requests = [requests[i] for i in rng.permutation(len(requests))[: self.plan.exchanges].tolist()]
        accounts = max(1, min(self.plan.accounts, len(requests)))
        length = len(requests) / (accounts * self.plan.per_day) * DAY_MS
        start = int(rng.random() * max(SPAN_DAYS * DAY_MS - length, 0))
        times = (
            self._flows.flow(rng, len(requests), self.plan.start_ms + start, max(int(length), 1)) - self.plan.start_ms
        )
        owner = Owner(source.name, "campaign", accounts)
        for time, who, request in zip(
            times.tolist(), rng.integers(accounts, size=len(requests)).tolist(), requests, strict=True
        ):
            owner.add(time, who, request)
        return owner

    def _people(self, sources: list[PromptSet]) -> list[Owner]:
        """Give each real user the prompts of one set, at the times of its own requests, until the prompts run out."""
        rng = self._rng("people")
        left = []
        for source in sources:
            requests = list(source.read(self.folder))
            left.append([requests[i] for i in rng.permutation(len(requests)).tolist()])
        owners = [Owner(source.name, "people") for source in sources]
        supply = sum(map(len, left))
        if not supply:
            return []
        if (self.folder / USERS).is_file():
            visits = users(self.folder)
            visits = [visits[i] for i in rng.permutation(len(visits)).tolist()]
        else:
            self.notes.append(f"{USERS} is missing: people send {STRAY_REQUESTS} requests on average, at random times")
            counts = rng.geometric(1 / STRAY_REQUESTS, self.plan.people).tolist()
            visits = [np.sort(rng.integers(int(SPAN_DAYS * DAY_MS), size=count)) for count in counts]
        for times in visits[: self.plan.people]:
            if len(times) > supply:
                break
            place = int(rng.choice(len(left), p=[len(one) / supply for one in left]))
            owner = owners[place]
            for time in times.tolist():
                if not left[place]:
                    place = max(range(len(left)), key=lambda i: len(left[i]))
                owner.add(time, owner.accounts, left[place].pop())
            owner.accounts += 1
            supply -= len(times)
        return [owner for owner in owners if owner.accounts]

    def _business(self, source: PromptSet) -> Owner:
        """Send a whole set from one account, with the rhythm of a real tenant."""
        rng = self._rng("business", source.name)
        requests = list(source.read(self.folder))
        times = self._flows.flow(rng, len(requests), self.plan.start_ms, int(SPAN_DAYS * DAY_MS)) - self.plan.start_ms
        owner = Owner(source.name, "business", 1)
        for time, request in zip(times.tolist(), requests, strict=True):
            owner.add(time, 0, request)
        return owner

    def _workflow(self, source: PromptSet, rng: np.random.Generator) -> Owner:
        """Give each run of a program an account of its own and its true times: users of one public tool."""
        start = int(rng.random() * (SPAN_DAYS - 1) * DAY_MS)
        owner = Owner(source.name, "workflow")
        for run in workflow(self.folder, source.files[0]):
            for turn, step in enumerate(run, 1):
                owner.add(start + step.offset_ms, owner.accounts, step.request, turn, step.input_chars)
            owner.accounts += 1
        return owner

    def _accounts(self, n: int) -> Accounts:
        """Draw all accounts alike, then deal what belongs to an account out anew if that is asked for."""
        rng = self._rng("accounts")
        styles = rng.choice([style for style, _ in STYLES], n, p=[share for _, share in STYLES])
        accounts = freeze(rng, [draft(rng, int(style)) for style in styles.tolist()])
        if self.plan.shuffle is not None:
            order = np.random.Generator(np.random.SFC64(self.plan.shuffle)).permutation(n).tolist()
            accounts.drafts = [accounts.drafts[i] for i in order]
            accounts.clients = [accounts.clients[i] for i in order]
        ids = [f"acct_{xxhash.xxh3_64_hexdigest(f'convert/{self.plan.seed}/{i}'.encode())}" for i in range(n)]
        accounts.name(ids, self.plan.start_ms)
        return accounts

    def _lay_out(self) -> np.ndarray:
        """All exchanges as columns, in order of time; ``session`` numbers conversations."""
        first, parts = 0, []
        for number, owner in enumerate(self.owners):
            part = np.zeros(len(owner.times), LAID)
            part["time"], part["turn"], part["input"] = owner.times, owner.turns, owner.inputs
            part["account"] = np.array(owner.who, np.int64) + first
            part["owner"], part["answer"] = number, [request.answer_chars for request in owner.requests]
            for i, request in enumerate(owner.requests):
                part["text"][i], part["system"][i] = request.text, request.system
            parts.append(part)
            first += owner.accounts
        laid = np.concatenate(parts)
        laid = laid[np.lexsort((laid["turn"], laid["time"], laid["account"]))]
        rows = np.zeros(len(laid), EXCHANGE)
        for name in ("account", "turn", "text", "system"):
            rows[name] = laid[name]
        rows["time"] = laid["time"] + self.plan.start_ms
        # one client for what an account sends within a day; conversations are single requests but for workflows
        day = laid["time"] // DAY_MS
        fresh = (np.diff(laid["account"], prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0)
        rows["session"] = np.cumsum(fresh) - 1
        rng = self._rng("exchanges")
        complete(rng, self.accounts, rows)
        self._sizes(rng, rows, laid)
        rows["session"] = np.cumsum(laid["turn"] == 1)
        self._owner = laid["owner"]
        order = np.lexsort((rows["turn"], rows["account"], rows["time"]))
        self._owner = self._owner[order]
        return np.asarray(rows[order])

    def _sizes(self, rng: np.random.Generator, rows: np.ndarray, laid: np.ndarray) -> None:
        """Lengths that are known; answers of unknown length are as long as those of a real chat service."""
        answered = (rows["status"] == 200) & ~rows["refused"]
        lengths = np.array(answer_lengths(self.folder) or [1])
        if len(lengths) > 1:
            drawn = lengths[rng.integers(len(lengths), size=len(rows))]
        else:
            self.notes.append("the trace of answer lengths is missing: those of the packaged sample are used")
            drawn = rows["output"]
        known = laid["answer"] > 0
        rows["output"] = np.where(answered, np.where(known, laid["answer"] / CHARS_PER_TOKEN, drawn), rows["output"])
        rows["output"] = np.where(answered, np.maximum(rows["output"], 1), rows["output"])
        rows["input"] = np.maximum(laid["input"] / CHARS_PER_TOKEN, 1)
        rows["cache"] = np.minimum(rows["cache"], rows["input"] // 128 * 128)

    def _truth(self) -> Truth:
        ids, first = self.accounts.ids, 0
        rows, owned = self._rows, self._owner
        end = int(rows["time"].max()) if len(rows) else self.plan.start_ms
        truth = Truth(self.plan.seed, self.plan.start_ms, end, [], [], events=len(rows))
        for number, owner in enumerate(self.owners):
            mine = ids[first : first + owner.accounts]
            first += owner.accounts
            if owner.role != "campaign":
                truth.benign.append(KindTruth(owner.name, owner.role != "people", mine, len(owner.times)))
                truth.benign_exchanges += len(owner.times)
                continue
            sent = rows[owned == number]
            answered = sent[(sent["status"] == 200) & ~sent["refused"]]
            found = CampaignTruth(
                id=f"{number + 1}-{owner.name}",
                shape=owner.name,
                category="distillation",
                parameters={"accounts": owner.accounts, "exchanges": len(sent), "per_day": self.plan.per_day},
                start_ms=int(sent["time"].min()),
                end_ms=int(sent["time"].max()),
                accounts=mine,
                pools=[],
                exchanges=len(sent),
                answered_ms=np.sort(answered["time"]).tolist(),
            )
            for account, count in zip(
                *(column.tolist() for column in np.unique(sent["account"], return_counts=True)), strict=True
            ):
                found.per_account[ids[account]] = count
                found.times_ms[ids[account]] = np.sort(sent["time"][sent["account"] == account]).tolist()
            truth.campaigns.append(found)
        return truth

    def __iter__(self) -> Iterator[Event]:
        """Yield the events in order of time; equal plans and folders give equal bytes."""
        accounts = self.accounts
        salted = [f"convert/{self.plan.seed}/{account_id}".encode() for account_id in accounts.ids]
        details = [
            encode.account_members(tools, stream)
            for tools, stream in zip(accounts.tools.tolist(), accounts.stream.tolist(), strict=True)
        ]
        conversations = [bool(known) for known in accounts.conversations.tolist()]
        serials = [0] * len(salted)
        for start in range(0, len(self._rows), SLICE_EVENTS):
            rows = self._rows[start : start + SLICE_EVENTS]
            values = encode.encode(
                rows, salted, accounts.fragments, details, conversations, serials, encode.text_prompt
            )
            for time, who, value in zip(rows["time"].tolist(), rows["account"].tolist(), values, strict=True):
                yield Event(time, accounts.ids[who], value)


LAID = np.dtype(
    [
        ("time", "i8"), ("account", "i8"), ("owner", "i4"), ("turn", "i4"), ("input", "i8"), ("answer", "i8"),
        ("text", "O"), ("system", "O"),
    ]
)  # fmt: skip
