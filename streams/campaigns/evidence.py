"""Evidence that a group copies the model, in nats: one bounded contribution per indicator, and they add up.

Each contribution is a log-likelihood ratio against a benign *group* that was found in the same way. It is bounded by
how often benign groups show the indicator, so that no number of exchanges of one reason can make up for a second
reason: exchanges of one group are dependent, and a product over them would reject every course and every app. Structure
alone, or purpose alone, never reaches the threshold.

The constants were set on simulated traffic; seeds 1 to 199 are for tuning and are used up, so report on other seeds.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.group import Group, median
from streams.campaigns.reference import Reference
from streams.campaigns.shared import CONTENTS_MAX, SharedToken
from streams.contracts.alert import Evidence
from streams.contracts.packets import DEVICE, KIND_NAMES, NEAR_HIGH, NETWORK, PAYMENT, SYSTEM, TAIL, TEMPLATE

AXES = ("volume", "structure", "focus", "coordination", "identity", "benign")
MEMBERS_MIN = 3
LIST_CONTENTS = 1_500  # of a usual public test set: GSM8K has 1,319 questions, ARC 1,172, TruthfulQA 817, HumanEval 164
RESENT_SHARE = 0.01  # of a campaign's exchanges repeat another one's content; simulated campaigns: at most 0.017
OWNERS_WEIGHT = 1.5  # nats per e-fold of owners: benign shared templates thin out like n**-1.6
OWNERS_MAX = 6.5
PURPOSE_MAX = 4.0
DAY_MS = 86_400_000


def evidence(indicator: str, contribution: float, value: Any, baseline: Any, detail: str) -> Evidence:
    """An item as published: rounded to 6 digits, so that what adds up is what is shown."""
    return Evidence(indicator, round(float(contribution), 6), value, baseline, detail)


def ramp(x: float, low: float, high: float) -> float:
    """0 below ``low``, 1 above ``high``, linear between."""
    return min(1.0, max(0.0, (x - low) / (high - low)))


def weigh(group: Group, reference: Reference, models: ClusterModels | None, now: int) -> list[Evidence]:
    """All items of a group of `MEMBERS_MIN` accounts or more, strongest axis first."""
    n = len(group)
    owners = group.owners()
    items = [
        *_structure(group, len(owners)),
        *_focus(group, reference),
        *_coordination(group, models, now),
        *_identity(group, owners, now),
        *_benign(group, owners, n, now),
        *_unproven(group),
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
        *_benign(group, owners, len(group), now),
        *_copies(group),
    ]
    if (odd := _oddness(group, reference, now)) is not None:
        items.append(odd)
    return items


def _unproven(group: Group) -> list[Evidence]:
    """What strangers share may be an open tool, or a list of which little has been sent yet: that repeats nothing."""
    # such come with a few prompts, not with dozens
    templates = sum(token.kind == TEMPLATE for token in group.tokens)
    apart = strangers(group)
    value = -3.0 * apart * (1.0 - _own(group, max(_unlisted(group), ramp(templates, 8, 24))))
    different = _contents(_wrappers(group))[2]
    detail = f"strangers, who may all run a public list or use an open tool: {different} contents so far"
    return [evidence("benign.unproven", value, round(1.0 - apart, 4), 0.05, detail)]


def _copies(group: Group) -> list[Evidence]:
    """What others send too, or the account sent before: a public list, a monitor's probes."""
    held, tokens = group.shared.near_of, group.shared.tokens
    shown = [
        sum(1 for token in held.get(row, ()) if token in tokens and tokens[token].kind == NEAR_HIGH)
        for row in group.at.tolist()
    ]
    again = 1.0 - median(group.rows["near_new"] / group.exchanges)
    public = median(np.array(shown) / group.exchanges)
    value = -6.0 * max(ramp(again, 0.08, 0.25), ramp(public, 0.4, 0.8))
    detail = f"half of the accounts repeat themselves in {again:.0%} of their exchanges, and others in {public:.0%}"
    return [evidence("benign.benchmark", value, round(max(again, public), 4), 0.15, detail)]


