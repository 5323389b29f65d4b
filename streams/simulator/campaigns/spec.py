"""The parameters of a campaign, and how they are written on the command line."""

import difflib
from typing import Any

import msgspec

from streams.errors import InputError
from streams.simulator.accounts import PLANS, STYLES
from streams.simulator.population import Population

ITEMS = ("gsm8k", "gsm8k_backward", "flan_cot", "codegen", "toolformer", "roleplay", "arena_pairs")
PURPOSES = ("reasoning", "grading", "rubric", "tools", "disguise")
PLACES = ("text", "system")
CLEAN = ("human_hours", "aged", "split_payment", "own_devices", "own_domains", "own_networks", "own_pace")
EVASIONS = (*CLEAN, "clean", "residential", "jitter", "rotate", "copied_cover", "sleepers")
# Shapes that are about customers, or about one owner's key, have no pool to recruit and nothing of their own to ask.
ONLY = dict.fromkeys(("reseller", "stolen_key"), ("accounts", "per_day", "start_h", "hours"))


class CampaignSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scripted campaign.

    ``per_day`` counts all exchanges of an account and day, ``share`` the part of them that is the campaign's purpose
    (the rest is cover traffic). ``start_h`` is counted from the start of the plan, ``hours`` 0 means to its end.
    ``turn_h`` is how long after its start the thing happens that some shapes are about: a ban, a switch of models, the
    scale-up after a search. ``pools`` share nothing with each other; ``place`` puts the instruction in the user's text
    or in the system prompt.
    ``opened`` is the share of accounts opened for the campaign, the rest are as old as benign ones.
    ``plan`` and ``use`` (chat, code, api) put all accounts into one segment; ``segment_share`` sets ``accounts`` so
    that the campaign is that share of the segment's traffic.
    ``purpose`` is one of `PURPOSES`, ``items`` one of `ITEMS`. ``evade`` joins names of `EVASIONS` with ``+``:

    - ``human_hours``: office hours in each account's time zone; ``jitter``: pauses and hours of irregular length;
      ``own_pace``: accounts of unequal load, not dealt out evenly;
    - ``aged``: none younger than two weeks; ``split_payment``, ``own_devices``, ``own_domains``: none shared;
      ``own_networks``: no exit shared; ``residential``: another address for each session;
    - ``rotate``: other wrappers every few hours; ``copied_cover``: cover traffic repeats prompts of benign accounts;
    - ``sleepers``: accounts that live an ordinary life, at the same rate, from the plan's start to the campaign's;
    - ``clean``: all of `CLEAN`. Networks stay of the kinds that benign accounts have: a pool of programs that all sit
      in households would be odd.
    """

    shape: str
    accounts: int
    per_day: float
    start_h: float = 1.0
    hours: float = 0.0
    share: float = 1.0
    variants: int = 1
    purpose: str = "reasoning"
    items: str = "gsm8k"
    pools: int = 1
    spread: float = 0.35  # sigma of the accounts' rates where they are not dealt out evenly
    place: str = "text"
    turn_h: float = 2.0
    opened: float = 0.1
    plan: str = ""
    use: str = ""
    segment_share: float = 0.0
    evade: str = ""

    def evades(self, name: str) -> bool:
        """Tell whether an evasion is switched on."""
        named = self.evade.split("+")
        return name in named or (name in CLEAN and "clean" in named)


class Campaign(msgspec.Struct):
    """A campaign in a plan: its truth besides the exchanges, and the population that carries it."""

    id: str
    spec: CampaignSpec
    category: str
    start_ms: int
    end_ms: int
    population: Population
    pools: list[list[int]]  # accounts by index that share infrastructure
    purpose: int = 1  # its number among the campaigns of the population
    moments: dict[str, int] = {}


def parameters(shape: str) -> tuple[str, ...]:
    """Return the parameters that a shape reads."""
    return ONLY.get(shape, CampaignSpec.__struct_fields__[1:])


def parse(text: str, defaults: dict[str, CampaignSpec]) -> CampaignSpec:
    """Read ``SHAPE[:key=value,...]``; raise `InputError` naming what is unknown and the nearest that is known.

    >>> parse("hydra:share=0.05", {"hydra": CampaignSpec("hydra", 100, 40.0)}).share
    0.05
    """
    shape, _, rest = text.partition(":")
    if shape not in defaults:
        raise InputError(
            f"there is no campaign shape {shape!r}{_nearest(shape, defaults)}; known are {', '.join(defaults)}"
        )
    values: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        name, equals, value = pair.partition("=")
        known = parameters(shape)
        if not equals or name not in known:
            raise InputError(
                f"campaign {shape} has no parameter {name!r}{_nearest(name, known)}; known are {', '.join(known)}"
            )
        values[name] = value
    base = msgspec.to_builtins(defaults[shape])
    try:
        spec = msgspec.convert({**base, **values}, CampaignSpec, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"campaign {text!r}: {error}") from None
    for name in filter(None, spec.evade.split("+")):
        if name not in EVASIONS:
            raise InputError(f"campaign {shape} knows no evasion {name!r}{_nearest(name, EVASIONS)}")
    if spec.evades("sleepers") and shape in ("burner", "technique_search"):
        raise InputError(f"campaign {shape} has no sleepers: its accounts begin when they are needed")
    for value, known in (
        (spec.purpose, PURPOSES),
        (spec.items, ITEMS),
        (spec.place, PLACES),
        (spec.plan, ("", *PLANS)),
        (spec.use, ("", *STYLES)),
    ):
        if value not in known:
            raise InputError(
                f"campaign {shape} knows no {value!r}{_nearest(value, known)}; known are {', '.join(known)}"
            )
    if (
        spec.accounts < spec.pools
        or spec.pools < 1
        or spec.per_day <= 0
        or not 0 < spec.share <= 1
        or spec.variants < 1
        or not 0 <= spec.segment_share < 1
    ):
        raise InputError(
            f"campaign {text!r}: accounts, pools, per_day and variants must be positive, share in (0, 1] and "
            "segment_share in [0, 1)"
        )
    return spec


def _nearest(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {found[0]!r}?)" if found else ""
