"""What explains a group without a campaign: an employer, a site, a course, a tool, an app, a public list."""

from collections import Counter
from typing import Any

import numpy as np

from streams.campaigns.contents import counts, diversity, listed, unlisted, wrappers
from streams.campaigns.group import Group, median
from streams.campaigns.nats import evidence, ramp
from streams.campaigns.table import PLANS
from streams.contracts.alert import Evidence
from streams.contracts.packets import DEVICE, NEAR_HIGH, NETWORK, PAYMENT, SYSTEM, TAIL, TEMPLATE

DAY_MS = 86_400_000
EDU = PLANS.index("edu")
YOUNG_D = 45
DOMAIN_OTHERS_MIN = 10  # accounts of a mail domain outside of a group that tell whether it is a school's
# Of single questions. Ten companies that run one review action, each question new, have 11.5 to 13 nats without it
# (simulated without turns: 7 of 8 seeds), and 120 have up to 16.5. What is shared and a purpose give 15.7 at most: a
# case needs coordination, too.
TOOL_OF_STRANGERS = -6.0
# Of those who show its system prompt: a tool has several templates, and a group is those of one who came so far. That
# of a chat window, or of a popular harness, has thousands.
TOOL_OWN_SHARE = 0.2
ONE_SHARE = 0.6  # of the accounts, that one card, device or network is shared by: one payer, or one site


def strangers(group: Group) -> float:
    """0..1: how little infrastructure the accounts have in common."""
    return 1.0 - max(ramp(max(len(group.paid), len(group.pooled)) / len(group), 0.05, 0.3), group.payers)


def apart(group: Group) -> float:
    """0..1: how surely a tool's or an app's users are strangers: few share cards or devices, or one payer has most.

    Networks do not count: machines that come and go in the same regions of a cloud meet by chance, 23 of 30 accounts of
    simulated review bots. Of a campaign's accounts half share cards or devices, among a few each.
    """
    kinds = (PAYMENT, DEVICE, NETWORK)  # one client program is a router's, too
    widest = max((len(rows) for token, rows in group.infrastructure.values() if token.kind in kinds), default=0)
    if widest > ONE_SHARE * len(group):
        return 1.0
    return 1.0 - max(ramp(len(group.paid) / len(group), 0.15, 0.4), group.payers)


def own(group: Group, unlike: float) -> float:
    """0..1: how surely what is so ``unlike`` a public list is the group's own, and no open tool used on the side."""
    return unlike * max(1.0 - strangers(group), ramp(median(group.purity), 0.1, 0.4))


def one_network(group: Group) -> float:
    """Largest share of the accounts that one network is used by."""
    networks = (len(rows) for shared, rows in group.infrastructure.values() if shared.kind == NETWORK)
    return max(networks, default=0) / len(group)


