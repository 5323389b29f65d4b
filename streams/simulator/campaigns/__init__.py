"""Hostile shapes, each scripted after a public report, with size, rate, contamination and evasion as parameters."""

from streams.simulator.campaigns.pooled import window
from streams.simulator.campaigns.shapes import DEFAULTS, SHAPES, build, sized
from streams.simulator.campaigns.spec import Campaign, CampaignSpec, parse

__all__ = ["DEFAULTS", "SHAPES", "Campaign", "CampaignSpec", "build", "parse", "sized", "window"]
