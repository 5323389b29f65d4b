"""Tell when a worker no longer works though there is work, and what it was that stopped."""

from streams.runtime.stats import HostStats, StageStats

LOOK_S = 1.0  # how often the worker looks; a batch takes milliseconds


class Liveness:
    """Watch the batch under way, the event loop and the stages, from a thread of its own.

    A batch that hangs stops the loop, and with it all stages: it alone is told then, whoever would notice first. So no
    other reason counts while a batch is older than a look.
    """

    def __init__(self, limit_s: float) -> None:
        """``limit_s``: how long each of them may stand still."""
        self._limit_s = limit_s
        self._watched: dict[str, Watched] = {}

    def reason(self, stats: HostStats, beat: float, now: float) -> str:
        """Say what has stood still for too long, empty if nothing has; call it every `LOOK_S`.

        ``beat`` is when the event loop last ran a timer (0: never), ``now`` is now, both of `time.monotonic`.
        """
        stages = list(stats.stages.values())
        waits = [(self._watched.setdefault(each.stage, Watched()).stuck_s(each, now), each) for each in stages]
        batches = [(now - each.batch_began, each) for each in stages if each.batch_began]
        for age_s, stage in batches:
            if age_s > LOOK_S:
                stage.stuck = age_s > self._limit_s
                told = f"{stage.stage}: a batch has not been finished for {age_s:.0f} s; the event loop hangs in it."
                return told if stage.stuck else ""
        if beat and now - beat > self._limit_s:
            return f"The event loop has stood still for {now - beat:.0f} s, in no batch."
        for stuck_s, stage in waits:
            if stuck_s > self._limit_s:
                stage.stuck = True
                return f"{stage.stage}: no batch was finished for {stuck_s:.0f} s though records wait."
        return ""


class Watched:
    """Tell for how long a stage has had work and done none."""

    def __init__(self) -> None:
        self._batches = -1
        self._since = 0.0

    def stuck_s(self, stats: StageStats, now: float) -> float:
        """Seconds since a batch was finished or there was none to take; partitions held back have none."""
        lag = dict(stats.lag)
        waiting = stats.ready and any(lag.get(each) for each in stats.assigned if each not in stats.held)
        if not waiting or stats.batches != self._batches:
            self._batches, self._since = stats.batches, now
        return now - self._since
