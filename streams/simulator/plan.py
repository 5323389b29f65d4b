"""What to simulate: one frozen `Plan`, and the mixes that are used by name."""

import msgspec

from streams.simulator.campaigns import SHAPES, CampaignSpec
from streams.simulator.population import Span
from streams.simulator.rhythm import HOUR_MS

START_MS = 1_789_030_800_000  # Thursday 10 September 2026, 09:00 UTC: a working day opens over Europe


class Disturbances(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong on the way, as shares of the events.

    ``reordered`` events come up to 3 s too late, inside the default lateness; ``late`` ones 1 to 60 min; ``duplicates``
    come again up to 20 s after the first. ``hot_share`` is the share of the traffic that falls on one of ``partitions``
    (0: whatever the hash gives).
    """

    late: float = 0.0
    reordered: float = 0.0
    duplicates: float = 0.0
    hot_share: float = 0.0
    partitions: int = 4


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of the simulator.

    ``accounts`` counts benign accounts; ``activity`` is a factor on their rates; ``prompts`` is ``text`` or
    ``fingerprints``; ``release_h`` releases a new model so many hours after the start (None: no release). ``kinds``
    says how many accounts some benign kinds have in place of their share. ``hostile_share`` sizes the campaigns so that
    they are that share of all traffic, cover not counted (0: as they are).
    """

    seed: int = 1
    accounts: int = 2_000
    hours: float = 6.0
    start_ms: int = START_MS
    activity: float = 1.0
    campaigns: tuple[CampaignSpec, ...] = ()
    prompts: str = "text"
    release_h: float | None = None
    kinds: dict[str, int] = {}
    hostile_share: float = 0.0
    disturbances: Disturbances = Disturbances()

    @property
    def span(self) -> Span:
        """The event time covered, with the seed."""
        release = None if self.release_h is None else self.start_ms + int(self.release_h * HOUR_MS)
        return Span(self.seed, self.start_ms, self.start_ms + int(self.hours * HOUR_MS), self.activity, release)


DEFAULT_MIX = ("fixed_prompt", "template_variants", "low_and_slow", "hydra", "reseller", "stolen_key")


def campaigns(mix: str) -> tuple[CampaignSpec, ...]:
    """The campaigns of a named mix: none, default (six shapes) or all."""
    names = {"none": (), "default": DEFAULT_MIX, "all": tuple(SHAPES)}[mix]
    return tuple(SHAPES[name].default for name in names)


def scaled(plan: Plan, events: int) -> Plan:
    """Set the benign accounts' activity so that about ``events`` events are expected; heavy tails leave some 5 %."""
    from streams.simulator.generate import Simulation

    run = Simulation(plan)
    hostile = run.expected_events - run.expected_benign
    return msgspec.structs.replace(plan, activity=plan.activity * max(events - hostile, 1) / run.expected_benign)


def demo_plan(seed: int) -> Plan:
    """About 200,000 events in 7 hours of event time: 2,500 benign accounts of all kinds and six campaigns."""
    sized = {
        "fixed_prompt": {"start_h": 1.0},
        "template_variants": {"start_h": 1.5},
        "low_and_slow": {"start_h": 0.5, "accounts": 200},
        "hydra": {"start_h": 1.2},
        "reseller": {"start_h": 2.0},
        "stolen_key": {"start_h": 1.6},  # the owner's habits must have been seen
    }
    specs = tuple(msgspec.structs.replace(SHAPES[name].default, **values) for name, values in sized.items())
    return scaled(Plan(seed=seed, accounts=2_500, hours=7.0, campaigns=specs), 200_000)


def bench_plan(seed: int, accounts: int = 50_000, hours: float = 2.0) -> Plan:
    """The default mix at the size of a benchmark, with one campaign running from the start."""
    spec = msgspec.structs.replace(SHAPES["fixed_prompt"].default, start_h=0.1)
    return Plan(seed=seed, accounts=accounts, hours=hours, campaigns=(spec,))
