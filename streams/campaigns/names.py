"""Ids of accounts by row, packed: one of twenty characters takes 24 bytes, as a string with its place in a list 88."""

from collections.abc import Sequence
from typing import overload

import numpy as np

_SHORT = 24  # characters; longer ids are kept as strings


def _plain(name: str) -> bool:
    # what an array of bytes gives back has lost the zeros at its end
    return name.isascii() and "\0" not in name


class Names(Sequence[str]):
    """A list of strings, most of them short and in ASCII."""

    def __init__(self) -> None:
        self._short = np.zeros(1024, f"S{_SHORT}")
        self._long: dict[int, str] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[row] for row in range(*at.indices(self._size))]
        if not 0 <= at < self._size:
            raise IndexError(at)
        short: bytes = self._short[at]
        return short.decode() or self._long.get(at, "")

    def __setitem__(self, at: int, name: str) -> None:
        if self._long:
            self._long.pop(at, None)
        if len(name) <= _SHORT and _plain(name):
            self._short[at] = name.encode()
        else:
            self._short[at] = b""
            self._long[at] = name

    def extend(self, names: Sequence[str]) -> None:
        """Append these."""
        before, self._size = self._size, self._size + len(names)
        if self._size > self._short.size:
            grown = np.zeros(max(self._size, 2 * self._short.size), self._short.dtype)
            grown[:before] = self._short[:before]
            self._short = grown
        if max(map(len, names), default=0) <= _SHORT and _plain("".join(names)):
            self._short[before : self._size] = np.array(names, self._short.dtype)
            return
        for row, name in enumerate(names, before):
            if name:
                self[row] = name
