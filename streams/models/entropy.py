"""Store River's running entropy of a small set of codes.

Its counter grows with the number of distinct values: feed it codes of a bounded set (a topic, a model index, an hour).
"""

from typing import Any

from river.stats import Entropy

from streams.errors import StateError

from .checked import Dump, count, real, sequence

CODES_MAX = 256  # our largest set of codes is the hour of the week, 168


def dump_entropy(model: Entropy) -> Dump:
    """Return (fading factor, eps, entropy, then code and count in code order); codes are integers."""
    if len(model.counter) > CODES_MAX:
        raise ValueError(f"an Entropy of more than {CODES_MAX} codes is not bounded")
    counter: dict[Any, int] = model.counter
    pairs = [int(number) for pair in sorted(counter.items()) for number in pair]
    return (float(model.fading_factor), float(model.eps), float(model.entropy), *pairs)


def load_entropy(values: object) -> Entropy:
    """Rebuild from `dump_entropy`; raises `StateError`."""
    stored = sequence(values, None, "Entropy")
    if not 3 <= len(stored) <= 3 + 2 * CODES_MAX or len(stored) % 2 == 0:
        raise StateError("stored Entropy has the wrong length")
    model = Entropy(real(stored[0], "Entropy", 1e-9, 1), real(stored[1], "Entropy", 1e-300, 1e-3))
    model.entropy = real(stored[2], "Entropy")
    previous = -1
    for code, seen in zip(stored[3::2], stored[4::2], strict=True):
        previous = count(code, "Entropy", previous + 1)
        model.counter[previous] = count(seen, "Entropy", 1)
    model.n = model.counter.total()
    return model
