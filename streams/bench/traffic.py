"""The events of a benchmark: the simulator's default mix with its campaigns running, as a file of lines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan, campaigns

REPORT_EVENTS = 5_000
CAMPAIGNS_START_H = 0.05  # early, so that there are alerts to compare
TEXT_CHARS = 600  # of a prompt; those of the simulator have 215 on average


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


def write_traffic(
    path: Path, accounts: int, events: int, seed: int, report: Callable[[int], object], prompts: str = "fingerprints"
) -> Traffic:
    """Write ``events`` exchanges of ``accounts`` accounts; the event time that this covers follows from their rates.

    ``prompts`` is "fingerprints", or "text": then each has `TEXT_CHARS` characters.
    """
    hours = 1.0
    while (run := _simulation(seed, accounts, hours, prompts)).expected_events < 1.2 * events:
        hours *= 2
    written = 0
    count = 0
    lengthen = _Lengthener()
    with path.open("wb") as file:
        for event in run:
            written += file.write((event.value if prompts == "fingerprints" else lengthen(event.value)) + b"\n")
            count += 1
            if count % REPORT_EVENTS == 0:
                report(count)
            if count == events:
                break
    total = sum(len(population.accounts) for population in run.populations)
    return Traffic(str(path), count, written - count, total)


def _simulation(seed: int, accounts: int, hours: float, prompts: str) -> Simulation:
    specs = tuple(msgspec.structs.replace(spec, start_h=CAMPAIGNS_START_H) for spec in campaigns("default"))
    return Simulation(Plan(seed=seed, accounts=accounts, hours=hours, campaigns=specs, prompts=prompts))


class _Lengthener:
    """Give every prompt one length. Its beginning and end stay, by which prompts are told to be alike."""

    def __init__(self) -> None:
        self._others = ""

    def __call__(self, value: bytes) -> bytes:
        event = msgspec.json.decode(value)
        text: str = event["prompt"]["text"]
        self._others = (text + " " + self._others)[: 2 * TEXT_CHARS]
        half = TEXT_CHARS // 2
        head, tail = text[:half], text[len(text[:half]) :][-half:]
        if len(head) + len(tail) < TEXT_CHARS:
            cut = len(text) // 2
            others = (" " + self._others * (TEXT_CHARS // len(self._others) + 1))[: TEXT_CHARS - len(text) - 1] + " "
            head, tail = text[:cut] + others, text[cut:]
        event["prompt"]["text"] = (head + tail)[:TEXT_CHARS]
        return msgspec.json.encode(event)
