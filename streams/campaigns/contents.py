"""Whether what a group's prompts wrap is work of its own, or comes from a list that anybody may run.

A public test set has some hundred to some thousand questions: whoever runs it sends what others sent, as birthdays
coincide, while a campaign divides its work. Cannot see: lists that are much longer, and what few exchanges do not show.
"""

import math
from collections import Counter

from streams.campaigns.families import PHRASES
from streams.campaigns.group import Group
from streams.campaigns.nats import ramp
from streams.campaigns.shared import CONTENTS_MAX, SharedToken
from streams.contracts.packets import TEMPLATE

LIST_CONTENTS = 1_500  # of a usual public test set: GSM8K has 1,319 questions, ARC 1,172, TruthfulQA 817, HumanEval 164
# Nats, from no say to all of it. One list of that length in 2,000 would ever get to the end (Ville's inequality). With
# one in 150 and one in 650 a release day's rush was a case on one seed each (demo 40039; tuning 6, where 371 exchanges
# repeated 4 of which 13 were to be expected).
UNLISTED_FROM, UNLISTED_TO = 2.5, 7.6
RESENT_SHARE = 0.01  # of a campaign's exchanges repeat another one's content; simulated campaigns: at most 0.017


def wrappers(group: Group) -> list[SharedToken]:
    """The tokens that most of a group's exchanges go through, each exchange once.

    Its templates; but where how prompts begin, or end, explains more than twice as many exchanges, that and these: a
    question that two accounts send looks like a template of theirs. Its system prompts, if it has nothing else.
    """
    exchanges = Counter[int]()
    for token in group.tokens:
        exchanges[token.kind] += token.exchanges
    phrase = max(PHRASES, key=lambda kind: exchanges[kind])  # what no template explains may count for both
    if exchanges[phrase] > 2 * exchanges[TEMPLATE]:
        return [token for token in group.tokens if token.kind in (TEMPLATE, phrase)]
    return [token for token in group.tokens if token.kind == TEMPLATE] or group.tokens


def diversity(group: Group) -> float:
    """How far contents differ, 0..1: 0 for one text sent by everybody, 1 for a new text in every exchange.

    0 also where no exchange tells its content.
    """
    tokens = wrappers(group)
    contents = sum(len(token.contents) for token in tokens)
    return contents / max(1, sum(min(token.told, CONTENTS_MAX) for token in tokens))


def counts(tokens: list[SharedToken]) -> tuple[int, int, int]:
    """Exchanges that tell their content, those whose content the same prompt had wrapped before, different contents."""
    exchanges, different = sum(token.told for token in tokens), sum(token.different for token in tokens)
    return exchanges, exchanges - different, different


def listed(group: Group) -> float:
    """0..1: how surely contents come from a list that others send, too, by the share that repeats another one."""
    tokens = wrappers(group)
    later, again = sum(token.later for token in tokens), sum(token.again for token in tokens)
    # of a list of 2,000 a quarter is among the remembered ones; of a campaign's own, augmented ones a tenth is at most
    found = ramp(again / later, 0.1, 0.25) * ramp(later, 50, 100) if later else 0.0
    exchanges, repeated, different = counts([token for token in tokens if not token.later])
    if different < 12 or repeated <= RESENT_SHARE * exchanges:
        return found
    # few, but more than clients that try again make: a list of a thousand shows at the hundredth exchange
    share, usual = repeated / exchanges, RESENT_SHARE * exchanges
    surprise = (repeated - usual) / math.sqrt(usual + 1.0)
    # so few are what a list repeats at its beginning; once it would have repeated far more, they are a campaign's own
    few = ramp(surprise, 1, 4) * ramp(share, 0.015, 0.03) * (1.0 - unlisted(group))
    return max(found, ramp(share, 0.05, 0.35), few)


def unlisted(group: Group) -> float:
    """0..1: how surely contents come from no public list, which repeats itself by chance as birthdays do.

    A likelihood ratio of two rates at which contents come again (Poisson): a campaign's, and that of who draws from a
    list of `LIST_CONTENTS` and never sends a text twice. Cannot tell a list that is much longer.
    """
    exchanges = repeated = 0
    expected = 0.0
    for token in wrappers(group):
        exchanges += token.told
        repeated += token.told - token.different
        early = token.told - token.later
        expected += early + LIST_CONTENTS * math.expm1(-early / LIST_CONTENTS)
        expected += token.later * CONTENTS_MAX / LIST_CONTENTS
    resent = RESENT_SHARE * exchanges
    if expected <= resent:
        return 0.0
    return ramp(expected - resent - repeated * math.log(expected / resent), UNLISTED_FROM, UNLISTED_TO)
