"""Programs that read the events of a benchmark from Kafka: bare clients, and frameworks around stage accounts.

Run one as ``python -m streams.bench.hosts NAME JOB``. Each is one small file with a function ``run(job)``, written as
its framework's own documentation does it. See README.md in the folder above for what is alike in all of them.
"""

import msgspec

from streams.config import Settings


class Job(msgspec.Struct):
    """What a host is to do: read ``events`` records of the requests topic and end."""

    settings: Settings
    events: int
    meter: str  # path of the file that takes its samples
    folder: str  # for files of its own
