"""River's HalfSpaceTrees (Tan, Ting and Liu, IJCAI 2011) over what an account does, eight exchanges at a time."""

import math
from collections.abc import Iterable
from typing import Any

from streams.evaluate.baselines.common import Sighting, Suspicion
from streams.evaluate.seen import Seen
from streams.models.half_space_trees import make_half_space_trees

EXCHANGES = 8  # of an account that make one observation; one by one it costs more than the whole detector
SCORES = 3  # of which the mean is taken
FIRST_OBSERVATIONS = 4  # of an account before it has a forest of its own
LIMITS = {
    "gap": (0.0, 16.0),  # log2 s
    "input": (0.0, 18.0),  # log2 tokens
    "output": (0.0, 14.0),
    "elicitation": (0.0, 1.0),
    "grading": (0.0, 1.0),
    "answered": (0.0, 1.0),
}


class Observations:
    """Collect exchanges of accounts until eight make an observation."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}
        self._last: dict[str, int] = {}

    def add(self, seen: Seen) -> dict[str, float] | None:
        """Add one exchange; its account's observation if this was the eighth."""
        gap_s = max(seen.time_ms - self._last.get(seen.account, seen.time_ms - 60_000), 0) / 1_000
        self._last[seen.account] = seen.time_ms
        sums = self._sums.get(seen.account)
        if sums is None:
            sums = self._sums[seen.account] = [0.0] * (len(LIMITS) + 1)
        sums[0] += math.log2(1 + gap_s)
        sums[1] += math.log2(1 + seen.input_tokens)
        sums[2] += math.log2(1 + seen.output_tokens)
        sums[3] += seen.elicitation
        sums[4] += seen.grading
        sums[5] += seen.answered
        sums[6] += 1
        if sums[6] < EXCHANGES:
            return None
        del self._sums[seen.account]
        return {name: value / EXCHANGES for name, value in zip(LIMITS, sums, strict=False)}


class _Scores:
    """Mean of the last scores of each account."""

    def __init__(self) -> None:
        self._last: dict[str, list[float]] = {}

    def add(self, account: str, score: float) -> Iterable[Suspicion]:
        last = self._last.setdefault(account, [])
        last.append(score)
        if len(last) < SCORES:
            return ()
        del last[:-SCORES]
        return (Suspicion(sum(last) / SCORES, account, (account,)),)


class PerAccount:
    """A small forest for each account: what is unlike its own past. Blind to who does the same from the start."""

    def __init__(self) -> None:
        self._observations, self._scores = Observations(), _Scores()
        self._early: dict[str, list[dict[str, float]]] = {}
        self._forests: dict[str, Any] = {}

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Score every eighth exchange of an account, then learn it."""
        observation = self._observations.add(seen)
        if observation is None:
            return ()
        forest = self._forests.get(seen.account)
        if forest is None:
            early = self._early.setdefault(seen.account, [])
            early.append(observation)
            if len(early) == FIRST_OBSERVATIONS:
                forest = make_half_space_trees(LIMITS, seed=1, trees=5, height=4, window=FIRST_OBSERVATIONS)
                for one in self._early.pop(seen.account):
                    forest.learn_one(one)
                self._forests[seen.account] = forest
            return ()
        score = forest.score_one(observation)
        forest.learn_one(observation)
        return self._scores.add(seen.account, score)

    def midnight(self) -> None:
        """Forests go on learning."""


class Shared:
    """One forest for all accounts: who is unlike the others. Blind to what is odd only in numbers of accounts."""

    def __init__(self) -> None:
        self._observations, self._scores = Observations(), _Scores()
        self._forest = make_half_space_trees(LIMITS, seed=1, trees=10, height=8, window=250)

    def see(self, seen: Seen, fresh: list[Sighting]) -> Iterable[Suspicion]:
        """Score every eighth exchange of an account, then learn it."""
        observation = self._observations.add(seen)
        if observation is None:
            return ()
        score = self._forest.score_one(observation)
        self._forest.learn_one(observation)
        return self._scores.add(seen.account, score)

    def midnight(self) -> None:
        """The forest goes on learning."""
