"""What a soak has shown: its lines, the slopes of memory and lag, and a verdict in words."""

from collections.abc import Sequence

import msgspec

from streams.bench.slope import LEAST_POINTS, Judgement, judge, slope
from streams.errors import StillwatchError

MEMORY_PER_HOUR = 0.01  # of what it takes: less is not growth
LAG_SHARE = 0.001  # of the events sent


class Line(msgspec.Struct):
    """How it stands: one line of the file. Counts are from the beginning of the load."""

    seconds: float
    sent: int
    judged: int  # events up to whose time the last stage has decided
    lag: int  # events sent and not yet judged
    rss_bytes: int  # resident memory of the worker and its children
    pss_bytes: int  # the same, shared pages in parts
    cpu_s: float  # of the worker
    disk_bytes: int  # of the broker, all topics
    log_bytes: int  # of these, requests and what goes between the stages
    forgotten: int  # requests that the broker has deleted
    checkpoint_bytes: int  # written so far
    held: dict[str, int]  # objects in memory, by stage and kind
    state_bytes: dict[str, int]  # the worker's own estimate, by stage


class Soaked(msgspec.Struct):
    """The outcome. Slopes are of the second half, with their standard errors."""

    minutes: float
    rate: float  # asked for
    sent: int
    events_per_s: int  # judged, over the second half
    cpu_us_per_event: float
    rss_bytes: int  # mean of the second half
    rss_kb_per_min: float
    rss_error_kb_per_min: float
    memory: Judgement
    lag: int  # mean of the second half
    lag_per_min: float
    lag_error_per_min: float
    falling_behind: Judgement  # the same words: flat is what it should be
    forgotten: int
    steady: bool  # the second half began after the population had become steady

    @property
    def ok(self) -> bool:
        """Neither memory nor lag grows, as far as can be told: nothing can as long as the population grows."""
        return not self.steady or "grows" not in (self.memory, self.falling_behind)


def soaked(lines: Sequence[Line], rate: float, steady_s: float) -> Soaked:
    """Judge a soak by its second half. Raises `StillwatchError` if that has too few lines."""
    if not lines:
        raise StillwatchError("The soak has no lines.")
    half = [line for line in lines if line.seconds >= lines[-1].seconds / 2]
    if len(half) < LEAST_POINTS:
        raise StillwatchError(f"Only {len(half)} lines in the second half of the soak: too few for a slope.")
    first, last = half[0], half[-1]
    minutes = [line.seconds / 60 for line in half]
    memory = slope(minutes, [line.rss_bytes / 1_000 for line in half])
    behind = slope(minutes, [float(line.lag) for line in half])
    resident = sum(line.rss_bytes for line in half) / len(half)
    judged = max(1, last.judged - first.judged)
    return Soaked(
        minutes=round(last.seconds / 60, 2),
        rate=rate,
        sent=last.sent,
        events_per_s=round(judged / (last.seconds - first.seconds)),
        cpu_us_per_event=round((last.cpu_s - first.cpu_s) / judged * 1e6, 1),
        rss_bytes=round(resident),
        rss_kb_per_min=round(memory.per_min, 1),
        rss_error_kb_per_min=round(memory.error, 1),
        memory=judge(memory, MEMORY_PER_HOUR * resident / 1_000 / 60),
        lag=round(sum(line.lag for line in half) / len(half)),
        lag_per_min=round(behind.per_min, 1),
        lag_error_per_min=round(behind.error, 1),
        falling_behind=judge(behind, LAG_SHARE * rate * 60),
        forgotten=last.forgotten,
        steady=first.seconds >= steady_s,
    )


_MEMORY = {
    "flat": "Memory is flat",
    "grows": "Memory GROWS",
    "falls": "Memory falls",
    "unclear": "Whether memory grows cannot be told (run it longer)",
}
_LAG = {
    "flat": "the lag does not grow",
    "grows": "the lag GROWS (the load is too high for this machine)",
    "falls": "the lag falls",
    "unclear": "whether the lag grows cannot be told",
}


def text(found: Soaked) -> str:
    """Return the outcome as a few sentences."""
    hourly = found.rss_kb_per_min * 60 * 1_000 / max(1, found.rss_bytes)
    told = (
        f"{found.minutes:g} minutes, {found.sent:,} events sent: {found.sent / found.minutes / 60:,.0f}/s of "
        f"{found.rate:,.0f}/s; {found.forgotten:,} deleted by retention.\n"
        f"Second half: {found.events_per_s:,} events/s judged, {found.cpu_us_per_event} us of CPU an event.\n"
        f"{_MEMORY[found.memory]}: {found.rss_kb_per_min:+,.1f} KB/min (standard error "
        f"{found.rss_error_kb_per_min:,.1f}), {hourly:+.2%} an hour of {found.rss_bytes / 1e6:,.0f} MB; "
        f"{_LAG[found.falling_behind]}: {found.lag_per_min:+,.1f} events/min (standard error "
        f"{found.lag_error_per_min:,.1f}), {found.lag:,} events on average."
    )
    if not found.steady:
        told += "\nToo short: accounts and tokens still became more, so growth may be theirs."
    return told
