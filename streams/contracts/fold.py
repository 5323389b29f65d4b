"""What a consumer does with the alert topic: fold the revisions of a case into the case as it stands.

``fold_vectors.json`` beside this file holds test vectors for the same rule in other languages.
"""

from collections.abc import Iterable

from msgspec import Struct

from streams.contracts.alert import AlertEvent
from streams.errors import InputError


class Case(Struct, frozen=True):
    """A case as it stands: its highest revision, and its members, sorted."""

    latest: AlertEvent
    members: tuple[str, ...]

    @property
    def active(self) -> bool:
        """The case is neither closed nor merged into another; an ``updated`` revision after ``closed`` reopens it."""
        return self.latest.status in ("open", "updated")


def fold(revisions: Iterable[AlertEvent]) -> Case:
    """Fold all revisions of one case, given in any order.

    Members are (members + added) - removed, revision by revision; every other field is that of the highest revision.
    An identical repeat of a revision is ignored. Cannot see that revisions above the highest one given are missing.

    Raises `InputError` if there is no revision, one below the highest is missing, two of the same number differ, or
    they belong to different cases.
    """
    by_number: dict[int, AlertEvent] = {}
    alert_id: str | None = None
    for alert in revisions:
        if alert.alert_id != (alert_id := alert_id or alert.alert_id):
            raise InputError(f"revisions of two cases are mixed: {alert_id} and {alert.alert_id}")
        if by_number.setdefault(alert.revision, alert) != alert:
            raise InputError(f"case {alert_id}: revision {alert.revision} occurs with different contents")
    if not by_number:
        raise InputError("a case has at least one revision, and none was given")
    latest = by_number[max(by_number)]
    members: set[str] = set()
    for number in range(1, latest.revision + 1):
        if number not in by_number:
            raise InputError(f"case {latest.alert_id}: revision {number} of {latest.revision} is missing")
        accounts = by_number[number].accounts
        members.update(accounts.added)
        members.difference_update(accounts.removed)
    return Case(latest, tuple(sorted(members)))


def fold_all(revisions: Iterable[AlertEvent]) -> dict[str, Case]:
    """Fold the revisions of any number of cases, by alert_id in order of first appearance; raises as `fold` does."""
    by_case: dict[str, list[AlertEvent]] = {}
    for alert in revisions:
        by_case.setdefault(alert.alert_id, []).append(alert)
    return {alert_id: fold(own) for alert_id, own in by_case.items()}
