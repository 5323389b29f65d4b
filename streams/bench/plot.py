"""Bars of events a second per core, as SVG without a library."""

from collections.abc import Sequence
from html import escape

from streams.bench.table import Line

WIDTH, LABELS, NUMBERS = 760, 280, 90
ROW, TOP = 26, 40
OURS, THEIRS, LIMITS = "#0072B2", "#D55E00", "#8A8A8A"  # Okabe and Ito (2008): told apart by all eyes
FOREIGN = {"faust", "faust-take", "quix", "bytewax"}
BOUNDS = {"aiokafka", "confluent", "decode", "worker-decode"}


def bars(lines: Sequence[Line], title: str) -> str:
    """Draw the median of each line that counts, and from least to largest a thin line. Returns the SVG document."""
    drawn = [line for line in lines if not line.void]
    rates = [tuple(1e6 / us for us in line.cpu_us_per_event) for line in drawn]
    scale = (WIDTH - LABELS - NUMBERS) / max([1.0, *(rate for spread in rates for rate in spread)])
    height = TOP + ROW * len(drawn) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="14">events/s a core, by CPU time: {escape(title)}</text>',
    ]
    for i, (line, (middle, largest, least)) in enumerate(zip(drawn, rates, strict=True)):
        y = TOP + ROW * i
        colour = THEIRS if line.name in FOREIGN else LIMITS if line.name in BOUNDS else OURS
        out += [
            f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(line.label)}</text>',
            f'<rect x="{LABELS}" y="{y + 2}" width="{middle * scale:.1f}" height="{ROW - 10}" fill="{colour}"/>',
            f'<path d="M{LABELS + least * scale:.1f},{y + 10} H{LABELS + largest * scale:.1f}" stroke="#000"/>',
            f'<text x="{LABELS + max(middle, largest) * scale + 6:.1f}" y="{y + 14}">{middle:,.0f}</text>',
        ]
    return "\n".join([*out, "</svg>", ""])
