"""Verify the events of an order against its row, its history and its executions."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from app.costs.rules.booked_charges import has_components
from app.ledger.rules.verification import Finding
from app.orders.rules.approvals import is_rejection, loses_fills
from app.orders.rules.event_payloads import (
    build_denial_payload,
    build_order_payload,
    build_terms,
    get_event_type,
)
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.values import Order, Status, replace_fields
from app.orders.rules.verification import OVERFILL_NOTES, FilledAmounts, OrderCheck
from app.timestamps import Timestamp

Executions = Mapping[str, ExecutionRow]  # by execution id

DENIED_EVENT, ISSUE_EVENT = "risk.denied", "reconciliation.issue"
UNRECORDED_EVENTS = frozenset({DENIED_EVENT, ISSUE_EVENT})  # events of an order without a history row
_RECORDED_TERMS = ("quantity", "limit_price", "stop_price")
_WAITING_STATUSES = frozenset(
    {Status.HELD, Status.AWAITING_APPROVAL}
)  # a release may change quantity and prices


class PublishedEvent(NamedTuple):
    """An event of an order."""

    id: int
    tenant_id: int
    order_id: str
    type: str
    payload: dict[str, Any]
    created_at: Timestamp


class RecordedValues(NamedTuple):
    """The mutable fields of an order as an event recorded them, None where it recorded no value."""

    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_level: Decimal | None
    parent_id: str | None


def find_event_differences(
    order: Order, history: Sequence[OrderEvent], events: Sequence[PublishedEvent], executions: Executions
) -> list[Finding]:
    """Return the differences between an order's history and its events. Each history row has one event."""
    by_sequence: dict[Any, list[PublishedEvent]] = {}
    for event in events:
        if event.type not in UNRECORDED_EVENTS:
            by_sequence.setdefault(event.payload.get("sequence"), []).append(event)
    findings: list[Finding] = list(_check_denials(order, history, events))
    current = RecordedValues(
        order.quantity, order.limit_price, order.stop_price, order.trail_level, order.parent_id
    )
    following: OrderEvent | None = None
    fills = list(_iterate_filled(order, history, executions))
    findings += _check_fills(order, fills)
    for order_event, filled_amounts in reversed(list(zip(history, fills, strict=True))):
        matching_events = by_sequence.pop(order_event.sequence, [])
        if len(matching_events) != 1:
            findings.append(
                _build_finding(
                    f"sequence {order_event.sequence}",
                    f"{len(matching_events)} events",
                    f"one {get_event_type(order_event)}",
                )
            )
            continue
        (event,) = matching_events
        previous = _parse_values(event.payload)
        findings += _find_differences(event, order, order_event, previous, filled_amounts, executions)
        findings += _check_changes(order, previous, current, following)
        current, following = previous, order_event
    findings += [_build_finding("sequence", number, "the number of a move") for number in by_sequence]
    return findings


def _check_denials(
    order: Order, history: Sequence[OrderEvent], events: Sequence[PublishedEvent]
) -> Iterator[Finding]:
    """Yield a finding if the risk.denied events do not match the order's denial."""
    stored_payloads = [(event.created_at, event.payload) for event in events if event.type == DENIED_EVENT]
    try:
        payload = order.denial and build_denial_payload(order, order.denial)
    except (ValueError, TypeError, LookupError):
        payload = {}
    at = [order_event.at for order_event in history if order_event.to_status == Status.DENIED]
    if isinstance(payload, dict) and is_rejection(payload.get("denial")):
        at = []  # an approver's refusal is not a denial by risk checks
    if payload and not any("time_in_force" in event.payload for event in events):
        payload.pop("denial", None)  # an earlier version wrote the events
    expected = [(instant, payload) for instant in at] if payload is not None else []
    if stored_payloads != expected:
        yield _build_finding(DENIED_EVENT, str(stored_payloads), str(expected))


def _check_fills(order: Order, fills: Sequence[FilledAmounts | None]) -> Iterator[Finding]:
    """Yield a finding if the order's filled amounts are not the sum of its fills."""
    filled_amounts = fills[-1] if fills else None
    if filled_amounts is not None and filled_amounts[:2] != (order.filled_quantity, order.filled_value):
        stored = (order.filled_quantity, order.filled_value)
        yield Finding(
            OrderCheck.FILLS,
            "filled_quantity and filled_value",
            _format_value(stored),
            _format_value(filled_amounts[:2]),
        )


def find_issue_differences(
    rows: Sequence[ExecutionRow], events: Sequence[PublishedEvent]
) -> Iterator[Finding]:
    """Yield a finding if the reconciliation issues do not match the executions noted as over or stray."""
    stored_payloads = [event.payload for event in events if event.type == ISSUE_EVENT]
    expected = [
        {"order_id": row.order_id, "execution_id": row.execution_id, "kind": row.note}
        for row in rows
        if row.note in OVERFILL_NOTES
    ]
    if sorted(map(str, stored_payloads)) != sorted(map(str, expected)):
        yield _build_finding(ISSUE_EVENT, str(stored_payloads), str(expected))


def list_portfolio_names(events: Sequence[PublishedEvent]) -> set[str]:
    """Return the portfolio names in the events of an order."""
    return {
        str(event.payload.get("portfolio_name")) for event in events if event.type not in UNRECORDED_EVENTS
    }


def list_parent_ids(events: Sequence[PublishedEvent]) -> set[str | None]:
    """Return the parent ids in the events of an order."""
    return {event.payload.get("parent_id") for event in events if event.type not in UNRECORDED_EVENTS}


