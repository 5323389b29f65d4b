"""Evidence that a group copies the model, in nats: one bounded contribution per indicator, and they add up.

Each contribution is a log-likelihood ratio against a benign *group* that was found in the same way. It is bounded by
how often benign groups show the indicator, so that no number of exchanges of one reason can make up for a second
reason: exchanges of one group are dependent, and a product over them would reject every course and every app. Structure
alone, or purpose alone, never reaches the threshold.

The constants were set on simulated traffic; seeds 1 to 199 are for tuning and are used up, so report on other seeds.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.contents import diversity, unlisted
from streams.campaigns.explanations import apart, copies, explanations, own, unproven, young_share
from streams.campaigns.families import PURPOSE_SHARE
from streams.campaigns.group import Group, median
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedToken
from streams.contracts.alert import Evidence
from streams.contracts.packets import KIND_NAMES, SYSTEM

OWNERS_WEIGHT = 1.5  # nats per e-fold of owners: benign shared templates thin out like n**-1.6
OWNERS_MAX = 6.5
PURPOSE_MAX = 4.0
BOTH_WEIGHT = 0.25
DAY_MS = 86_400_000
STOPPED_MS = 3_600_000  # without an exchange: thirteen a day pause for less than two hours, in sessions for more


def weigh(group: Group, reference: Reference, models: ClusterModels | None, now: int) -> list[Evidence]:
    """All items of a group of `MEMBERS_MIN` (of `streams.campaigns.group`) accounts or more, strongest axis first."""
    n = len(group)
    owners = group.owners()
    items = [
        *_structure(group, len(owners)),
        *_focus(group, reference),
        *_coordination(group, models, now),
        *_identity(group, owners, now),
        *explanations(group, owners, n, now),
        *unproven(group),
    ]
    if (odd := _oddness(group, reference, now)) is not None:
        items.append(odd)
    return [item for item in items if item.contribution]


def weigh_apart(group: Group, reference: Reference, now: int) -> list[Evidence]:
    """Items of a group that was found by something else than what its accounts share: all their traffic counts."""
    owners = group.owners()
    items = [
        *_purposes(lambda name: int(group.rows[name].sum()), reference),
        *_identity(group, owners, now),
        *explanations(group, owners, len(group), now),
        *copies(group),
    ]
    if (odd := _oddness(group, reference, now)) is not None:
        items.append(odd)
    return items


def purposeful(group: Group) -> list[SharedToken]:
    """Tokens that tell what a group is after: a system prompt without a purpose is there in cover traffic as well."""
    telling = [t for t in group.tokens if t.kind != SYSTEM or max(t.elicitation, t.judging) >= PURPOSE_SHARE]
    return telling or group.tokens


def purpose_share(group: Group) -> float:
    """Share of the exchanges that ask for reasoning, or that grade, whichever is more."""
    tokens = purposeful(group)
    shares = [
        sum(getattr(token, name) for token in tokens) / max(1, sum(getattr(token, f"{name}_known") for token in tokens))
        for name in ("elicit", "grading")
    ]
    return max(shares)


def _structure(group: Group, owners: int) -> list[Evidence]:
    spread = diversity(group)
    kinds = sorted({KIND_NAMES[token.kind] for token in group.tokens})
    # one text sent by many may be a link that went round; a text that only frames new content is a tool
    weight = 0.35 + 0.65 * ramp(spread, 0.05, 0.4)
    shared = min(OWNERS_MAX, OWNERS_WEIGHT * math.log(max(1.0, owners / 2))) * weight
    workers = int(np.count_nonzero(group.fresh >= 3))
    # accounts that came a moment ago have had no time for it: what counts is whose the exchanges are
    busy = float(group.uses[group.fresh >= 3].sum() / group.uses.sum())
    work = 2.0 * busy * ramp(workers, 2, 12)
    # among groups with a purpose, who wraps ever new content runs a public list: unless nothing comes again
    work += 2.0 * own(group, unlisted(group)) * busy * ramp(workers, 2, 8) * ramp(purpose_share(group), 0.3, 0.8)
    if all(token.kind == SYSTEM for token in group.tokens):
        work *= 1.0 - apart(group)  # wrapping new content is what an app's system prompt is for
    return [
        evidence(
            "I1", shared, owners, 2,
            f"{owners} unrelated owners share {len(group.tokens)} {'/'.join(kinds)} tokens; "
            f"content diversity {spread:.2f}",
        ),
        evidence("I2", work, workers, 0, f"{workers} accounts wrap ever new content in the shared prompts"),
    ]  # fmt: skip


def once_each(values: list[float], shares: list[float]) -> list[float]:
    """Weights of the evidence of reasoning and of grading, from their shares of the exchanges, 0..1.

    Whoever has a judge explain itself asks for both in one exchange, which is one reason and not two: as far as the
    shares say that exchanges had both, the lesser one counts by `BOTH_WEIGHT`.
    """
    weights = [1.0] * len(values)
    if len(values) == 2 and min(shares) > 0.0:
        both = max(0.0, sum(shares) - 1.0) / min(shares)
        weights[values.index(min(values))] -= (1.0 - BOTH_WEIGHT) * both
    return weights


def _purposes(count: Callable[[str], int], reference: Reference) -> list[Evidence]:
    """What prompts are after; ``count`` gives the sum of a counter over those that count."""
    out = []
    shares: list[float] = []
    found: list[tuple[str, float, float, float, str]] = []
    for indicator, name, known, what in (
        ("I4", "elicit", "elicit_known", "ask for the model's reasoning"),
        ("I8", "grading", "grading_known", "use the model as a grader"),
    ):
        asked, seen = count(name), count(known)
        if not seen:
            continue
        share, base = asked / seen, reference.rate(name)
        shares.append(share)
        value = min(PURPOSE_MAX, -math.log(base)) * ramp(share, 0.3, 0.8) * ramp(seen, 0, 8)
        found.append((indicator, value, share, base, f"{share:.0%} of its prompts {what}"))
    weights = once_each([value for _, value, *_ in found], shares)
    for (indicator, value, share, base, detail), weight in zip(found, weights, strict=True):
        out.append(evidence(indicator, weight * value, round(share, 4), round(base, 4), detail))
    if shares and max(shares) < 0.2:
        value = -0.8 * ramp(0.2 - max(shares), 0, 0.2)
        out.append(
            evidence(
                "benign.no_purpose", value, round(max(shares), 4), 0.2, "neither asks for reasoning nor grades answers"
            )
        )
    return out


def _focus(group: Group, reference: Reference) -> list[Evidence]:
    out = _purposes(lambda name: sum(getattr(token, name) for token in purposeful(group)), reference)
    purity = median(group.purity)
    out.append(
        evidence(
            "I3", 2.0 * ramp(purity, 0.2, 0.8) - 1.0 * ramp(0.05 - purity, 0, 0.05), round(purity, 4), 0.05,
            f"half of the accounts spend {purity:.0%} or more of their traffic on it",
        )
    )  # fmt: skip
    return out


def _coordination(group: Group, models: ClusterModels | None, now: int) -> list[Evidence]:
    out = []
    n = len(group)
    if n >= 8:
        # a router splits its load evenly; people's volumes are heavy-tailed (lognormal with sigma above 1)
        if float(group.uses.mean()) >= 3:
            # of an account that is used no more, as burners are after an hour, the time that it was
            until = np.minimum(now, group.last + STOPPED_MS)
            days = np.maximum(1 / 96, (until - group.first) / DAY_MS)
            volumes = np.log(np.maximum(1, group.uses) / days)
            deviation = float(volumes.std())
            # less what chance makes of so few exchanges, if they were dealt out evenly over the time that each account
            # was used: the variance of the logarithm of a Poisson count is 1 / mean
            dealt = group.uses.sum() * days / days.sum()
            beyond = math.sqrt(max(0.0, deviation**2 - float((1 / np.maximum(1.0, dealt)).mean())))
            value = 2.0 * ramp(0.9 - beyond, 0, 0.6) - 2.0 * ramp(beyond, 0.9, 1.6)
            # a dozen tools of one kind may run alike; forty strangers do not
            value += 2.0 * ramp(0.5 - deviation, 0, 0.25) * ramp(n, 12, 40) * ramp(float(group.uses.mean()), 3, 8)
            out.append(
                evidence("I29", value, round(beyond, 4), 1.2, f"load split over accounts: log deviation {beyond:.2f}")
            )
        span_h = (now - int(group.first.min())) / 3_600_000
        if span_h >= 20:
            hours = group.rows["hours"].sum(axis=0)
            share = float(hours.min() / max(1.0, hours.mean()))
            value = 1.5 * ramp(share, 0.35, 0.7)
            out.append(evidence("I18", value, round(share, 4), 0.3, f"quietest hour at {share:.0%} of the mean hour"))
    if models is not None:
        if (index := models.steadiness()) is not None:
            # a thin flow looks even whatever it is, so evenness counts from two exchanges a minute on
            value = 0.5 * ramp(3.0 - index, 0, 2.0) * ramp(models.volume(), 1, 4) - 0.5 * ramp(index - 6.0, 0, 10.0)
            out.append(
                evidence(
                    "I10", value, round(index, 6), 6.0, f"exchanges a minute: dispersion {index:.1f} (1: a metronome)"
                )
            )
            steady = 0.2 if models.drifts == 0 else -0.4
            out.append(
                evidence(
                    "I9", steady, models.drifts, 1, f"purpose of its traffic changed {models.drifts} times (ADWIN)"
                )
            )
        if models.surge > 0.9:
            value = 0.5 * ramp(models.surge, 0.9, 1.0)
            out.append(
                evidence("I14", value, round(models.surge, 6), 0.9, "new accounts arrived faster than its past allows")
            )
    return out


def _identity(group: Group, owners: Any, now: int) -> list[Evidence]:
    n = len(group)
    out = []
    tokens = group.infrastructure
    largest = owners.most_common(1)[0][1] / n
    unrelated = 1.0 - ramp(largest, 0.3, 0.7)
    for indicator, rows, several, most, what in (
        ("I11", group.paid, group.payers, 3.0, "share a card or device"),
        ("I12", group.pooled, 0.0, 2.0, "share a pool of networks, cards and devices"),
    ):
        share = len(rows) / n
        value = most * max(ramp(share, 0.05, 0.35), several) * unrelated
        out.append(evidence(indicator, value, round(share, 4), 0.05, f"{share:.0%} {what} with others of the group"))
    linked = {row for shared, rows in tokens.values() for row in rows}
    if n >= 8 and len(linked) < 0.1 * n:
        out.append(
            evidence("benign.apart", -1.0, round(len(linked) / n, 4), 0.1, "hardly any infrastructure in common")
        )
    if int((group.rows["created"] > 0).sum()) >= 5:
        young = young_share(group, now)
        value = 1.2 * ramp(young, 0.5, 0.9) - 0.3 * ramp(0.3 - young, 0.0, 0.3)
        out.append(
            evidence("I19", value, round(young, 4), 0.3, f"{young:.0%} of the accounts are younger than 45 days")
        )
    return out


def _oddness(group: Group, reference: Reference, now: int) -> Evidence | None:
    """Mean oddness of up to 16 accounts for their plan (River HalfSpaceTrees, learned on clean accounts)."""
    step = max(1, len(group) // 16)
    scores = [reference.oddness(row, now) for row in group.rows[::step][:16]]
    known = [score for score in scores if score is not None]
    if len(known) < 3:
        return None
    mean = sum(known) / len(known)
    value = 1.5 * ramp(mean, 0.5, 3.0) - 0.5 * ramp(-mean, 0.0, 1.0)
    return evidence("I21", value, round(mean, 6), 0.0, f"accounts {mean:.1f} deviations odd for their plan")
