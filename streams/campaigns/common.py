"""Which telling tokens each account shows, and how many accounts each pair of them has in common."""

from collections import Counter

TOKENS_PER_ACCOUNT = 64  # of an account's telling tokens, so many that it showed before are compared with the next
_NONE: dict[int, int] = {}


class CommonAccounts:
    """Counts of accounts by pair of tokens, kept up as accounts show tokens and no longer do.

    An account is counted for the token that it showed later, with all that it showed before at once: a rush's accounts
    show dozens, and finding the counts of each took a third of what links cost.
    """

    def __init__(self) -> None:
        self.telling_of: dict[int, list[int]] = {}  # account row -> telling tokens, in order of joining
        self.dirty: dict[int, None] = {}  # rows that changed since the last checkpoint
        self._counts: dict[int, Counter[int]] = {}  # token -> token shown before it -> accounts

    def add(self, row: int, token: int) -> list[int]:
        """Take note that an account shows a token; return those that it has shown before.

        An account that is known to show it counts no second time: the list is empty.
        """
        tokens = self.telling_of.setdefault(row, [])
        if token in tokens:
            return []
        before = tokens[-TOKENS_PER_ACCOUNT:]
        self._count(token, before)
        tokens.append(token)
        self.dirty[row] = None
        return before

    def between(self, one: int, two: int) -> int:
        """Accounts that two tokens have in common."""
        counts, none = self._counts, _NONE
        return counts.get(one, none).get(two, 0) + counts.get(two, none).get(one, 0)

    def of(self, token: int) -> list[int]:
        """Tokens that accounts have shown before this one; of a pair, one is among the other's."""
        return list(self._counts.get(token, ()))

    def take_back(self, row: int, tokens: set[int]) -> None:
        """Take note that an account shows these tokens no longer."""
        before = self.telling_of.get(row, [])
        after = [token for token in before if token not in tokens]
        if len(after) == len(before):
            return
        for i, token in enumerate(before):
            earlier = before[max(0, i - TOKENS_PER_ACCOUNT) : i]
            # of so few, whoever stays is compared with the same ones
            if len(before) <= TOKENS_PER_ACCOUNT and token not in tokens:
                earlier = [one for one in earlier if one in tokens]
            self._discount(token, earlier)
        if len(before) > TOKENS_PER_ACCOUNT:
            self._count_all(after)
        if after:
            self.telling_of[row] = after
        else:
            del self.telling_of[row]
        self.dirty[row] = None

    def restore(self, telling_of: dict[int, list[int]]) -> None:
        """Take over the telling tokens of each account, and count."""
        self.telling_of = telling_of
        self._counts = {}
        for tokens in telling_of.values():
            self._count_all(tokens)

    def _count_all(self, tokens: list[int]) -> None:
        for i, token in enumerate(tokens):
            self._count(token, tokens[max(0, i - TOKENS_PER_ACCOUNT) : i])

    def _count(self, token: int, before: list[int]) -> None:
        if before:
            if (counts := self._counts.get(token)) is None:
                counts = self._counts[token] = Counter()
            counts.update(before)

    def _discount(self, token: int, before: list[int]) -> None:
        if not before:
            return
        counts = self._counts[token]
        for one in before:
            if counts[one] > 1:
                counts[one] -= 1
            else:
                del counts[one]
        if not counts:
            del self._counts[token]
