"""The hostile shapes of the benchmark, D1 to D16, as campaigns that ``stillwatch simulate --campaign`` takes.

Print the table of the README with ``python -m streams.simulator.campaigns.benchmark``.
"""

from typing import NamedTuple

FEB, SEP = "Anthropic, February 2026", "Anthropic, September 2026"


class Row(NamedTuple):
    """A hostile shape: its number, what it is, after which report, and the campaigns that show it."""

    number: str
    what: str
    report: str
    campaigns: tuple[str, ...]


ROWS = (
    Row("D1", "one fixed prompt over many accounts", SEP, ("fixed_prompt", "fixed_prompt:place=system")),
    Row("D2", "variants of a template", FEB, ("template_variants", "template_variants:variants=10000")),
    Row("D3", "paraphrased for each request: focus only", FEB, ("paraphrase",)),
    Row("D4", "low and slow: 13 requests per account and day", f"{SEP} (0.4 M over 1,500 accounts)", ("low_and_slow",)),
    Row(
        "D5",
        "hydra: cover traffic, 10 %, 5 % and 1 % distillation",
        FEB,
        ("hydra:share=0.1", "hydra:share=0.05", "hydra:share=0.01"),
    ),
    Row("D6", "pool banned, a second takes over", SEP, ("failover", "failover:turn_h=12")),
    Row("D7", "pivot to a new model within a day", FEB, ("model_pivot",)),
    Row(
        "D8",
        "reseller's relay: 54,000 calls over 6 or 300 accounts",
        "nuclide-research.com, insight 39",
        ("reseller:accounts=6,per_day=4500,hours=48", "reseller:accounts=300,per_day=90,hours=48"),
    ),
    Row("D9", "stolen key: a probe, hours later a burst", "anthropics/claude-code#96048", ("stolen_key",)),
    Row(
        "D10",
        "search for a technique, mostly refused, then scale-up",
        SEP,
        ("technique_search", "technique_search:variants=12000"),
    ),
    Row("D11", "grading and rubrics", f"{FEB}; {SEP}", ("grading", "grading:purpose=rubric")),
    Row("D12", "two campaigns in one pool, one over two pools", SEP, ("two_in_pool", "two_pools")),
    Row(
        "D13",
        "evasions, alone or joined with +",
        "Glasswally's list of evasions; AA26-251A",
        (
            *(
                f"template_variants:evade={name}"
                for name in ("jitter", "rotate", "human_hours", "aged", "split_payment", "own_networks", "residential")
            ),
            "hydra:evade=copied_cover",
        ),
    ),
    Row(
        "D14",
        "baseline poisoned: from the first minute, half of a segment",
        "no report: what a detector that keeps learning learns",
        ("fixed_prompt:start_h=0", "poisoning", "poisoning:segment_share=0.5,plan=pro,use=code"),
    ),
    Row(
        "D15",
        "clean infrastructure: one prompt, variants, paraphrase",
        "AA26-251A",
        ("clean_infrastructure", "clean_infrastructure:variants=60", "paraphrase:evade=clean"),
    ),
    Row("D16", "burner accounts, replaced after some 50 requests", FEB, ("burner",)),
)


def table() -> str:
    """Render the rows in Markdown."""
    lines = ["| | shape | after | `--campaign` |", "|---|---|---|---|"]
    for row in ROWS:
        campaigns = "<br>".join(f"`{text}`" for text in row.campaigns)
        lines.append(f"| {row.number} | {row.what} | {row.report} | {campaigns} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
