"""How accounts use the tokens of a family: sums over its tokens, kept up exchange by exchange.

A campaign of a hundred prompts on a hundred accounts has ten thousand memberships; its evidence reads a hundred sums.
"""

from collections.abc import Iterable

from msgspec import Struct

SOLID_CONTENTS = 3  # different contents from which a token is no copy of one text


class Member(Struct):
    """How one account uses a family's tokens."""

    first: int
    last: int
    uses: int
    fresh: int  # uses with content that was new
    tokens: int
    solid: int = 0  # uses of tokens that carry different contents: no copy of one public text


class Uses:
    """Sums over the tokens of one kind; whoever changes a membership says so here as well."""

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[int, Member] = {}  # by account row

    def join(self, row: int, member: list[int], solid: bool) -> None:
        """An account shows one more of the tokens: since when, until when, uses, those with new content."""
        first, last, uses, fresh = member
        if (seen := self.members.get(row)) is None:
            self.members[row] = Member(first, last, uses, fresh, int(uses > 0), uses if solid else 0)
            return
        if first < seen.first:
            seen.first = first
        if last > seen.last:
            seen.last = last
        if uses:
            seen.uses += uses
            seen.fresh += fresh
            seen.tokens += 1
            if solid:
                seen.solid += uses

    def renew(self, row: int, last: int) -> None:
        """An account was seen with a token that it shows already."""
        seen = self.members[row]
        if last > seen.last:
            seen.last = last

    def use(self, row: int, time: int, fresh: bool, first: bool, solid: bool) -> None:
        """An account uses a token, for the first time if ``first``."""
        seen = self.members[row]
        if time > seen.last:
            seen.last = time
        seen.uses += 1
        seen.fresh += fresh
        seen.tokens += first
        seen.solid += solid

    def solidify(self, uses: Iterable[tuple[int, int]]) -> None:
        """A token, used so often by these rows until now, has come to carry different contents."""
        for row, n in uses:
            self.members[row].solid += n


def most(one: Member, two: Member) -> Member:
    """Use of two kinds of tokens: an exchange that shows several kinds counts once."""
    # called for each account of a group at each weighing: min() and max() would take twice as long
    return Member(
        one.first if one.first <= two.first else two.first,
        one.last if one.last >= two.last else two.last,
        one.uses if one.uses >= two.uses else two.uses,
        one.fresh if one.fresh >= two.fresh else two.fresh,
        one.tokens if one.tokens >= two.tokens else two.tokens,
        one.solid if one.solid >= two.solid else two.solid,
    )
