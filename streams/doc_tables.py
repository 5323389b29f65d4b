"""Tables of the documentation that are made from code, so that neither can say what the other does not.

Print one with ``python -m streams.doc_tables river`` or ``... indicators``; a test holds the pages against them.
"""

import sys
from collections.abc import Callable, Iterable

from streams.accounts.account import ACCOUNT_MODELS
from streams.campaigns.cluster_models import CLUSTER_MODELS
from streams.campaigns.reference import PRIOR, REFERENCE_MODELS
from streams.contracts.indicators import INDICATORS
from streams.models import MODELS

# per what -> model -> what it follows, and the evidence it enters
MEANINGS: dict[str, dict[str, tuple[str, str]]] = {
    "account": {
        "gap_mean": ("usual pause between exchanges, log2 s", "I19"),
        "gap_var": ("its spread", "I19"),
        "size_mean": ("usual answer length, log2 tokens", "I21"),
        "size_var": ("its spread", "I21"),
        "input_median": ("usual prompt length, log2 tokens", "I21"),
        "rate_change": ("a lasting change of its rate", "I10"),
    },
    "group": {
        "volume_mean": ("exchanges a minute", "I10"),
        "volume_var": ("their spread: a metronome or people", "I10"),
        "purpose": ("share of exchanges with a purpose, a minute", "I9"),
        "arrivals": ("new accounts a minute", "I14"),
    },
    "plan": {
        "forest": ("windows of clean accounts, eight features", "I21, I19"),
        "score_mean": ("the forest's score of clean accounts", "I21, I19"),
        "score_var": ("its spread", "I21, I19"),
    },
    "detector": {
        "elicit": ("share of benign groups that ask for reasoning", "I4"),
        "grading": ("share of benign groups that grade", "I8"),
    },
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def river() -> str:
    """Every River model that learns while the stream runs, one for each account, group, plan, or in all."""
    used = {
        "account": ACCOUNT_MODELS,
        "group": CLUSTER_MODELS,
        "plan": REFERENCE_MODELS,
        "detector": dict.fromkeys(PRIOR, "beta"),
    }
    rows = []
    for unit, models in used.items():
        for name, kind in models.items():
            follows, indicators = MEANINGS[unit][name]
            cls = MODELS[kind].river
            rows.append((f"`{cls.__module__.split('.')[1]}.{cls.__name__}`", unit, f"`{name}`", follows, indicators))
    return _table(("River class", "one per", "model", "what it follows", "evidence"), rows)


def indicators() -> str:
    """Every numbered indicator with its axis and what it reads."""
    return _table(
        ("indicator", "axis", "what it reads"), ((name, axis, text) for name, (axis, text) in INDICATORS.items())
    )


TABLES: dict[str, Callable[[], str]] = {"river": river, "indicators": indicators}


def main() -> None:
    """Print the table that is named."""
    if len(sys.argv) != 2 or sys.argv[1] not in TABLES:
        raise SystemExit(f"usage: python -m streams.doc_tables {'|'.join(TABLES)}")
    print(TABLES[sys.argv[1]]())


if __name__ == "__main__":
    main()
