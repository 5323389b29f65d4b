"""What an operator does so as not to be seen in time and words; `pool` has what it does about accounts."""

import functools
from collections.abc import Callable

import numpy as np

from streams.simulator import infra
from streams.simulator.accounts import PERSONAS, Draft
from streams.simulator.campaigns.spec import CampaignSpec
from streams.simulator.content import Job, Write, wrapped
from streams.simulator.population import FreshClient, Span
from streams.simulator.rhythm import HOUR_MS, WORK, Rhythm, flat, weekly

JITTER_GAPS = 1.6  # factor on the spread of pauses within a session
JITTER_HOURS = 0.8  # sigma of each account's factor for an hour: a third of the hours carries two thirds
ROTATION_MS = 3 * HOUR_MS


def rhythm(span: Span, spec: CampaignSpec, name: str) -> Rhythm:
    """Around the clock, or in office hours; with jitter each account has busy and idle hours of its own."""
    base: Rhythm = weekly(WORK) if spec.evades("human_hours") else flat
    if not spec.evades("jitter"):
        return base

    def factor(time_ms: int, utc_offset_h: np.ndarray) -> np.ndarray:
        rng = span.rng("jitter", name, time_ms // HOUR_MS)
        return base(time_ms, utc_offset_h) * rng.lognormal(-(JITTER_HOURS**2) / 2, JITTER_HOURS, len(utc_offset_h))

    return factor


def addresses(drafts: list[Draft]) -> FreshClient:
    """Send each session of an account from another address, with the account's own programs.

    People's sessions come from households, carriers and offices, those of programs mostly from clouds, as benign ones
    do: a pool of programs that all sit in households would be odd.
    """
    programs = [one.programs for one in drafts]
    kinds = [PERSONAS[one.style].networks for one in drafts]

    def fresh(rng: np.random.Generator, account: int) -> bytes:
        own = programs[account]
        where = infra.network(rng, kinds[account](rng), infra.country(rng))
        return infra.client(rng, where, own[int(rng.random() ** 2 * len(own))])

    return fresh


def from_then_on(job: Job, start_ms: int) -> Job:
    """Leave a job until a moment: what its accounts do before is everyday use."""
    whole = job.share

    def share(rows: np.ndarray) -> np.ndarray:
        return np.where(rows["time"] < start_ms, 0.0, whole(rows) if callable(whole) else whole)

    return job._replace(share=share)


def rotated(frames: Callable[[int], list[str]], items: tuple[str, ...]) -> Write:
    """Fill the wrappers of the hour: ``frames`` makes those of each period of `ROTATION_MS`."""
    writer = functools.lru_cache(4)(lambda period: wrapped(frames(period), items))

    def write(rng: np.random.Generator, rows: np.ndarray) -> list[str]:
        period = rows["time"] // ROTATION_MS
        found = np.empty(len(rows), object)
        for one in np.unique(period).tolist():
            chosen = period == one
            found[chosen] = writer(one)(rng, rows[chosen])
        return list(found)

    return write
