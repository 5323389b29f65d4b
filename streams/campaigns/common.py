"""Which telling tokens each account shows, and how many accounts each pair of them has in common."""

from collections.abc import ItemsView

TOKENS_PER_ACCOUNT = 64  # of an account's telling tokens, so many that it showed before are compared with the next


class CommonAccounts:
    """Counts of accounts by pair of tokens, kept up as accounts show tokens and no longer do."""

    def __init__(self) -> None:
        self.telling_of: dict[int, list[int]] = {}  # account row -> telling tokens, in order of joining
        self.dirty: dict[int, None] = {}  # rows that changed since the last checkpoint
        self._counts: dict[int, dict[int, int]] = {}  # token -> larger token -> accounts in common

    def add(self, row: int, token: int) -> list[tuple[int, int]]:
        """Take note that an account shows a token; return those it has shown before, with the accounts in common.

        An account that is known to show it counts no second time: the list is empty.
        """
        tokens = self.telling_of.setdefault(row, [])
        if token in tokens:
            return []
        counts = self._counts
        found = []
        for one in tokens[-TOKENS_PER_ACCOUNT:]:
            low, high = (one, token) if one < token else (token, one)
            if (pairs := counts.get(low)) is None:
                pairs = counts[low] = {}
            common = pairs[high] = pairs.get(high, 0) + 1
            found.append((one, common))
        tokens.append(token)
        self.dirty[row] = None
        return found

    def of(self, token: int) -> ItemsView[int, int]:
        """Larger tokens that have accounts in common with a token, and how many."""
        return self._counts.get(token, {}).items()

    def take_back(self, row: int, tokens: set[int]) -> None:
        """Take note that an account shows these tokens no longer."""
        before = self.telling_of.get(row, [])
        after = [token for token in before if token not in tokens]
        if len(after) == len(before):
            return
        self._count(before, -1)
        self._count(after, 1)
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
            self._count(tokens, 1)

    def _count(self, tokens: list[int], more: int) -> None:
        counts = self._counts
        for i, token in enumerate(tokens):
            for one in tokens[max(0, i - TOKENS_PER_ACCOUNT) : i]:
                low, high = (one, token) if one < token else (token, one)
                pairs = counts.setdefault(low, {})
                if common := pairs.get(high, 0) + more:
                    pairs[high] = common
                    continue
                del pairs[high]
                if not pairs:
                    del counts[low]