def _iterate_filled(
    order: Order, history: Sequence[OrderEvent], executions: Executions
) -> Iterator[FilledAmounts | None]:
    """Yield the filled amounts after each history row, None if they cannot be computed."""
    # A denied successor does not keep the amounts that it carried over.
    has_lost_fills = loses_fills(order, [order_event.to_status for order_event in history])
    filled_amounts: FilledAmounts | None = FilledAmounts(order.carried_quantity, order.carried_value)
    for order_event in history:
        if order_event.execution_id is not None and filled_amounts is not None:
            execution = executions.get(order_event.execution_id)
            filled_amounts = execution and filled_amounts.add(
                FilledAmounts(Decimal(execution.quantity), Decimal(execution.value))
            )
        yield None if has_lost_fills else filled_amounts


def _find_differences(
    event: PublishedEvent,
    order: Order,
    order_event: OrderEvent,
    recorded_values: RecordedValues,
    filled_amounts: FilledAmounts | None,
    executions: Executions,
) -> Iterator[Finding]:
    pairs: list[tuple[str, Any, Any]] = [
        ("type", event.type, get_event_type(order_event)),
        ("created_at", event.created_at, order_event.at),
    ]
    payload = dict(event.payload)
    expected = _build_expected(payload, order, order_event, recorded_values, filled_amounts, executions)
    for name in _list_later_names(payload, order, order_event):
        expected.pop(name, None)
    if filled_amounts is None:
        for name in ("filled_quantity", "leaves_quantity", "average_price"):
            payload.pop(name, None)
            expected.pop(name, None)
    if expected != payload:
        names = dict.fromkeys((*expected, *payload))
        pairs += [(name, payload.get(name), expected.get(name)) for name in names]
    for name, stored, expected_value in pairs:
        if stored != expected_value:
            yield _build_finding(
                f"{name} of {event.type} {order_event.sequence}",
                _format_value(stored),
                _format_value(expected_value),
            )


def _list_later_names(payload: dict[str, Any], order: Order, order_event: OrderEvent) -> list[str]:
    """Return the payload fields that the event does not have because an earlier version wrote it."""
    names = [] if "broker_reason" in payload else ["broker_reason"]
    if order_event.sequence == 1 and "time_in_force" not in payload:
        names += build_terms(order)
    return names


def _build_expected(
    payload: dict[str, Any],
    order: Order,
    order_event: OrderEvent,
    recorded_values: RecordedValues,
    filled_amounts: FilledAmounts | None,
    executions: Executions,
) -> dict[str, Any]:
    state = replace_fields(
        order,
        status=Status(order_event.to_status),
        quantity=order.quantity if recorded_values.quantity is None else recorded_values.quantity,
        limit_price=recorded_values.limit_price,
        stop_price=recorded_values.stop_price,
        trail_level=recorded_values.trail_level,
        parent_id=recorded_values.parent_id,
        filled_quantity=filled_amounts.quantity if filled_amounts else order.filled_quantity,
        filled_value=filled_amounts.value if filled_amounts else order.filled_value,
        replaced_by=order.replaced_by if order_event.to_status == Status.REPLACED else None,
    )
    execution = None if order_event.execution_id is None else executions.get(order_event.execution_id)
    if execution is not None and not has_components(execution.charges):
        execution = execution._replace(charges=None)
    return build_order_payload(state, payload.get("portfolio_name", ""), order_event, execution)


def _check_changes(
    order: Order, previous: RecordedValues, current: RecordedValues, following: OrderEvent | None
) -> Iterator[Finding]:
    """Yield the terms that differ between an event and the next one although no change was recorded."""
    # The entry of the order was replaced, perhaps with another quantity.
    has_new_parent = previous.parent_id != current.parent_id
    if not has_new_parent and not (following and _may_change_terms(following)):
        for name in _RECORDED_TERMS:
            yield from _compare(name, getattr(previous, name), getattr(current, name))
    if not _may_move_trail(order.side, previous.trail_level, current.trail_level):
        yield from _compare("trail_level", previous.trail_level, current.trail_level)


def _may_change_terms(order_event: OrderEvent) -> bool:
    is_note = order_event.from_status == order_event.to_status
    return is_note or order_event.reason is not None or order_event.from_status in _WAITING_STATUSES


def _may_move_trail(side: str, previous: Decimal | None, current: Decimal | None) -> bool:
    """Return whether a change of the trail level is possible: it only moves closer to the market."""
    if previous is None or current is None:
        return previous is None
    return current >= previous if side == "SELL" else current <= previous


def _compare(name: str, stored: Decimal | None, expected: Decimal | None) -> Iterator[Finding]:
    if stored != expected:
        yield Finding(
            OrderCheck.EVENT, name, _format_value(expected), f"{_format_value(stored)}, as its event says"
        )


def _parse_values(payload: dict[str, Any]) -> RecordedValues:
    parent_id = payload.get("parent_id")
    return RecordedValues(
        _parse_amount(payload.get("quantity")),
        _parse_amount(payload.get("limit_price")),
        _parse_amount(payload.get("stop_price")),
        _parse_amount(payload.get("trail_level")),
        parent_id if isinstance(parent_id, str) else None,
    )


def _parse_amount(text: Any) -> Decimal | None:
    try:
        amount = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def _build_finding(field: str, stored: str | int | None, expected: str | int | None) -> Finding:
    return Finding(OrderCheck.EVENT, field, stored, expected)


def _format_value(value: Any) -> str | None:
    return None if value is None else str(value)
