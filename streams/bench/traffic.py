"""The events of a benchmark: the simulator's default mix with its campaigns running, as a file of lines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan, campaigns

REPORT_EVENTS = 5_000
CAMPAIGNS_START_H = 0.05  # early, so that there are alerts to compare


class Traffic(msgspec.Struct):
    """What was written."""

    path: str
    events: int
    size_bytes: int
    accounts: int  # that exist; those that show up are fewer

    def lines(self) -> Iterator[bytes]:
        """Events in order, without line ends."""
        with open(self.path, "rb") as file:
            for line in file:
                yield line[:-1]


def write_traffic(path: Path, accounts: int, events: int, seed: int, report: Callable[[int], object]) -> Traffic:
    """Write ``events`` exchanges of ``accounts`` accounts; the event time that this covers follows from their rates."""
    hours = 1.0
    while (run := _simulation(seed, accounts, hours)).expected_events < 1.2 * events:
        hours *= 2
    written = 0
    count = 0
    with path.open("wb") as file:
        for event in run:
            written += file.write(event.value + b"\n")
            count += 1
            if count % REPORT_EVENTS == 0:
                report(count)
            if count == events:
                break
    total = sum(len(population.accounts) for population in run.populations)
    return Traffic(str(path), count, written - count, total)


def _simulation(seed: int, accounts: int, hours: float) -> Simulation:
    specs = tuple(msgspec.structs.replace(spec, start_h=CAMPAIGNS_START_H) for spec in campaigns("default"))
    return Simulation(Plan(seed=seed, accounts=accounts, hours=hours, campaigns=specs, prompts="fingerprints"))
