"""All methods side by side over the events of one run."""

from collections.abc import Mapping

from streams.evaluate.baselines import METHODS
from streams.evaluate.baselines.common import DAY_MS, Alarms, Sightings, judge
from streams.evaluate.results import ByBaseline
from streams.evaluate.seen import Seen
from streams.simulator.truth import Truth


class Panel:
    """Run the methods, note their highest scores, and collect alarms at the matched and at the usual thresholds."""

    def __init__(self, matched: Mapping[str, float]) -> None:
        self._sightings = Sightings()
        self._methods = [(entry.name, entry.make()) for entry in METHODS]
        self._day = -1
        self.highest = {entry.name: 0.0 for entry in METHODS}
        self._matched = {entry.name: Alarms(matched.get(entry.name, float("inf"))) for entry in METHODS}
        self._usual = {entry.name: Alarms(entry.usual) for entry in METHODS}

    def see(self, seen: Seen) -> None:
        """Take in one event."""
        if (day := seen.time_ms // DAY_MS) != self._day:
            self._day = day
            self._sightings.midnight()
            for _, method in self._methods:
                method.midnight()
        fresh = self._sightings.first(seen)
        for name, method in self._methods:
            for suspicion in method.see(seen, fresh):
                if suspicion.score > self.highest[name]:
                    self.highest[name] = suspicion.score
                self._matched[name].take(seen.time_ms, suspicion)
                self._usual[name].take(seen.time_ms, suspicion)

    def judge(self, truth: Truth, row_of: dict[str, str]) -> tuple[dict[str, ByBaseline], dict[str, ByBaseline]]:
        """Return what each did at the matched and at the usual threshold."""
        return (
            {name: judge(alarms, truth, row_of) for name, alarms in self._matched.items()},
            {name: judge(alarms, truth, row_of) for name, alarms in self._usual.items()},
        )
