"""The benign reference: what ordinary groups and accounts are like, learned only from what stayed clean.

An account enters after a clean period, flagged traffic never, and no cluster (accounts of one owner, of one family,
that share a token, or whose prompts are after the same) is more than an eighth of what a forest is made of. Two
generations: the *challenger* learns, the *champion* scores; once a day the challenger becomes champion, which is
counted (`reference_swaps`), so that a campaign that runs from the first minute has to stay unnoticed for a whole
generation before it could teach anything.

A stage without state may begin with a reference that a replay of history left (`carried.py`): it is the champion of
the first day, and what takes its place was learned live.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from river import proba, stats

from streams.campaigns.table import PLANS
from streams.errors import StateError
from streams.models import MODELS, make_half_space_trees

# Before anything is learned: one benign group in 25 is about reasoning, one in 50 about grading. Homework, tutoring
# and evaluation groups were counted in simulated traffic of five seeds; a site's own counts take over as they come in.
PRIOR = {"elicit": (2.0, 48.0), "grading": (1.0, 49.0)}
CLEAN_MS = 6 * 3_600_000  # an account enters the reference after so long without suspicion
GENERATION_MS = 86_400_000
WINDOWS_PER_HOUR = 500  # account windows learned an hour at most: 18 us each
WINDOW = 64  # account windows that a forest is made of: it scores against the last so many
CLUSTER_MOST = 8  # of these from one cluster: a campaign that is half of a segment would else be half of them
PURPOSES = {"elicit": 1, "grading": 2}  # clusters of those who are mostly after the same; no hash is so small
SCORES_MIN = 64  # benign scores before the forest has a say
FEATURES = ("rate", "elicit", "grading", "first_turn", "tools", "output", "focus", "hours")
LIMITS = dict.fromkeys(FEATURES, (0.0, 1.0))
REFERENCE_MODELS = {"forest": "half_space_trees", "score_mean": "mean", "score_var": "var"}


def window(row: Any, now: int) -> dict[str, float]:
    """An account as the forest sees it: every feature in 0..1."""
    n = max(1, int(row["exchanges"]))
    days = max(1 / 24, (now - int(row["first"])) / 86_400_000)
    topics = row["topics"][1:]
    known = int(topics.sum())
    return {
        "rate": min(1.0, math.log10(1 + n / days) / 5),
        "elicit": int(row["elicit"]) / max(1, int(row["elicit_known"])),
        "grading": int(row["grading"]) / max(1, int(row["grading_known"])),
        "first_turn": int(row["first_turn"]) / n,
        "tools": int(row["tools"]) / n,
        "output": min(1.0, math.log2(1 + int(row["output"]) / n) / 14),
        "focus": int(topics.max()) / known if known else 0.0,
        "hours": int(np.count_nonzero(row["hours"])) / 24,
    }


class Generation:
    """One reference: a forest per plan (River HalfSpaceTrees) with the mean and variance of benign scores."""

    def __init__(self) -> None:
        self.forests: dict[int, Any] = {}
        self.means: dict[int, Any] = {}
        self.variances: dict[int, Any] = {}
        self.learned: dict[int, int] = {}
        self.masses: dict[int, dict[int, int]] = {}  # windows of each cluster in the one that a forest now fills

    def learn(self, plan: int, features: dict[str, float], clusters: Iterable[int]) -> bool:
        """Learn one clean account window, unless one of its clusters has its share; tell whether it did."""
        if plan not in self.forests:
            self.forests[plan] = make_half_space_trees(LIMITS, seed=plan + 1, trees=5, height=6, window=WINDOW)
            self.means[plan], self.variances[plan] = stats.Mean(), stats.Var()
            self.learned[plan], self.masses[plan] = 0, {}
        mass = self.masses[plan]
        clusters = dict.fromkeys([*clusters, *(PURPOSES[name] for name in PURPOSES if features[name] >= 0.5)])
        if any(mass.get(cluster, 0) >= CLUSTER_MOST for cluster in clusters):
            return False
        for cluster in clusters:
            mass[cluster] = mass.get(cluster, 0) + 1
        forest = self.forests[plan]
        if self.learned[plan] >= SCORES_MIN:
            score = forest.score_one(features)
            self.means[plan].update(score)
            self.variances[plan].update(score)
        forest.learn_one(features)
        self.learned[plan] += 1
        if self.learned[plan] % WINDOW == 0:
            mass.clear()
        return True

    def knows(self, plan: int) -> bool:
        """Tell whether enough is known of a plan to score its accounts."""
        return plan in self.forests and self.means[plan].n >= SCORES_MIN

    def oddness(self, plan: int, features: dict[str, float]) -> float:
        """Standard deviations above the benign mean of a plan that it `knows`."""
        deviation = max(0.02, math.sqrt(self.variances[plan].get()))
        return (self.forests[plan].score_one(features) - self.means[plan].get()) / deviation

    def dump(self) -> list[Any]:
        """Plain numbers."""
        return [
            [
                plan, self.learned[plan], MODELS["half_space_trees"].dump(self.forests[plan]),
                MODELS["mean"].dump(self.means[plan]), MODELS["var"].dump(self.variances[plan]),
                [number for pair in sorted(self.masses[plan].items()) for number in pair],
            ]
            for plan in sorted(self.forests)
        ]  # fmt: skip

    @classmethod
    def load(cls, state: list[Any]) -> "Generation":
        """Rebuild from `dump`; raise `StateError` for anything else."""
        generation = cls()
        try:
            for plan, learned, forest, mean, variance, mass in state:
                if plan not in range(len(PLANS)):
                    raise ValueError(f"there is no plan {plan!r}")
                if not all(isinstance(number, int) for number in (learned, *mass)):
                    raise ValueError("what is to be counted is no number")
                generation.learned[plan] = learned
                generation.masses[plan] = dict(zip(mass[::2], mass[1::2], strict=True))
                generation.forests[plan] = MODELS["half_space_trees"].load(forest)
                if generation.forests[plan].limits != LIMITS:
                    raise ValueError(f"the forest of plan {PLANS[plan]} sees other features")
                generation.means[plan] = MODELS["mean"].load(mean)
                generation.variances[plan] = MODELS["var"].load(variance)
        except (TypeError, ValueError) as error:
            raise StateError(f"the reference in the state is malformed: {error}") from None
        return generation


class Reference:
    """Champion and challenger, and the rates of purposes among benign groups (River proba.Beta)."""

    def __init__(self) -> None:
        self.champion, self.challenger = Generation(), Generation()
        self.rates = {name: proba.Beta(int(prior[0]), int(prior[1]), seed=1) for name, prior in PRIOR.items()}
        self.since = 0  # event time at which the challenger began, ms
        self.groups_a_day = 0  # candidate groups on the last day of the history that the champion came from
        self.swaps = 0
        self.learned_at: dict[int, int] = {}  # event time at which each plan last learned, ms

    def rate(self, purpose: str) -> float:
        """Share of benign groups with this purpose: learned, but within a factor of two of what it began with.

        What stays below the threshold is not thereby benign, so nobody may teach the reference that all groups do it.
        """
        beta, (a, b) = self.rates[purpose], PRIOR[purpose]
        prior = a / (a + b)
        return float(min(2 * prior, max(prior / 2, beta.alpha / (beta.alpha + beta.beta))))

    def learn_group(self, elicit: bool, grading: bool) -> None:
        """Learn one group that stayed clean."""
        self.rates["elicit"].update(elicit)
        self.rates["grading"].update(grading)

    def learn_account(self, row: Any, now: int, clusters: Iterable[int]) -> bool:
        """Learn one clean account, unless one of its clusters has its share already; tell whether it did."""
        plan = int(row["plan"])
        if not self.challenger.learn(plan, window(row, now), clusters):
            return False
        self.learned_at[plan] = now
        return True

    def turn(self, now: int) -> bool:
        """Make the challenger champion once a generation is over; tell whether it was done."""
        if self.since == 0:
            self.since = now
        if now - self.since < GENERATION_MS:
            return False
        self.champion, self.challenger, self.since = self.challenger, Generation(), now
        self.groups_a_day = 0
        self.swaps += 1
        return True

    def oddness(self, row: Any, now: int) -> float | None:
        """How odd an account is for its plan, in standard deviations; the first day the challenger stands in.

        A reference that was carried here has nothing to say of whoever was first seen less than `CLEAN_MS` ago: where
        nobody was seen before, that is everybody (measured: benign groups would seem 0.5 nats odd, at most 1.5).
        """
        if self.carried and now - int(row["first"]) < CLEAN_MS:
            return None
        plan = int(row["plan"])
        for generation in (self.champion,) if self.swaps else (self.champion, self.challenger):
            if generation.knows(plan):
                return generation.oddness(plan, window(row, now))
        return None

    @property
    def carried(self) -> bool:
        """The champion came from a file."""
        return not self.swaps and bool(self.champion.forests)

    @property
    def scoring(self) -> Generation:
        """The generation that scores: the champion, if there is one."""
        return self.champion if self.swaps or self.carried else self.challenger

    def sizes(self) -> dict[str, int]:
        """Accounts learned by plan, in the reference that scores."""
        return {PLANS[plan]: n for plan, n in self.scoring.learned.items()}

    def ages_ms(self, now: int) -> dict[str, int]:
        """Event time since each plan last learned."""
        return {PLANS[plan]: max(0, now - at) for plan, at in self.learned_at.items()}

    def dump(self) -> list[Any]:
        """Plain numbers."""
        return [
            self.since, self.swaps, self.groups_a_day, sorted(self.learned_at.items()),
            [list(MODELS["beta"].dump(self.rates[name])) for name in PRIOR],
            self.champion.dump(), self.challenger.dump(),
        ]  # fmt: skip

    @classmethod
    def load(cls, state: list[Any]) -> "Reference":
        """Rebuild from `dump`; raise `StateError` for anything else."""
        reference = cls()
        try:
            since, swaps, groups_a_day, learned_at, rates, champion, challenger = state
            counts = [since, swaps, groups_a_day, *(number for pair in learned_at for number in pair)]
            if not all(isinstance(number, int) for number in counts):
                raise ValueError("what is to be counted is no number")
            reference.since, reference.swaps, reference.groups_a_day = since, swaps, groups_a_day
            for plan, at in learned_at:
                reference.learned_at[range(len(PLANS))[plan]] = at
            reference.rates = {name: MODELS["beta"].load(rate) for name, rate in zip(PRIOR, rates, strict=True)}
        except (TypeError, ValueError, IndexError) as error:
            raise StateError(f"the reference in the state is malformed: {error}") from None
        reference.champion, reference.challenger = Generation.load(champion), Generation.load(challenger)
        return reference
