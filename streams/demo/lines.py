"""Show the demo as plain lines: no terminal, or a machine that reads the standard output."""

import time
from collections.abc import Callable

from streams.contracts.alert import AlertEvent
from streams.demo.state import State
from streams.demo.words import case_line, numbers_line, reasons

STATUS_S = 5.0
REASONS = 3


class Lines:
    """Print what happens, each line with the wall time since the start."""

    def __init__(self, state: State, echo: Callable[[str], None]) -> None:
        self._state, self._echo = state, echo
        self._due = 0.0
        self._over: set[str] = set()  # cases that were closed or merged; a closed one may open again

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def phase(self, text: str) -> None:
        """Say what is being done now."""
        self._print(text)

    def alert(self, alert: AlertEvent) -> None:
        """Print a case that is new, and one that ends; updates would be many."""
        opens = alert.status == "open" or (alert.status == "updated" and alert.alert_id in self._over)
        if alert.status == "updated" and not opens:
            return
        self._over.discard(alert.alert_id)
        if opens:
            case = self._state.cases[alert.alert_id]
            self._print(f"case {alert.alert_id[:8]}  {case_line(case, alert.detected_at)}")
            for reason in reasons(alert, REASONS):
                self._print(f"               {reason}")
        else:
            self._over.add(alert.alert_id)
            into = f" into {alert.merged_into[:8]}" if alert.merged_into else ""
            self._print(f"case {alert.alert_id[:8]}  {alert.status}{into}")

    def tick(self) -> None:
        """Print the running figures now and then."""
        if self._state.numbers.events and time.monotonic() >= self._due:
            self._due = time.monotonic() + STATUS_S
            self._print(numbers_line(self._state))

    def _print(self, text: str) -> None:
        self._echo(f"[{self._state.elapsed_s:5.1f} s] {text}")
