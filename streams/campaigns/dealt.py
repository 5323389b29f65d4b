"""Whether accounts are dealt to: how even a group's load and hours are, and who of it fits in with the others."""

import math
from typing import Any

import numpy as np

from streams.campaigns.group import Group

EVEN, ODD = 1.5, 2.2  # chi-square of hours by degree of freedom: of most accounts of a router, of hardly any
LENGTHS_LIKE = 0.7  # log: answers of half the length, or twice, are alike in any case
SHARES_LIKE = 0.25  # of the prompts: so much more or fewer with a purpose are alike in any case
KNOWN_ODD = 25.0  # hours of a twentieth of a router's accounts
KNOWN_LOAD = 2.5  # times as many as the median account of a pool, or so much fewer
FOCUSED = 0.8  # share of one topic; of cover traffic 0.46 to 0.59, of a campaign on one subject 0.94
MOSTLY_JOINED = 0.75  # share of the accounts with enough exchanges; of the same two 0.6 and 0.9
# of 2,000 benign accounts two to nine with 8 to 14 exchanges are like a campaign by chance, one with more in four days
KNOWN_EXCHANGES = 25


def evenness(group: Group) -> tuple[float, float]:
    """How even load and hours are: 1 for what chance makes of requests that are dealt out, people are at 5 to 50.

    Index of dispersion of the accounts' exchanges; chi-square of their hours of the day by degree of freedom.
    """
    exchanges = group.exchanges.astype(np.float64)
    return float(exchanges.var(ddof=1) / exchanges.mean()), float(_hours(group).sum() / (len(group) - 1))


def _hours(group: Group) -> Any:
    """Chi-square of each account's hours of the day against the group's, by degree of freedom."""
    hours = group.rows["hours"].astype(np.float64)
    hours = hours[:, hours.sum(axis=0) > 0]
    if hours.shape[1] < 2:
        return np.ones(len(group))
    expected = hours.sum(axis=1, keepdims=True) * hours.sum(axis=0) / hours.sum()
    return ((hours - expected) ** 2 / expected).sum(axis=1) / (hours.shape[1] - 1)


def dealt_to(group: Group) -> Any:
    """Mask of the accounts that fit in with the others, if most of them are dealt to: a person of one subject is not.

    With 20 exchanges an account that is dealt to is outside of these bounds once in 500 times.
    """
    hours = _hours(group)
    if float(np.median(hours)) > EVEN:
        return np.ones(len(group), bool)
    usual, span = float(np.median(group.exchanges)), float(np.median(group.last - group.first))
    began = group.first >= np.percentile(group.first, 10) - span  # nobody was there long before
    loaded = np.abs(group.exchanges - usual) <= 3.5 * math.sqrt(usual) + 2
    return began & (hours <= ODD) & loaded & _answered_alike(group) & _asks_alike(group)


def well_known(whole: Group, pool: Group, joined: list[int]) -> Any:
    """Mask of the accounts of a cohort that nothing but one network joins with its pool, but of which enough is known.

    What chance makes of the mean of an account's prompts shrinks with their number, and with it how many look alike.
    That holds for a cohort of one subject most of which infrastructure joins; of everyday subjects everybody's are.
    """
    enough = whole.exchanges >= KNOWN_EXCHANGES
    tied = np.isin(whole.at, joined)
    topics = whole.rows["topics"].sum(axis=0)
    if topics.max() < FOCUSED * topics.sum() or tied[enough].sum() < MOSTLY_JOINED * enough.sum():
        return np.zeros(len(whole), bool)
    usual = float(np.median(pool.exchanges))
    load = np.maximum(whole.exchanges / usual, usual / whole.exchanges)
    return enough & (load <= KNOWN_LOAD) & (_hours(whole) <= KNOWN_ODD) & _answered_alike(whole) & _asks_alike(whole)


def _answered_alike(group: Group) -> Any:
    """Mask of the accounts whose answers are about as long as those that the others get."""
    lengths = np.log((group.rows["output"] + 1.0) / np.maximum(1, group.rows["answered"]))
    off = np.abs(lengths - np.median(lengths))
    usual = np.median(group.exchanges)
    spread = 1.4826 * np.median(off) * np.sqrt(np.maximum(1.0, usual / group.exchanges))  # deviation, if it is normal
    return off <= np.maximum(3.5 * spread, LENGTHS_LIKE)


def _asks_alike(group: Group) -> Any:
    """Mask of the accounts that ask for reasoning, and grade, as large a share of their prompts as the others."""
    fits = np.ones(len(group), bool)
    for name in ("elicit", "grading"):
        known = np.maximum(1, group.rows[f"{name}_known"].astype(np.int64))
        share = float(group.rows[name].sum() / known.sum())
        noise = np.sqrt(share * (1.0 - share) / known)
        fits &= np.abs(group.rows[name] / known - share) <= 3.5 * noise + SHARES_LIKE
    return fits