def _wrappers(group: Group) -> list[SharedToken]:
    """The templates of a group, or if it has none all of its tokens."""
    return [token for token in group.tokens if token.kind == TEMPLATE] or group.tokens


def diversity(group: Group) -> float:
    """How far contents differ, 0..1: 0 for one text sent by everybody, 1 for a new text in every exchange."""
    tokens = _wrappers(group)
    exchanges, contents = sum(token.exchanges for token in tokens), sum(len(token.contents) for token in tokens)
    return min(1.0, contents / max(1.0, min(exchanges, CONTENTS_MAX * len(group.tokens))))


def _contents(tokens: list[SharedToken]) -> tuple[int, int, int]:
    """Exchanges, those whose content the same prompt had wrapped before, and different contents."""
    exchanges, different = sum(token.exchanges for token in tokens), sum(token.different for token in tokens)
    return exchanges, exchanges - different, different


def _listed(group: Group) -> float:
    """0..1: how surely contents come from a list that others send, too, by the share that repeats another one."""
    tokens = _wrappers(group)
    later, again = sum(token.later for token in tokens), sum(token.again for token in tokens)
    # of a list of 2,000 a quarter is among the remembered ones; of a campaign's own, augmented ones a tenth is at most
    found = ramp(again / later, 0.1, 0.25) * ramp(later, 50, 100) if later else 0.0
    exchanges, repeated, different = _contents([token for token in tokens if not token.later])
    if different < 12 or repeated <= RESENT_SHARE * exchanges:
        return found
    # few, but more than clients that try again make: a list of a thousand shows at the hundredth exchange
    share, usual = repeated / exchanges, RESENT_SHARE * exchanges
    surprise = (repeated - usual) / math.sqrt(usual + 1.0)
    return max(found, ramp(share, 0.05, 0.35), ramp(surprise, 1, 4) * ramp(share, 0.015, 0.03))


def _unlisted(group: Group) -> float:
    """0..1: how surely contents come from no public list, which repeats itself by chance as birthdays do.

    A likelihood ratio of two rates at which contents come again (Poisson): a campaign's, and that beside what draws
    from a list of `LIST_CONTENTS` give. Cannot tell a list that is much longer.
    """
    exchanges = repeated = 0
    expected = 0.0
    for token in _wrappers(group):
        exchanges += token.exchanges
        repeated += token.exchanges - token.different
        early = token.exchanges - token.later
        expected += early + LIST_CONTENTS * math.expm1(-early / LIST_CONTENTS)
        expected += token.later * CONTENTS_MAX / LIST_CONTENTS
    if not exchanges:
        return 0.0
    return ramp(expected - repeated * math.log1p(expected / (RESENT_SHARE * exchanges)), 2.0, 5.0)


def strangers(group: Group) -> float:
    """0..1: how little infrastructure the accounts have in common."""
    return 1.0 - ramp(max(len(_paid(group)), len(_pooled(group))) / len(group), 0.05, 0.3)


def _own(group: Group, unlike: float) -> float:
    """0..1: how surely what is so ``unlike`` a public list is the group's own, and no open tool used on the side."""
    return unlike * max(1.0 - strangers(group), ramp(median(group.purity), 0.1, 0.4))


