"""One line of the result, as every measurement gives it."""

import msgspec


class Row(msgspec.Struct):
    """One line of the result. ``events_per_s`` is by wall time, CPU by all threads of the process."""

    row: str
    events: int
    seconds: float
    events_per_s: float
    cpu_us_per_event: float
    stages_us_per_event: dict[str, float] = {}
    threads_us_per_event: dict[str, float] = {}  # the event loop runs the operators
    per_event: dict[str, float] = {}  # sightings, links, signals, new content tokens
    us_per_item: dict[str, float] = {}  # of stage campaigns alone: signals, and what each link adds
    accounts: int = 0
    memory_bytes: int = 0  # grown by
    memory_bytes_per_account: float = 0.0
    alerts: int = 0
    start_cpu_s: float = 0.0  # before the first event: imports, compiled code, joining the groups
    void: str = ""  # why the figures do not count
    run: int = 0  # of how many that took turns, from 0


def row(name: str, events: int, wall_s: float, cpu_s: float) -> Row:
    """Make a row from its measurements."""
    return Row(name, events, round(wall_s, 3), round(events / wall_s), round(cpu_s / events * 1e6, 2))
