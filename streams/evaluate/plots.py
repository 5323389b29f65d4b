"""Line charts as SVG, without a library: a few curves, axes with ticks, a legend."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 190, 34, 48
# Okabe and Ito (2008): told apart by people who do not see all colours, and again in dashes after eight
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A8A00")
DASHES = ("", "6 3", "2 3")


class Curve(NamedTuple):
    """One line: its name and points; ``dots`` marks the points."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


def chart(title: str, x: str, y: str, curves: Sequence[Curve], *, log_x: bool = False, log_y: bool = False) -> str:
    """Draw curves; on a logarithmic axis points at or below 0 are left out. Returns the SVG document."""
    drawn = [
        Curve(c.name, [p for p in c.points if (p[0] > 0 or not log_x) and (p[1] > 0 or not log_y)], c.dots)
        for c in curves
    ]
    points = [p for c in drawn for p in c.points] or [(1.0, 1.0)]
    across = _Axis([p[0] for p in points], log_x, LEFT, WIDTH - RIGHT)
    up = _Axis([p[1] for p in points] + ([] if log_y else [0.0]), log_y, HEIGHT - BOTTOM, TOP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 20, title, size=14),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x, anchor="middle"),
        f'<g transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">{_text(0, 0, y, anchor="middle")}</g>',
    ]
    for value in across.ticks():
        at = across.at(value)
        out.append(_line(at, TOP, at, HEIGHT - BOTTOM))
        out.append(_text(at, HEIGHT - BOTTOM + 16, _number(value), anchor="middle"))
    for value in up.ticks():
        at = up.at(value)
        out.append(_line(LEFT, at, WIDTH - RIGHT, at))
        out.append(_text(LEFT - 6, at + 4, _number(value), anchor="end"))
    for i, curve in enumerate(drawn):
        style = f'stroke="{COLOURS[i % len(COLOURS)]}" stroke-dasharray="{DASHES[i // len(COLOURS) % len(DASHES)]}"'
        path = " ".join(f"{across.at(px):.1f},{up.at(py):.1f}" for px, py in curve.points)
        out.append(f'<polyline points="{path}" fill="none" stroke-width="1.8" {style}/>')
        if curve.dots:
            for px, py in curve.points:
                dot = (
                    f'<circle cx="{across.at(px):.1f}" cy="{up.at(py):.1f}" r="3" fill="{COLOURS[i % len(COLOURS)]}"/>'
                )
                out.append(dot)
        down = TOP + 8 + min(15.0, (HEIGHT - TOP - 16) / len(drawn)) * i
        out.append(f'<path d="M{WIDTH - RIGHT + 12},{down:.1f} h22" fill="none" stroke-width="1.8" {style}/>')
        out.append(_text(WIDTH - RIGHT + 40, down + 4, curve.name))
    return "\n".join([*out, "</svg>", ""])


def steps(values: Sequence[float | None]) -> list[tuple[float, float]]:
    """Share of the values that are at or below x, as a staircase; None is never reached.

    >>> steps([3.0, None])
    [(3.0, 0.0), (3.0, 0.5)]
    """
    found: list[tuple[float, float]] = []
    for i, value in enumerate(sorted(v for v in values if v is not None)):
        found += [(value, i / len(values)), (value, (i + 1) / len(values))]
    return found


class _Axis:
    def __init__(self, values: Sequence[float], log: bool, start: float, end: float) -> None:
        self._log, self._start, self._end = log, start, end
        self.low, self.high = min(values), max(values)
        if log:
            self.low = float(math.floor(math.log10(self.low)))
            self.high = float(math.ceil(math.log10(self.high)))
        if self.high <= self.low:
            self.high = self.low + 1

    def at(self, value: float) -> float:
        place = ((math.log10(value) if self._log else value) - self.low) / (self.high - self.low)
        return self._start + place * (self._end - self._start)

    def ticks(self) -> list[float]:
        if self._log:
            return [10.0**e for e in range(int(self.low), int(self.high) + 1)]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step = next(step * m for m in (1, 2, 5, 10) if (self.high - self.low) / (step * m) <= 6)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        return f"{value:.0e}"
    return f"{value:,.6g}"


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'