def purpose_share(group: Group) -> float:
    """Share of the exchanges that ask for reasoning, or that grade, whichever is more."""
    shares = [
        sum(getattr(token, name) for token in group.tokens)
        / max(1, sum(getattr(token, f"{name}_known") for token in group.tokens))
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
    work += 2.0 * _own(group, _unlisted(group)) * busy * ramp(workers, 2, 8) * ramp(purpose_share(group), 0.3, 0.8)
    if all(token.kind == SYSTEM for token in group.tokens):
        work = 0.0  # wrapping new content is what an app's system prompt is for
    return [
        evidence(
            "I1", shared, owners, 2,
            f"{owners} unrelated owners share {len(group.tokens)} {'/'.join(kinds)} tokens; "
            f"content diversity {spread:.2f}",
        ),
        evidence("I2", work, workers, 0, f"{workers} accounts wrap ever new content in the shared prompts"),
    ]  # fmt: skip


def _purposes(count: Callable[[str], int], reference: Reference) -> list[Evidence]:
    """What prompts are after; ``count`` gives the sum of a counter over those that count."""
    out = []
    shares = []
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
        out.append(evidence(indicator, value, round(share, 4), round(base, 4), f"{share:.0%} of its prompts {what}"))
    if shares and max(shares) < 0.2:
        value = -0.8 * ramp(0.2 - max(shares), 0, 0.2)
        out.append(
            evidence(
                "benign.no_purpose", value, round(max(shares), 4), 0.2, "neither asks for reasoning nor grades answers"
            )
        )
    return out


def _focus(group: Group, reference: Reference) -> list[Evidence]:
    out = _purposes(lambda name: sum(getattr(token, name) for token in group.tokens), reference)
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
            days = np.maximum(1 / 24, (now - group.first) / DAY_MS)
            volumes = np.log(np.maximum(1, group.uses) / days)
            deviation = float(volumes.std())
            value = 2.0 * ramp(0.9 - deviation, 0, 0.6) - 2.0 * ramp(deviation, 0.9, 1.6)
            # a dozen tools of one kind may run alike; forty strangers do not
            value += 2.0 * ramp(0.5 - deviation, 0, 0.25) * ramp(n, 12, 40) * ramp(float(group.uses.mean()), 3, 8)
            out.append(
                evidence(
                    "I29", value, round(deviation, 4), 1.2, f"load split over accounts: log deviation {deviation:.2f}"
                )
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
    paid = _paid(group)
    pooled = _pooled(group)
    for indicator, rows, most, what in (
        ("I11", paid, 3.0, "share a card or device"),
        ("I12", pooled, 2.0, "share a pool of networks, cards and devices"),
    ):
        share = len(rows) / n
        value = most * ramp(share, 0.1, 0.6) * unrelated
        out.append(evidence(indicator, value, round(share, 4), 0.05, f"{share:.0%} {what} with others of the group"))
    linked = {row for shared, rows in tokens.values() for row in rows}
    if n >= 8 and len(linked) < 0.1 * n:
        out.append(
            evidence("benign.apart", -1.0, round(len(linked) / n, 4), 0.1, "hardly any infrastructure in common")
        )
    if int((group.rows["created"] > 0).sum()) >= 5:
        young = _young(group, now)
        value = 1.2 * ramp(young, 0.5, 0.9) - 0.3 * ramp(0.3 - young, 0.0, 0.3)
        out.append(
            evidence("I19", value, round(young, 4), 0.3, f"{young:.0%} of the accounts are younger than 45 days")
        )
    return out


def _paid(group: Group) -> set[int]:
    """Rows of the accounts that share a card or device with others of the group."""
    tokens = group.infrastructure.values()
    return {row for shared, rows in tokens if shared.kind in (PAYMENT, DEVICE) for row in rows}


def _pooled(group: Group) -> set[int]:
    """Rows of the accounts that infrastructure joins to two others of the group or more."""
    return {row for _, rows in group.pools if len(rows) >= MEMBERS_MIN for row in rows}


def one_network(group: Group) -> float:
    """Largest share of the accounts that one network is used by."""
    networks = (len(rows) for shared, rows in group.infrastructure.values() if shared.kind == NETWORK)
    return max(networks, default=0) / len(group)


def _app(group: Group) -> float:
    """Largest share of the accounts that show one system prompt."""
    shown = Counter(token for row in group.at.tolist() for token in group.shared.system_of.get(row, ()))
    return max(shown.values(), default=0) / len(group)


def _young(group: Group, now: int) -> float:
    """Share of the accounts of known age that are younger than 45 days."""
    created = group.rows["created"]
    known = created > 0
    young = known & ((now - created) / DAY_MS < 45)
    return int(np.count_nonzero(young)) / max(1, int(np.count_nonzero(known)))


def _benign(group: Group, owners: Any, n: int, now: int) -> list[Evidence]:
    out = []
    (kind, _), most = owners.most_common(1)[0]
    share = most / n
    if kind != "account" and share > 0.3:
        name = "organisation" if kind == "org" else "private mail domain"
        value = -7.0 * ramp(share, 0.3, 0.6)
        out.append(evidence("benign.organisation", value, round(share, 4), 0.3, f"{share:.0%} belong to one {name}"))
    widest = one_network(group)
    if n >= 5 and widest > 0.3:
        value = -4.0 * ramp(widest, 0.3, 0.7)
        out.append(
            evidence("benign.site", value, round(widest, 4), 0.3, f"{widest:.0%} come from one network: one site")
        )
    # conversations cost a campaign several times its tokens, and accounts with a past their price
    turns = median(group.rows["first_turn"] / group.exchanges)
    settled = 1.0 - ramp(_young(group, now), 0.3, 0.6)
    talks = ramp(0.6 - turns, 0.0, 0.3) * settled
    edu = int(np.count_nonzero(group.rows["plan"] == 2)) / n
    # a homework in everybody's own words differs in each of them, but is talked about
    alike = max(talks, float(diversity(group) < 0.3))
    if edu > 0.3 and alike:
        value = -5.0 * ramp(edu, 0.3, 0.6) * alike
        detail = f"{edu:.0%} on education plans, contents alike or talked about"
        out.append(evidence("benign.course", value, round(edu, 4), 0.1, detail))
    # who runs a public benchmark or the same probes sends what others sent; a campaign divides its work
    if listed := _listed(group):
        exchanges, repeated, different = _contents(_wrappers(group))
        again = repeated / exchanges
        detail = f"{again:.0%} of the exchanges repeat one of {different} contents: a public list"
        out.append(evidence("benign.benchmark", -4.0 * listed, round(again, 4), 0.05, detail))
    median_uses, purity = median(group.uses), median(group.purity)
    if n >= 5 and median_uses <= 2 and purity < 0.15:
        value = -3.0 * (1.0 - ramp(len(_paid(group)) / n, 0.2, 0.6))  # who copies a prompt has no card in common
        out.append(
            evidence(
                "benign.copied_prompt", value, round(purity, 4), 0.15,
                "used once or twice by people who do other things",
            )
        )  # fmt: skip
    # people who were there before, and mostly do other things
    own = (group.rows["first"] < group.first - 2 * 3_600_000) & (group.purity < 0.4)
    own_life = int(np.count_nonzero(own)) / n
    if own_life > 0.3:
        value = -2.0 * ramp(own_life, 0.3, 0.8)
        out.append(
            evidence(
                "benign.own_life", value, round(own_life, 4), 0.3, f"{own_life:.0%} mostly did other things, and before"
            )
        )
    systems = [token for token in group.tokens if token.kind == SYSTEM]
    if turns < 0.6 and (app := _app(group)) > 0.6:
        value = -7.0 * ramp(app, 0.6, 0.9) * talks
        detail = f"{app:.0%} show one system prompt, in conversations: one turn in {1 / max(turns, 0.01):.0f} opens one"
        out.append(evidence("benign.tool", value, round(turns, 4), 0.6, detail))
    if systems and not any(token.kind in (TEMPLATE, TAIL) for token in group.tokens):
        out.append(evidence("benign.app", -3.0, len(systems), 0, "only a system prompt in common: an app's users"))
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


def total(items: list[Evidence]) -> float:
    """Sum of the contributions, rounded to 6 digits."""
    return round(sum(item.contribution for item in items), 6)
