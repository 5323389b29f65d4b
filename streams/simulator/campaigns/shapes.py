"""The hostile shapes by name, with their default parameters.

`benchmark` says which of them, with which parameters, are the rows of the benchmark.
"""

from collections.abc import Callable
from typing import NamedTuple

from streams.simulator.campaigns import pooled, relay, theft
from streams.simulator.campaigns.spec import Campaign, CampaignSpec
from streams.simulator.population import Span


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


def build(span: Span, spec: CampaignSpec, name: str) -> list[Campaign]:
    """Build the campaigns of a shape (two for some); ``name`` is the id and the name of the random stream."""
    return SHAPES[spec.shape].make(span, spec, name)
