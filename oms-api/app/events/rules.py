"""The rows of the outbox, and the number up to which its events are final.

Ids are drawn before their transactions commit. A reader in id order could therefore skip a late commit. A
transaction that draws an id has written or locked before, so it has a transaction number.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from app.timestamps import Timestamp

MAX_EVENTS_IN_ROW = 16
EVENT_ID_KIND = "event.number"  # the kind of the encrypted ids of events
# The types that share rows. The verification of the ledger, the orders or the risk controls checks each.
PACKED_TYPES = (
    "trade.recorded", "position.changed", "order.*", "risk.denied", "reconciliation.issue", "latch.set",
)  # fmt: skip


class NewEvent(NamedTuple):
    """An event to write. `payload` is JSON text. `subject` is the id of the object that it describes."""

    tenant_id: int
    type: str
    payload: str
    created_at: Timestamp
    subject: str


class PackedEvents(NamedTuple):
    """A row of the outbox without its id.

    It holds an event. `following` has the events after it, one "type payload" a line.
    """

    tenant_id: int
    type: str
    payload: str
    created_at: Timestamp
    following: str | None


def pack_outbox_events(events: Iterable[NewEvent]) -> list[PackedEvents]:
    """Return rows for the events, in order.

    Consecutive events of the same tenant, instant and subject share a row.
    """
    groups: list[tuple[NewEvent, list[str]]] = []  # the first event, and the lines of the others
    for event in events:
        first, lines = groups[-1] if groups else (None, [])
        is_alike = first is not None and (event[0], event[3], event[4]) == (first[0], first[3], first[4])
        if is_alike and len(lines) < MAX_EVENTS_IN_ROW - 1:
            lines.append(f"{event.type} {event.payload}")
        else:
            groups.append((event, []))
    return [PackedEvents(*first[:4], "\n".join(lines) or None) for first, lines in groups]


def unpack_outbox_events(type_: str, payload: str, following: str | None) -> Iterator[tuple[str, str]]:
    """Yield type and payload of each event of a row."""
    yield type_, payload
    for line in following.split("\n") if following else ():
        name, _, text = line.partition(" ")
        yield name, text


def get_event_number(row_id: int, index: int = 0) -> int:
    """Return the number of an event from its row's id and its index in the row. Numbers sort like events."""
    return row_id * MAX_EVENTS_IN_ROW + index


def get_row_id(number: int) -> int:
    """Return the id of the row that has the event with that number."""
    return number // MAX_EVENTS_IN_ROW


def is_requested(type_: str, types: Sequence[str] | None) -> bool:
    """Return whether `types` contains the type or its family ("order.*"). None requests all types."""
    return types is None or type_ in types or f"{type_.partition('.')[0]}.*" in types


class OutboxState(NamedTuple):
    """The highest number of the outbox at one moment, and the transactions that were running shortly after.

    All transactions with numbers below `ended_below` had ended. All that had begun had numbers below
    `begun_below`.
    """

    highest: int
    ended_below: int
    begun_below: int


class Horizon(NamedTuple):
    """All events up to `safe` are final.

    Events up to `pending.highest` are final when the transactions of `pending` have ended.
    """

    safe: int = 0
    pending: OutboxState | None = None


def advance_horizon(horizon: Horizon, state: OutboxState) -> Horizon:
    """Return the horizon after the outbox was read again."""
    safe, pending = horizon
    if state.ended_below >= state.begun_below:  # no transaction is running
        return Horizon(max(safe, state.highest))
    if pending is not None and state.ended_below >= pending.begun_below:
        return Horizon(max(safe, pending.highest), state)
    return Horizon(safe, pending or state)
