"""What one exchange contributes, binned: 64 bits that travel to the campaigns stage as one column.

Stage 1 cannot score against a reference that lives in stage 3: it sends bins, campaigns computes likelihood ratios.
"""

from typing import Any

import numpy as np

TOPICS = (
    "unknown", "coding", "math", "agentic", "writing", "translation", "roleplay", "qa", "data", "law", "medical",
    "finance", "chat", "science", "reserved", "other",
)  # fmt: skip
TOPIC_CODES = {name: code for code, name in enumerate(TOPICS)}
OTHER_TOPIC = TOPIC_CODES["other"]

NOVELTY_FROM = 3  # of the first two exchanges everything is new

ANSWERED, REFUSED, THROTTLED, FAILED = range(4)  # outcome of an exchange

# field -> (shift, bits)
LAYOUT: dict[str, tuple[int, int]] = {
    "outcome": (0, 2),
    "elicitation": (2, 3),  # 0 unknown, then quarters of 0..1 from 1 to 4
    "grading": (5, 3),  # the same
    "topic": (8, 4),
    "output": (12, 4),  # log2 of output tokens, 0..15
    "input": (16, 4),  # log2 of input tokens
    "gap": (20, 4),  # log2 of seconds since the account's exchange before, 15: none before
    "first_turn": (24, 1),
    "tools": (25, 1),
    "cached": (26, 1),
    "rate_surprise": (28, 3),  # standard deviations below the account's own mean log gap (River EWMean, EWVar)
    "size_surprise": (31, 3),  # standard deviations above its own mean log output
    "input_surprise": (34, 2),  # doublings above its own median input (River Quantile), in steps of 2
    "rate_change": (36, 1),  # River PageHinkley saw its rate change with this exchange
    "new_network": (37, 1),  # first sighting, from the account's third exchange on
    "new_client": (38, 1),
    "new_model": (39, 1),
    "new_country": (40, 1),
    "established": (41, 1),  # the account has 8 exchanges or more
    "other_network": (42, 1),  # none of the four networks that the account visits from most
    "other_client": (43, 1),
    "model": (44, 8),  # 8 bits of the model name's hash
    "new_template": (53, 1),  # the account never showed this template before
    "new_near_prompt": (52, 1),  # no near prompt by this account within the horizon
}


def field(bins: Any, name: str) -> Any:
    """One field of a uint64 column."""
    shift, bits = LAYOUT[name]
    return (bins >> np.uint64(shift)) & np.uint64((1 << bits) - 1)


def put(name: str, value: int) -> int:
    """``value`` (already in range) moved to the place of the field."""
    return value << LAYOUT[name][0]


def log2_bin(value: int) -> int:
    """0 for 0, else 1 + floor(log2), at most 15."""
    return min(value.bit_length(), 15)


def share_bin(share: float | None) -> int:
    """0 for unknown, 1 to 4 by quarters of 0..1."""
    return 0 if share is None else min(1 + int(share * 4), 4)


def outcome(status: int, refused: bool) -> int:
    """Class of an exchange: answered, refused, throttled or failed.

    Refused is what a model or a guard refused. 403 and 451 alone are not: a ban, a key without rights and a country
    that is not served look like that, whatever was asked.
    """
    if refused:
        return REFUSED
    if 200 <= status < 300:
        return ANSWERED
    return THROTTLED if status == 429 else FAILED
