"""State of the campaigns stage as records: what changed since the last checkpoint, and how to load it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from streams.campaigns.cases import Case
from streams.campaigns.cluster_models import ClusterModels
from streams.campaigns.families import Family
from streams.campaigns.nats import total
from streams.campaigns.reference import Reference
from streams.campaigns.shared import SharedToken, TokenState
from streams.campaigns.watches import Watch
from streams.errors import StateError
from streams.operator import MARKER_KEY, Checkpoint
from streams.settings import maker
from streams.state import NO_MARKER, distrust, pack, unpack
from streams.ticks import Position

if TYPE_CHECKING:
    from streams.campaigns.operator import CampaignsOperator

LAYOUT = 15  # raise it with every change of what is written here
PIECE_BYTES = 500_000  # of what a case began with: half of the least kafka.max_record_bytes
Records = list[tuple[bytes, bytes | None]]


class Marker(msgspec.Struct, array_like=True):
    """Where a restored stage goes on."""

    offset: int
    position: Position
    marked: int
    active: int
    layout: int
    made_by: str = ""


class FamilyState(msgspec.Struct, array_like=True):
    """A family with what hangs on it."""

    family: Family
    models: list[Any] | None
    evidence: float | None


class Shared(msgspec.Struct, array_like=True):
    """What belongs to nobody in particular."""

    reference: list[Any]
    groups_seen: list[int]
    case_of: dict[int, str]
    pool_cases: list[str]


def _number(prefix: bytes, number: int) -> bytes:
    return prefix + number.to_bytes(8, "big")


def _pieces(alert_id: str, size: int) -> list[bytes]:
    """Keys of the records that hold so many bytes of what a case began with."""
    return [b"b" + alert_id.encode() + bytes([i]) for i in range(-(-size // PIECE_BYTES))]


class Snapshot:
    """Checkpoints of a `CampaignsOperator`; a key begins with the letter of its kind."""

    def __init__(self, operator: "CampaignsOperator") -> None:
        self._operator = operator
        self._maker = maker(operator.settings)
        self._captured = -1

    def take(self) -> Checkpoint | None:
        """Everything that changed since the last call, as one cut."""
        op, state = self._operator, self._operator.state
        position = op.ticks.position()
        if position.offset == self._captured and not state.shared.dirty and not state.cases.dirty:
            return None
        self._captured = position.offset
        out: Records = [(_number(b"r", chunk), pack(rows)) for chunk, rows in state.table.checkpoint()]
        for token in state.shared.dirty:
            shared = state.shared.tokens.get(token)
            out.append((_number(b"k", token), pack(shared.dump()) if shared else None))
        for founder in {**state.families.dirty, **state.models}:
            family = state.families.families.get(founder)
            models = state.models.get(founder)
            held = family and FamilyState(family, models.dump() if models else None, state.evidence_of.get(founder))
            out.append((_number(b"f", founder), pack(held) if held else None))
        for row in state.families.common.dirty:
            telling = state.families.common.telling_of.get(row)
            out.append((_number(b"j", row), pack(telling) if telling else None))
        for row in state.dirty_watches:
            watch = state.watches.get(row)
            out.append((_number(b"w", row), pack(watch) if watch else None))
        out += self._cases()
        shared_by_all = Shared(state.reference.dump(), state.groups_seen, state.case_of, list(state.pool_cases))
        out.append((b"x", pack(shared_by_all)))
        for dirty in (state.shared.dirty, state.families.dirty, state.families.common.dirty, state.dirty_watches):
            dirty.clear()
        marker = Marker(position.offset, position, op.marked, op.active, LAYOUT, self._maker)
        return Checkpoint(out, pack(marker), position.offset)

    def _cases(self) -> Records:
        cases = self._operator.state.cases
        out: Records = []
        for alert_id in cases.new:
            base = cases.bases[alert_id]
            for i, key in enumerate(_pieces(alert_id, len(base))):
                out.append((key, pack(base[i * PIECE_BYTES : (i + 1) * PIECE_BYTES])))
        for alert_id in cases.dirty:
            out.append((b"c" + alert_id.encode(), pack(cases.cases[alert_id])))
        for alert_id, size in cases.gone.items():
            out += [(key, None) for key in (b"c" + alert_id.encode(), *_pieces(alert_id, size))]
        cases.new.clear()
        cases.dirty.clear()
        cases.gone.clear()
        return out

    def restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        """Load records into a new operator; raise `StateError` if they are not what `take` gave."""
        with distrust(self._operator.stage):
            return self._restore(records)

    def _restore(self, records: Iterable[tuple[bytes, bytes]]) -> int | None:
        op, state = self._operator, self._operator.state
        marker: Marker | None = None
        chunks: dict[int, tuple[bytes, list[str]]] = {}
        tokens: list[SharedToken] = []
        telling: dict[int, list[int]] = {}
        cases: list[Case] = []
        bases: dict[bytes, bytes] = {}
        any_record = False
        for key, value in records:
            any_record = True
            kind, number = key[:1], int.from_bytes(key[1:9], "big")
            if key == MARKER_KEY:
                marker = unpack(value, Marker)
            elif kind == b"r":
                chunks[number] = unpack(value, tuple[bytes, list[str]])
            elif kind == b"k":
                tokens.append(SharedToken.load(unpack(value, TokenState)))
            elif kind == b"f":
                held = unpack(value, FamilyState)
                state.families.families[number] = held.family
                if held.models is not None:
                    state.models[number] = ClusterModels.load(held.models)
                if held.evidence is not None:
                    state.evidence_of[number] = held.evidence
            elif kind == b"j":
                telling[number] = unpack(value, list[int])
            elif kind == b"w":
                state.watches[number] = unpack(value, Watch)
            elif kind == b"b":
                bases[key[1:]] = unpack(value, bytes)
            elif kind == b"c":
                cases.append(unpack(value, Case))
            elif kind == b"x":
                shared = unpack(value, Shared)
                state.reference = Reference.load(shared.reference)
                state.groups_seen, state.case_of = shared.groups_seen, shared.case_of
                state.pool_cases = dict.fromkeys(shared.pool_cases)
            else:
                raise StateError(f"the campaigns state holds an unknown key {key[:40]!r}")
        if marker is None:
            if any_record:
                raise StateError(NO_MARKER.format(stage=op.stage))
            return None
        if marker.layout != LAYOUT:
            raise StateError(f"the campaigns state has layout {marker.layout}, this program reads {LAYOUT}")
        if marker.made_by not in ("", self._maker):
            state.count("state_made_otherwise")
        state.table.restore(chunks)
        for row, watch in state.watches.items():
            if row >= state.table.used.size:
                raise StateError(f"the campaigns state holds a watch of row {row}, which it has not")
            state.watch_levels.set(row, total(watch.weigh()))
        state.shared.restore(tokens)
        state.families.common.restore(telling)
        for case in sorted(cases, key=lambda case: case.number):
            pieces = [bases[key] for key in sorted(bases) if key[:-1] == case.alert_id.encode()]
            state.cases.restore(case, b"".join(pieces))
        op.ticks.restore(marker.position)
        op.marked, op.active = marker.marked, marker.active
        return marker.offset
