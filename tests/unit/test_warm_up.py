"""Before the first event everything that the stages run compiled is there."""

import subprocess
import sys

PROGRAM = """
from streams.accounts import sightings
from streams.campaigns.cohorts import _deviations, _pairs
from streams.campaigns.shared import _uses
from streams.campaigns.singles import _matter
from streams.campaigns.table import _absorb, _name
from streams.config import Settings
from streams.accounts.lay_out import lay_out
from streams.pipeline import warm_up
from streams.rows import _sort_each_time
from streams.replay import Replay
from streams.simulator.generate import Simulation
from streams.simulator.plan import Plan
from streams.tokens import near, table
from streams.tokens.link import link

compiled = {
    "link": link, "uses": _uses, "absorb": _absorb, "name": _name, "matter": _matter, "lay_out": lay_out,
    "sort": _sort_each_time, "pairs": _pairs, "deviations": _deviations,
}
for module in (sightings, near, table):
    compiled |= {f"{module.__name__} grows": module._rehash, f"{module.__name__} counts": module._live}
warm_up()
before = {name: function.signatures for name, function in compiled.items()}
assert all(before.values()), before
host = Replay(Settings(), lambda record: None)
for event in Simulation(Plan(seed=1, accounts=50, hours=1.0)):
    host.feed(event.value)
host.end()
assert host.pipeline.campaigns.state.shared.tokens
assert before == {name: function.signatures for name, function in compiled.items()}
"""


def test_the_first_batch_compiles_nothing():
    """A worker that has warmed up does not hold its first batch up for seconds while numba compiles."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
