"""The hostile shapes of the benchmark, D1 to D16, and what is measured of each: reads `benchmark.toml`, the one source.

Print the table of the simulator's README with ``python -m streams.simulator.campaigns.benchmark``, that of the
evaluation's with ``python -m streams.evaluate.rows``.
"""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec


class Set(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that run together, at the same time over the same benign accounts."""

    hours: float
    accounts: int = 0  # benign ones; 0: as many as asked for
    release_h: float | None = None


class ShapeRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One campaign that is measured, with its goal; see `streams.evaluate.rows.Row`."""

    title: str
    set: str
    campaign: str
    name: str = ""  # of several rows of a shape
    goal: float | None = None
    unit: str = "leaked"
    like: str = ""
    bound: bool = False


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hostile shape: its number, what it is, after which report, what is measured of it, what else shows it."""

    id: str
    what: str
    report: str
    rows: tuple[ShapeRow, ...]
    more: tuple[str, ...] = ()

    @property
    def campaigns(self) -> tuple[str, ...]:
        """All that ``stillwatch simulate --campaign`` takes, those that are measured first."""
        return (*(row.campaign for row in self.rows), *self.more)


class Benchmark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    sets: dict[str, Set]
    shapes: tuple[Shape, ...]


@cache
def benchmark() -> Benchmark:
    """Read the file."""
    text = files("streams.simulator.campaigns").joinpath("benchmark.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Benchmark)


def table() -> str:
    """Render the shapes in Markdown."""
    lines = ["| | shape | after | `--campaign` |", "|---|---|---|---|"]
    for shape in benchmark().shapes:
        campaigns = "<br>".join(f"`{text}`" for text in shape.campaigns)
        lines.append(f"| {shape.id} | {shape.what} | {shape.report} | {campaigns} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
