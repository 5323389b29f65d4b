"""Stage campaigns alone: how many signals and links a second fill its one process, whatever there is of the others."""

import time
from collections.abc import Callable

import msgspec

from streams.bench.row import Row, row
from streams.bench.traffic import Traffic
from streams.config import Settings
from streams.contracts.packets import Signals, decode_evidence, encode_packet
from streams.operator import Batch, Record

PROGRESS_EVENTS = 10_000
Report = Callable[[int], None]


class _Recorder:
    """In the place of stage campaigns: keeps what it would be given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def on_batch(self, batch: Batch) -> list[Record]:
        """Keep it."""
        self.batches.append(batch)
        return []


def evidence(traffic: Traffic, settings: Settings, report: Report) -> list[Batch]:
    """Return what the first two stages make of the events."""
    from streams.pipeline import warm_up
    from streams.replay import Replay

    warm_up()
    host, recorder = Replay(settings, lambda record: None), _Recorder()
    host.pipeline.campaigns = recorder  # type: ignore[assignment]  # has the one method that is called here
    for done, line in enumerate(traffic.lines(), 1):
        host.feed(line)
        if done % PROGRESS_EVENTS == 0:
            report(done)
    host.end()
    return recorder.batches


def without_links(batches: list[Batch]) -> tuple[list[Batch], int, int]:
    """Return the same batches with no links in them, and how many signals and links there are."""
    signals = links = 0
    found = []
    for batch in batches:
        values: list[bytes | None] = []
        for value in batch.values:
            packet, items = decode_evidence(value or b"")
            if isinstance(packet, Signals):
                signals += items.size
            else:
                links += items.size
                value = encode_packet(msgspec.structs.replace(packet, items=b""))
            values.append(value)
        found.append(batch._replace(values=values))
    return found, signals, links


def campaigns(traffic: Traffic, settings: Settings, report: Report = lambda done: None) -> Row:
    """Feed stage campaigns from memory, with its links and without: what they add is theirs.

    Links cost what follows from them: groups, their evidence, cases.
    """
    from streams.campaigns.operator import CampaignsOperator

    batches = evidence(traffic, settings, report)
    plain, signals, links = without_links(batches)
    took: list[tuple[float, float]] = []
    for each in (plain, batches):
        operator = CampaignsOperator(settings, 0)
        began, cpu_began = time.perf_counter(), time.process_time()
        for batch in each:
            operator.on_batch(batch)
        took.append((time.perf_counter() - began, time.process_time() - cpu_began))
    (_, cpu_plain), (wall, cpu) = took
    found = row("stage campaigns alone", signals, wall, cpu)
    added = max(cpu - cpu_plain, 1e-9)
    found.us_per_item = {"signals": round(cpu_plain / signals * 1e6, 2), "links": round(added / max(1, links) * 1e6, 2)}
    found.per_event = {"signals": 1.0, "links": round(links / signals, 3)}
    found.accounts = len(operator.table)
    return found
