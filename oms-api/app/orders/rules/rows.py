"""Convert orders, history rows and executions to database rows.

SQLite and PostgreSQL accept canonical text (`money.format_fixed`, `timestamps.format_timestamp`).
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from app.column_values import convert_instant, parse_decimal
from app.money import format_fixed
from app.orders.rules.values import (
    GroupKind,
    Order,
    OrderType,
    Role,
    Status,
    TimeInForce,
    replace_fields,
)
from app.timestamps import Timestamp

OrderRowValues = tuple[str | int | bool | None, ...]
COLUMNS = Order._fields
# Columns that change after the order was placed; all others are its terms.
MUTABLE_COLUMNS = (
    "quantity", "status", "filled_quantity", "filled_value", "is_triggered", "trail_level", "replaced_by",
    "parent_id", "denial", "broker_order_id", "event_count", "updated_at", "accepted_at",
    "limit_price", "stop_price",  # rounded when a held exit is released after a tick size change
)  # fmt: skip
STATUS_COLUMNS = ("status", "event_count", "updated_at")  # the only columns that most status changes update
_AMOUNT_FIELDS = frozenset(
    {
        "quantity",
        "notional",
        "limit_price",
        "stop_price",
        "trail_amount",
        "trail_percent",
        "trail_level",
        "filled_quantity",
        "filled_value",
        "carried_quantity",
        "carried_value",
    }
)
_INSTANT_FIELDS = frozenset({"expires_at", "ends_at", "created_at", "updated_at", "accepted_at"})
_FLAG_FIELDS = frozenset({"extended_hours", "is_triggered"})
_ENUM_BY_FIELD: dict[str, Callable[[str], Any]] = {
    "type": OrderType,
    "time_in_force": TimeInForce,
    "status": Status,
    "group_kind": GroupKind,
    "role": Role,
}


class OrderEvent(NamedTuple):
    """One change of an order. The first event of a stored row has its own columns, the others `following`."""

    tenant_id: int
    order_id: str
    sequence: int
    from_status: str | None
    to_status: str
    at: Timestamp
    actor: str
    reason: str | None = None
    broker_reason: str | None = None
    execution_id: str | None = None
    request_key: str | None = None


# Columns whose stored name differs from the field. Stored rows also contain the old name in `following`, and
# processes of the previous version still use it during an upgrade.
_STORED_NAMES = {"broker_reason": "broker_words"}
_FIRST_EVENT_COLUMNS = tuple(_STORED_NAMES.get(name, name) for name in OrderEvent._fields)
# Fields of a following event that result from the previous one; `from_status` is its `to_status`.
_DERIVED_FIELDS = frozenset({"tenant_id", "order_id", "sequence", "from_status"})
_FOLLOWING_FIELDS = tuple(name for name in OrderEvent._fields if name not in _DERIVED_FIELDS)
_FOLLOWING_COLUMNS = tuple(_STORED_NAMES.get(name, name) for name in _FOLLOWING_FIELDS)
_get_following_values = attrgetter(*_FOLLOWING_FIELDS)
EVENT_COLUMNS = (*_FIRST_EVENT_COLUMNS, "following")  # of `order_events`


def pack_order_history(history: Iterable[OrderEvent]) -> list[OrderRowValues]:
    """Return the rows (`EVENT_COLUMNS`) of events: one for each order, in order of their first events."""
    groups: list[list[OrderEvent]] = []
    by_order: dict[tuple[int, str], list[OrderEvent]] = {}
    for event in history:
        order_key = (event.tenant_id, event.order_id)
        group = by_order.get(order_key)
        # The verification of approvals needs a separate row for each of these events.
        if group is None or Status.AWAITING_APPROVAL in (event.from_status, event.to_status):
            groups.append(group := [])
        group.append(event)
        by_order[order_key] = group
    return [(*first, _pack_following(following)) for first, *following in groups]


def _pack_following(history: Sequence[OrderEvent]) -> str | None:
    """Return events as a JSON list of objects without nulls, None for no event."""
    events = [
        {
            name: value
            for name, value in zip(_FOLLOWING_COLUMNS, _get_following_values(event), strict=True)
            if value is not None
        }
        for event in history
    ]
    return orjson.dumps(events).decode() if events else None


def unpack_order_history(row: Sequence[Any]) -> list[OrderEvent]:
    """Return the events of a row (`EVENT_COLUMNS`), oldest first. Raises TypeError or ValueError."""
    *values, following = row
    history = [OrderEvent._make(values)]
    for stored_fields in orjson.loads(following) if following is not None else ():
        previous = history[-1]
        fields = dict(stored_fields)
        event = OrderEvent(
            tenant_id=previous.tenant_id,
            order_id=previous.order_id,
            sequence=previous.sequence + 1,
            from_status=previous.to_status,
            broker_reason=fields.pop(_STORED_NAMES["broker_reason"], None),
            **fields,
        )
        history.append(event)
    return history


class ExecutionKey(NamedTuple):
    """The key of an execution, which is unique at its broker."""

    tenant_id: int
    broker: str
    execution_id: str


class ExecutionRow(NamedTuple):
    """A row of `executions`, in canonical form.

    `note` marks an unexpected execution: `late` after the order ended, `over` beyond its quantity, or `stray`
    of a rejected order. `charges` is a JSON object of amounts by component; see `format_components`.
    """

    tenant_id: int
    broker: str
    execution_id: str
    order_id: str
    portfolio_id: int
    symbol: str
    side: str
    quantity: str
    price: str
    value: str
    trade_id: str
    note: str | None
    executed_at: Timestamp
    charges: str | None = None

    @property
    def key(self) -> ExecutionKey:
        """The key of the execution."""
        return ExecutionKey(self.tenant_id, self.broker, self.execution_id)


def serialize_order_row(order: Order, columns: Sequence[str] = COLUMNS) -> OrderRowValues:
    """Return the order's columns as text, numbers and flags."""
    values: Sequence[Any] = order if columns is COLUMNS else [getattr(order, name) for name in columns]
    return tuple([format_fixed(value) if type(value) is Decimal else value for value in values])


def parse_order_row(values: Sequence[Any]) -> Order:
    """Return the order with these column values, as read by either database driver."""
    converted = list(values)
    for index, convert in _CONVERSIONS:
        value = converted[index]
        if value is not None:
            converted[index] = convert(value)
    return Order._make(converted)


def is_status_change(previous: Order, current: Order) -> bool:
    """Return whether only the columns STATUS_COLUMNS of an order changed."""
    return current == replace_fields(previous, **{name: getattr(current, name) for name in STATUS_COLUMNS})


def _find_conversion(name: str) -> Callable[[Any], Any] | None:
    if name in _AMOUNT_FIELDS:
        return parse_decimal
    if name in _INSTANT_FIELDS:
        return convert_instant
    return bool if name in _FLAG_FIELDS else _ENUM_BY_FIELD.get(name)


# The indexes of the columns whose values are converted, with the conversions.
_CONVERSIONS = [
    (index, convert) for index, name in enumerate(COLUMNS) if (convert := _find_conversion(name)) is not None
]