def one_school(group: Group) -> float:
    """0..1: how surely the accounts are one school's: they have its mail domain in common, or its network.

    A school's domain is one of whose other accounts many are on education plans. Accounts on such plans can be bought
    like others; those of one school are the school's to answer for.
    """
    if (behind_one := ramp(one_network(group), 0.15, 0.35)) >= 1.0:
        return 1.0
    everybody, mails = group.table.used, group.rows["mail"]  # a look at all of a million accounts takes 10 ms
    if not mails[group.rows["plan"] == EDU].any():  # this provider does not tell mail domains, or not those of students
        return behind_one if bool((everybody["mail"][everybody["plan"] == EDU] > 0).any()) else 1.0
    shown = Counter(mails[(group.rows["plan"] == EDU) & (mails > 0)].tolist())
    domain, _ = max(shown.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    with_domain = ramp(int(np.count_nonzero(mails == domain)) / len(group), 0.15, 0.35) if domain else 0.0
    if with_domain <= behind_one:
        return behind_one
    of_domain = everybody["mail"] == domain
    others = of_domain.copy()
    others[group.at] = False
    if int(others.sum()) >= DOMAIN_OTHERS_MIN:  # a public one has; of a small school's a class may be all
        of_domain = others
    plans = everybody["plan"][of_domain]
    theirs = int(np.count_nonzero(plans == EDU)) / plans.size
    return max(behind_one, with_domain * ramp(theirs, 0.15, 0.4))


def app_share(group: Group) -> float:
    """Largest share of the accounts that show one system prompt."""
    shown = Counter(token for row in group.at.tolist() for token in group.shared.system_of.get(row, ()))
    return max(shown.values(), default=0) / len(group)


def _tool_of_strangers(group: Group, now: int) -> float:
    """Nats against a group that shows a system prompt which is a tool's, and not half the world's."""
    shown = Counter(token for row in group.at.tolist() for token in group.shared.system_of.get(row, ()))
    tokens = group.shared.tokens
    most = max((n for token, n in shown.items() if n >= TOOL_OWN_SHARE * len(tokens[token].members)), default=0)
    created = group.rows["created"].astype(np.int64)
    settled = int(np.count_nonzero((created > 0) & (now // DAY_MS - created >= YOUNG_D))) / len(group)
    return TOOL_OF_STRANGERS * ramp(most / len(group), 0.6, 0.9) * ramp(settled, 0.4, 0.7) * apart(group)


def young_share(group: Group, now: int) -> float:
    """Share of the accounts of known age that are younger than 45 days."""
    created = group.rows["created"]
    known = created > 0
    young = known & (now // DAY_MS - created.astype(np.int64) < YOUNG_D)
    return int(np.count_nonzero(young)) / max(1, int(np.count_nonzero(known)))


def unproven(group: Group) -> list[Evidence]:
    """What strangers share may be an open tool, or a list of which little has been sent yet: that repeats nothing."""
    # such come with a few prompts, not with dozens
    templates = sum(token.kind == TEMPLATE for token in group.tokens)
    alone = strangers(group)
    value = -3.0 * alone * (1.0 - own(group, max(unlisted(group), ramp(templates, 8, 24))))
    different = counts(wrappers(group))[2]
    detail = f"strangers, who may all run a public list or use an open tool: {different} contents so far"
    return [evidence("benign.unproven", value, round(1.0 - alone, 4), 0.05, detail)]


def copies(group: Group) -> list[Evidence]:
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


def explanations(group: Group, owners: Any, n: int, now: int) -> list[Evidence]:
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
    settled = 1.0 - ramp(young_share(group, now), 0.3, 0.6)
    talks = ramp(0.6 - turns, 0.0, 0.3) * settled
    edu = int(np.count_nonzero(group.rows["plan"] == EDU)) / n
    # A homework in everybody's own words differs in each of them, but is talked about: soon one exchange in three opens
    # a conversation, and in the first half hour, while most are at their beginning, half of them do.
    alike = max(ramp(0.7 - turns, 0.0, 0.3) * settled, float(diversity(group) < 0.3))
    if edu > 0.3 and alike and (school := one_school(group)):
        # With 5 nats, three of eight courses of 500 whose homework asks for the working were cases (`FULL_SIZES`).
        value = -8.0 * ramp(edu, 0.3, 0.5) * alike * school
        detail = f"{edu:.0%} on education plans, contents alike or talked about, at one school as far as is known"
        out.append(evidence("benign.course", value, round(edu, 4), 0.1, detail))
    # who runs a public benchmark or the same probes sends what others sent; a campaign divides its work
    if as_list := listed(group):
        exchanges, repeated, different = counts(wrappers(group))
        again = repeated / exchanges
        detail = f"{again:.0%} of the exchanges repeat one of {different} contents: a public list"
        out.append(evidence("benign.benchmark", -4.0 * as_list, round(again, 4), 0.05, detail))
    median_uses, purity = median(group.uses), median(group.purity)
    if n >= 5 and median_uses <= 2 and purity < 0.15:
        value = -3.0 * (1.0 - ramp(len(group.paid) / n, 0.2, 0.6))  # who copies a prompt has no card in common
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
    app = app_share(group)
    alone = apart(group) if systems and len(systems) == len(group.tokens) else 1.0
    talked = -7.0 * ramp(app, 0.6, 0.9) * talks * alone
    asked = _tool_of_strangers(group, now) if app > 0.6 else 0.0
    if min(talked, asked) < 0.0:
        value, how = turns, f"one turn in {1 / max(turns, 0.01):.0f} opens a conversation"
        if asked < talked:
            value, how = app, "few others do, and they have little else in common"
        detail = f"{app:.0%} show one system prompt: {how}"
        out.append(evidence("benign.tool", min(talked, asked), round(value, 4), 0.6, detail))
    if systems and not any(token.kind in (TEMPLATE, TAIL) for token in group.tokens):
        value = -3.0 * apart(group)
        out.append(evidence("benign.app", value, len(systems), 0, "only a system prompt in common: an app's users"))
    return out
