"""Candidate groups: content tokens that work alike and share accounts, with the accounts that really use them.

A content token is *telling* if its exchanges ask for reasoning, grade answers, or wrap ever new content for several
accounts. Telling tokens with two accounts in common form a family (union-find, as in Tarjan 1975): the variants of one
campaign's prompts. Popular phrases are not telling, so they link nobody. A system prompt that a pool shows begins a
family as well (`streams.campaigns.pools`).
"""

from msgspec import Struct

from streams.campaigns.common import TOKENS_PER_ACCOUNT, CommonAccounts
from streams.campaigns.jobs import UNCLEAR, does_another
from streams.campaigns.shared import SharedToken, SharedTokens
from streams.campaigns.uses import SOLID_CONTENTS, Uses, most
from streams.campaigns.uses import Member as Member
from streams.contracts.packets import HEAD, NEAR_LOW, SYSTEM, TAIL, TEMPLATE

PURPOSE_SHARE = 0.5  # of a token's exchanges: half of them ask for reasoning, or grade
WORKERS = 3  # accounts that wrap new content in a template, to make it telling
WORKERS_SHARE = 0.3  # of all that show it: a short phrase is worked with by a few of its many users
COMMON_MIN = 2  # one account in common may be a bystander
# Accounts in common, of the smaller token's accounts: little for two templates with a purpose, since a campaign's
# variants meet by chance only; much where nothing but work is shared; more still for one text sent as it is, for
# phrases that open or close prompts, since both are copied by strangers, and where only one of two has a purpose and
# the other is some program's own: cover traffic copies what that wraps its content in.
COMMON_PURPOSE, COMMON_WORK, COMMON_COPIES = 0.05, 0.3, 0.5
CHANCE_ACCOUNTS = 40  # of so few a twentieth is two: whoever sends a public list meets others who do
LIST_TOKENS = 8  # of whom else such a list is: a campaign's variants begin as families of one or two
# A prompt's opening or closing words mean little alone: they must carry traffic that no template explains.
PHRASES = (HEAD, TAIL)
COPIED = (*PHRASES, SYSTEM)
PHRASE_EXCHANGES, PHRASE_WORKERS, PHRASE_WORK = 8, 5, 0.6
# Two groups of which one has half of its accounts in common with the other are one, whatever their tokens have in
# common: a campaign's prompt ends and its templates, say, which do not meet in pairs often enough.
OVERLAP = 0.5
EASE = 0.5  # tokens stay together with half of the accounts in common that brought them together


def _one_programs(shared: SharedToken) -> bool:
    """Tell whether most uses of a token are one account's: a program's own, which others copy."""
    uses = [member[2] for member in shared.members.values()]
    return 2 * max(uses, default=0) > sum(uses)


class Family(Struct, array_like=True):
    """Telling tokens that belong together, named by the one that was first shared."""

    founder: int
    tokens: list[int]
    looked_members: int = 0  # when it was last looked at
    looked_exchanges: int = 0
    looked_at: int = 0
    job: int = UNCLEAR  # what it asks for, once it was told from another job of the same accounts
    weighed_members: int = 0  # when its evidence was last computed
    weighed_exchanges: int = 0
    weighed_at: int = 0


