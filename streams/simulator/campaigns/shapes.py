"""The hostile shapes by name, with their default parameters.

`benchmark` says which of them, with which parameters, are the rows of the benchmark.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from streams.errors import InputError
from streams.simulator.campaigns import pooled, relay, theft
from streams.simulator.campaigns.spec import Campaign, CampaignSpec
from streams.simulator.population import Span
from streams.simulator.rhythm import DAY_MS, HOUR_MS

FEWEST = 12  # accounts of a pool that is made smaller


class Shape(NamedTuple):
    """A shape's default parameters and its builder."""

    default: CampaignSpec
    make: Callable[[Span, CampaignSpec, str], list[Campaign]]


SHAPES: dict[str, Shape] = {
    shape.default.shape: shape
    for shape in (
        Shape(CampaignSpec("fixed_prompt", 60, 90.0), pooled.templated),  # D1
        Shape(CampaignSpec("template_variants", 80, 80.0, variants=60, items="codegen"), pooled.templated),  # D2
        Shape(CampaignSpec("paraphrase", 80, 80.0), pooled.paraphrase),  # D3
        Shape(CampaignSpec("low_and_slow", 150, 13.0, variants=3, items="flan_cot"), pooled.templated),  # D4
        Shape(CampaignSpec("hydra", 200, 240.0, share=0.1, items="gsm8k_backward"), pooled.templated),  # D5
        Shape(CampaignSpec("failover", 100, 90.0, pools=2, variants=8), pooled.failover),  # D6
        Shape(CampaignSpec("model_pivot", 60, 90.0, variants=8, items="codegen"), pooled.pivot),  # D7
        Shape(CampaignSpec("reseller", 6, 4_500.0), relay.reseller),  # D8
        Shape(CampaignSpec("stolen_key", 1, 18_000.0, start_h=0.5), theft.stolen_key),  # D9
        Shape(CampaignSpec("technique_search", 60, 120.0, variants=1_500, purpose="disguise"), pooled.search),  # D10
        Shape(CampaignSpec("grading", 50, 60.0, variants=4, purpose="grading", items="arena_pairs"), pooled.templated),
        Shape(CampaignSpec("two_in_pool", 80, 90.0), pooled.two_in_pool),  # D12
        Shape(CampaignSpec("two_pools", 80, 90.0, pools=2), pooled.templated),  # D12
        Shape(
            CampaignSpec("poisoning", 80, 60.0, start_h=0.0, variants=8, plan="edu", use="api", segment_share=0.5),
            pooled.templated,
        ),  # D14
        Shape(CampaignSpec("clean_infrastructure", 80, 60.0, evade="clean"), pooled.templated),  # D15
        Shape(
            CampaignSpec("burner", 120, 300.0, variants=4, items="toolformer", purpose="tools"), pooled.burner
        ),  # D16
    )
}
DEFAULTS = {name: shape.default for name, shape in SHAPES.items()}


def expected(span: Span, spec: CampaignSpec) -> float:
    """Estimate the hostile exchanges of a campaign; 0 for stolen keys, which a share of the traffic does not size."""
    start, end = pooled.window(span, spec)
    if spec.shape == "burner":
        return spec.accounts * pooled.BURNER_EXCHANGES * spec.share
    active = {"stolen_key": 0.0, "failover": 1 / spec.pools}.get(spec.shape, 1.0)
    return active * spec.accounts * spec.per_day * spec.share * (end - start) / DAY_MS


def sized(span: Span, specs: list[CampaignSpec], share: float, benign: float) -> list[CampaignSpec]:
    """Size campaigns so that their hostile exchanges are a share of all traffic, in proportion to what they were.

    The number of accounts changes, and once it would be less than `FEWEST` for each pool, the hours. ``benign`` counts
    the benign exchanges; cover traffic belongs to all, not to the hostile. Raises `InputError` if there is no way.
    """
    hostile = [expected(span, spec) for spec in specs]
    cover = sum(count * (1 / spec.share - 1) for count, spec in zip(hostile, specs, strict=True))
    left = sum(hostile) * (1 - share) - cover * share
    if left <= 0:
        raise InputError(
            f"no traffic is {share:.2%} hostile where cover traffic is {cover / (sum(hostile) or 1):.0f} x"
        )
    factor = share * benign / left
    found = []
    for spec, count in zip(specs, hostile, strict=True):
        if not count:
            found.append(spec)
            continue
        accounts = max(round(spec.accounts * factor), min(spec.accounts, FEWEST * spec.pools))
        part = spec.accounts * factor / accounts
        start, end = pooled.window(span, spec)
        hours = spec.hours if part >= 1 or spec.shape == "burner" else part * (end - start) / HOUR_MS
        found.append(msgspec.structs.replace(spec, accounts=accounts, hours=hours))
    return found


def build(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Build the campaigns of a shape (two for some); ``name`` is the id and the name of the random stream."""
    return SHAPES[spec.shape].make(span, spec, name)
