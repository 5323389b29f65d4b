"""Evidence is counted in nats: natural logarithms of likelihood ratios, which add up."""

from typing import Any

from streams.contracts.alert import Evidence


def evidence(indicator: str, contribution: float, value: Any, baseline: Any, detail: str) -> Evidence:
    """An item as published: rounded to 6 digits, so that what adds up is what is shown."""
    return Evidence(indicator, round(float(contribution), 6), value, baseline, detail)


def ramp(x: float, low: float, high: float) -> float:
    """0 below ``low``, 1 above ``high``, linear between."""
    return min(1.0, max(0.0, (x - low) / (high - low)))


def total(items: list[Evidence]) -> float:
    """Sum of the contributions, rounded to 6 digits."""
    return round(sum(item.contribution for item in items), 6)