class Families:
    """Union-find over telling content tokens."""

    def __init__(self, shared: SharedTokens) -> None:
        self._shared = shared
        self.families: dict[int, Family] = {}
        self.common = CommonAccounts()
        self.dirty: dict[int, None] = {}
        self.merged: list[tuple[int, int]] = []  # (survivor, absorbed) since the operator last looked
        self._uses: dict[int, dict[int, Uses]] = {}  # family -> by kind of token, made when asked for and kept up
        self._sizes: dict[int, list[int]] = {}  # what `size` has found, kept up until a family's tokens change
        self.broken: list[tuple[Family, list[list[int]]]] = []  # lost memberships; the tokens that still hang together

    @staticmethod
    def telling(shared: SharedToken) -> bool:
        """Tell whether a token's exchanges show a purpose, or work on ever new content."""
        if len(shared.members) < 2 or shared.kind >= NEAR_LOW:
            return False
        phrase = shared.kind in PHRASES
        if phrase and (shared.exchanges < PHRASE_EXCHANGES or shared.regulars < WORKERS):
            return False
        if shared.elicitation >= PURPOSE_SHARE or shared.judging >= PURPOSE_SHARE:
            return True
        if shared.kind == SYSTEM:  # an app's users all wrap new content in its system prompt
            return False
        if phrase:
            return shared.workers >= PHRASE_WORKERS and shared.work >= PHRASE_WORK * shared.exchanges
        return shared.workers >= max(WORKERS, WORKERS_SHARE * len(shared.members))

    def _alike(self, one: int, two: int, common: int, ease: float = 1.0) -> bool:
        """Tell whether two telling tokens with so many accounts in common belong together.

        ``ease`` is a factor on the share of accounts that they must have in common.
        """
        if common < COMMON_MIN:
            return False
        a, b = self._shared.tokens.get(one), self._shared.tokens.get(two)
        if a is None or b is None:
            return False
        sizes = (t.regulars if t.kind in PHRASES else len(t.members) for t in (a, b))
        smaller, larger = sorted(sizes)
        copied = a.kind in COPIED or b.kind in COPIED
        if copied or min(len(a.contents), len(b.contents)) < SOLID_CONTENTS:
            return common >= ease * COMMON_COPIES * larger
        plain = [token for token in (a, b) if max(token.elicitation, token.judging) < PURPOSE_SHARE]
        if len(plain) == 1 and _one_programs(plain[0]):
            return common >= ease * COMMON_COPIES * larger
        return common >= ease * (COMMON_WORK if plain else COMMON_PURPOSE) * smaller

    def look(self, shared: SharedToken, row: int | None = None) -> Family | None:
        """Take note of a change in a content token (of account ``row`` only, if given); returns its family if any."""
        if not shared.family:
            return self.begin(shared) if self.telling(shared) else None
        if row is not None:
            self._join(shared, row)
        return self.families[shared.family]

    def begin(self, shared: SharedToken) -> Family:
        """Make a family of a token that has none, or let it join those that it belongs to."""
        shared.family = shared.token
        self._sizes[shared.token] = [shared.exchanges, len(shared.members)]
        family = self.families[shared.token] = Family(shared.token, [shared.token])
        self.dirty[shared.token] = self._shared.dirty[shared.token] = None
        for member in sorted(shared.members):
            self._join(shared, member)
        return self.families.get(shared.family, family)

    def size(self, family: Family) -> tuple[int, int]:
        """Exchanges of a family's tokens, and the accounts of the one with most."""
        if (found := self._sizes.get(family.founder)) is None:
            held = [shared for token in family.tokens if (shared := self._shared.tokens.get(token)) is not None]
            found = [sum(shared.exchanges for shared in held), max((len(shared.members) for shared in held), default=0)]
            self._sizes[family.founder] = found
        return found[0], found[1]

    def note(self, shared: SharedToken, exchanges: int) -> None:
        """Keep `size` up with a token of a family: it may have a new account, and has so many more exchanges."""
        if (found := self._sizes.get(shared.family)) is not None:
            found[0] += exchanges
            if len(shared.members) > found[1]:
                found[1] = len(shared.members)

    def _join(self, shared: SharedToken, row: int) -> None:
        if shared.kind in PHRASES and ((member := shared.members.get(row)) is None or member[2] < 2):
            return  # met in passing
        token, tokens = shared.token, self._shared.tokens
        for one in self.common.add(row, token):
            other = tokens.get(one)
            if other is None or other.family == shared.family:
                continue
            common = self.common.between(one, token)
            if common >= COMMON_MIN and self._alike(one, token, common) and not self._met_by_chance(shared, other):
                self._union(shared, other)

    def _met_by_chance(self, one: SharedToken, two: SharedToken) -> bool:
        """Tell whether many of those who show the rarer of two tokens have their other prompts in common with others.

        A question of a public list is sent by a campaign's accounts and by whoever else runs that list. A campaign's
        accounts show its other prompts besides, if any; who runs the list shows dozens of its questions.
        """
        few, many = sorted((one, two), key=lambda shared: (len(shared.members), shared.token))
        if len(few.members) >= CHANCE_ACCOUNTS:
            return False
        tokens, with_them, elsewhere = self._shared.tokens, 0, 0
        for row in few.members:
            shown = self.common.telling_of.get(row, [])[-TOKENS_PER_ACCOUNT - 1 :]  # the last, and what `add` gave
            others = [tokens[t] for t in shown if t != few.token and t in tokens]
            if any(other.family == many.family for other in others):
                with_them += 1
            elif any(self._of_a_list(other) for other in others):
                elsewhere += 1
        return 2 * elsewhere >= with_them

    def _of_a_list(self, shared: SharedToken) -> bool:
        """Tell whether a token has a purpose and is one of many that the same accounts show."""
        if max(shared.elicitation, shared.judging) < PURPOSE_SHARE:
            return False
        family = self.families.get(shared.family)
        return family is not None and len(family.tokens) >= LIST_TOKENS

    def join(self, one: Family, two: Family) -> Family | None:
        """Make one family of two whose accounts are much the same; None if they are known to do different jobs."""
        a, b = self._shared.tokens.get(one.founder), self._shared.tokens.get(two.founder)
        if a is None or b is None:
            return None
        self._union(a, b)
        return self.families[a.family] if a.family == b.family else None

    def _other_job(self, one: SharedToken, two: SharedToken) -> bool:
        """Tell whether one token's family does another job than the other token, or its family, does."""
        mine, other = (self.families[shared.family].job for shared in (one, two))
        if mine and other:
            return mine != other
        return bool((mine and does_another(two, mine)) or (other and does_another(one, other)))

    def _union(self, one: SharedToken, two: SharedToken) -> None:
        tokens, a, b = self._shared.tokens, one.family, two.family
        if a == b or not a or not b or self._other_job(one, two):
            return
        survivor, absorbed = sorted((a, b), key=lambda f: (tokens[f].first, f) if f in tokens else (0, f))
        into, gone = self.families[survivor], self.families.pop(absorbed)
        size, other = self._sizes.get(survivor), self._sizes.pop(absorbed, None)
        if size is not None and other is not None:
            size[0] += other[0]
            size[1] = max(size[1], other[1])
        else:
            self._sizes.pop(survivor, None)
        self._uses.pop(absorbed, None)
        for token in gone.tokens:
            if token in tokens:
                tokens[token].family = survivor
                tokens[token].together = None
                self._shared.dirty[token] = None
        if survivor in self._uses:
            self._gather(self._uses[survivor], gone.tokens)
        into.tokens += gone.tokens
        into.tokens.sort()  # two sorted runs: no more than a merge
        into.job = into.job or gone.job
        # one that takes in a smaller one has grown by that: of a rush hundreds of its users' own phrases join it
        if gone.weighed_exchanges > into.weighed_exchanges or into.weighed_exchanges == 0:
            into.looked_members = into.looked_exchanges = into.weighed_members = into.weighed_exchanges = 0
        self.dirty[survivor] = self.dirty[absorbed] = None
        self.merged.append((survivor, absorbed))

    def members(self, family: Family) -> dict[int, Member]:
        """Account row -> its use of the family's tokens; an exchange that shows several kinds counts once."""
        if (kinds := self._uses.get(family.founder)) is None:
            kinds = self._uses[family.founder] = {}
            self._gather(kinds, family.tokens)
        return self._members(kinds)

    def members_of(self, tokens: list[SharedToken]) -> dict[int, Member]:
        """The same of tokens that are no family (yet)."""
        kinds: dict[int, Uses] = {}
        for shared in tokens:
            _gather(kinds, shared)
        return self._members(kinds)

    @staticmethod
    def _members(kinds: dict[int, Uses]) -> dict[int, Member]:
        out: dict[int, Member] = {}
        # where prompts have more in common, a system prompt alone makes nobody a member: it may be any app's
        for each in [uses for kind, uses in kinds.items() if kind != SYSTEM] or kinds.values():
            if not out:
                out.update(each.members)
                continue
            for row, found in each.members.items():
                out[row] = most(other, found) if (other := out.get(row)) is not None else found
        templates = kinds[TEMPLATE].members if TEMPLATE in kinds else {}
        if 2 * len(templates) >= len(out):  # where templates explain most, a phrase alone makes nobody a member
            return {row: member for row, member in out.items() if row in templates}
        return out

    def _gather(self, kinds: dict[int, Uses], tokens: list[int]) -> None:
        """Add tokens to the uses of a family, by kind; from now on they keep them up."""
        for token in tokens:
            if (shared := self._shared.tokens.get(token)) is not None:
                shared.together = _gather(kinds, shared)

    def divide(self, family: Family, parts: list[list[SharedToken]]) -> None:
        """Take a family apart: put it into `broken` with these parts."""
        self.families.pop(family.founder)
        self._sizes.pop(family.founder, None)
        self._uses.pop(family.founder, None)
        for part in parts:
            for shared in part:
                shared.together = None
        self.dirty[family.founder] = None
        self.broken.append((family, [sorted((t.token for t in part), key=self._age) for part in parts]))

    def forget(self, changed: list[tuple[SharedToken, list[int]]]) -> None:
        """Take back what rests on memberships that have expired: of each token that changed, those of these rows.

        Families that lost some are taken out and put into `broken` with the parts that still hang together (none, one
        or several, oldest token first); `found` puts each part back in as a family.
        """
        held = self._shared.tokens
        lost: dict[int, set[int]] = {}
        for each, rows in changed:
            for row in rows:
                lost.setdefault(row, set()).add(each.token)
        for row, tokens in lost.items():
            self.common.take_back(row, tokens)
        broken = {each.family for each, _ in changed if each.family}
        broken |= {family.founder for family in self.families.values() if any(t not in held for t in family.tokens)}
        for founder in sorted(broken & self.families.keys()):
            family = self.families.pop(founder)
            self._sizes.pop(founder, None)
            self._uses.pop(founder, None)
            left = [shared for token in family.tokens if (shared := held.get(token)) is not None]
            for shared in left:
                shared.together = None
                if not shared.members:
                    shared.family = 0
                    self._shared.dirty[shared.token] = None
            family.tokens = [shared.token for shared in left if shared.members]
            self.dirty[founder] = None
            self.broken.append((family, []))
        self._find_parts()

    def _find_parts(self) -> None:
        """Components of the tokens of broken families, by accounts in common."""
        place = {token: i for i, (family, _) in enumerate(self.broken) for token in family.tokens}
        parent = {token: token for token in place}

        def root(token: int) -> int:
            while parent[token] != token:
                parent[token] = token = parent[parent[token]]
            return token

        pieces = [len(family.tokens) for family, _ in self.broken]  # of each family, as far as known: most stay whole
        for one, i in place.items():
            if pieces[i] == 1:
                continue
            mine = root(one)
            for two in self.common.of(one):
                if (
                    i == place.get(two)
                    and (other := root(two)) != mine
                    and self._alike(one, two, self.common.between(one, two), EASE)
                ):
                    parent[mine] = mine = other
                    pieces[i] -= 1
        for family, parts in self.broken:
            found: dict[int, list[int]] = {}
            for token in sorted(family.tokens, key=self._age):
                found.setdefault(root(token), []).append(token)
            parts += self._with_much_the_same(list(found.values()))

    def _with_much_the_same(self, parts: list[list[int]]) -> list[list[int]]:
        """Put parts together that have accounts in common: what `join` made one falls apart with less than it took."""
        held = self._shared.tokens
        out: list[list[int]] = []
        accounts: list[set[int]] = []
        for part in parts:
            rows = {row for token in part for row in held[token].members}
            for i, known in enumerate(accounts):
                if len(rows & known) >= max(COMMON_MIN, EASE * OVERLAP * min(len(rows), len(known))):
                    out[i] += part
                    known |= rows
                    break
            else:
                out.append(part)
                accounts.append(rows)
        return out

    def _age(self, token: int) -> tuple[int, int]:
        return self._shared.tokens[token].first, token

    def found(self, tokens: list[int], family: Family | None) -> Family:
        """Make a family of a broken one's part: ``family`` itself if it goes on in this part, else a new one.

        A family is named by a token of its own: its founder's as long as that is held, then its oldest.
        """
        founder = min(tokens, key=self._age)
        if family is None or family.founder not in tokens:
            made = Family(founder, sorted(tokens))
            if family is not None:
                made.looked_at, made.job = family.looked_at, family.job
        else:
            made = family
            made.tokens = sorted(tokens)
        for token in tokens:
            self._shared.tokens[token].family = made.founder
            self._shared.dirty[token] = None
        self.families[made.founder] = made
        self._sizes.pop(made.founder, None)
        self.dirty[made.founder] = None
        return made


def _gather(kinds: dict[int, Uses], shared: SharedToken) -> Uses:
    """Add a token to the uses of its kind."""
    uses = kinds.setdefault(shared.kind, Uses())
    solid = len(shared.contents) >= SOLID_CONTENTS
    for row, member in shared.members.items():
        uses.join(row, member, solid)
    return uses
