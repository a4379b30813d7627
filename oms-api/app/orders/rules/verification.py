"""Verify an order's row, its history and its executions against each other."""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.ledger.rules.verification import Finding
from app.money import ZERO, format_fixed
from app.orders.rules.order_factory import PAPER
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.states import TRANSITIONS
from app.orders.rules.values import OPEN_STATUSES, PENDING_STATUSES, Order, OrderType, Status


class OrderCheck(StrEnum):
    """The checks of orders, in the order of the report."""

    HISTORY = "order history"
    QUANTITY = "order quantity"
    FILLS = "order fills"
    TRADE = "execution"
    EVENT = "order event"
    APPROVAL = "approval"


# Notes of executions that a broker reported beyond the order's quantity, or after it was rejected.
OVERFILL_NOTES = frozenset({"over", "stray"})
_PRICE_FIELDS, _TRAIL_FIELDS = ("limit_price", "stop_price"), ("trail_amount", "trail_percent", "trail_level")
_TYPES_WITHOUT_TRIGGER = frozenset({OrderType.MARKET, OrderType.LIMIT})


class FilledAmounts(NamedTuple):
    """The sum of executions. `is_overfill`: a broker reported some of them beyond the order's quantity."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    is_overfill: bool = False

    def add(self, other: "FilledAmounts") -> "FilledAmounts":
        """Return the sum."""
        is_overfill = self.is_overfill or other.is_overfill
        return FilledAmounts(self.quantity + other.quantity, self.value + other.value, is_overfill)


def check_history(order: Order, history: Sequence[OrderEvent]) -> list[Finding]:
    """Return the findings about the order's history: gaps, illegal transitions, a wrong last status."""
    findings = []
    before: str | None = None
    for number, event in enumerate(history, 1):
        if event.sequence != number:
            findings.append(_build_finding("sequence", event.sequence, number))
        if event.from_status != before:
            findings.append(_build_finding("from_status", event.from_status, before))
        elif before is not None and not _is_allowed_transition(before, event.to_status):
            findings.append(_build_finding("to_status", event.to_status, f"a status that {before} leads to"))
        before = event.to_status
    if before != order.status:
        findings.append(_build_finding("status", order.status, before))
    if len(history) != order.event_count:
        findings.append(_build_finding("event_count", order.event_count, len(history)))
    return [*findings, *_check_times(order, history)]


def _check_times(order: Order, history: Sequence[OrderEvent]) -> Iterator[Finding]:
    """Yield the order's instants and actor that do not match its history."""
    if not history:
        return
    pairs = (
        ("created_at", order.created_at, history[0].at),
        ("updated_at", order.updated_at, history[-1].at),
        ("actor", order.placed_by, history[0].actor),
    )
    for name, stored, expected in pairs:
        if stored != expected:
            yield _build_finding(name, stored, expected)
    times = {event.at for event in history}
    accepted = [event.at for event in history if event.to_status == Status.ACCEPTED]
    if order.accepted_at not in (times if accepted else times | {None}):
        yield _build_finding("accepted_at", order.accepted_at, accepted[0] if accepted else None)


def check_terms(order: Order, history: Sequence[OrderEvent]) -> list[Finding]:
    """Return findings about fields that contradict the order's type, broker, history or denial."""
    findings = []
    unused_prices = [(name, getattr(order, name)) for name in _list_unused_prices(order.type)]
    findings += [_build_finding(name, str(price), None) for name, price in unused_prices if price is not None]
    if (order.replaced_by is not None) != (order.status == Status.REPLACED):
        expected = "a successor" if order.replaced_by is None else None
        findings.append(_build_finding("replaced_by", order.replaced_by, expected))
    if not _may_be_triggered(order, {event.to_status for event in history}):
        findings.append(_build_finding("is_triggered", order.is_triggered, not order.is_triggered))
    if order.broker == PAPER and order.broker_order_id is not None:
        findings.append(_build_finding("broker_order_id", order.broker_order_id, None))
    denied = [event.reason for event in history if event.to_status == Status.DENIED]
    if order.denial is not None and denied != [_parse_message(order.denial)]:
        findings.append(_build_finding("denial", order.denial, f"the denial {denied}"))
    return findings


def _list_unused_prices(order_type: OrderType) -> tuple[str, ...]:
    if order_type is OrderType.TRAILING_STOP:
        return ()
    return (*_PRICE_FIELDS, *_TRAIL_FIELDS) if order_type is OrderType.MARKET else _TRAIL_FIELDS


def _may_be_triggered(order: Order, reached: set[str]) -> bool:
    """Return whether `is_triggered` is possible for the order's type and history."""
    if not order.is_triggered:
        return Status.TRIGGERED not in reached
    may_be_unrecorded = order.replaces is not None or not reached.isdisjoint(PENDING_STATUSES)
    return order.type not in _TYPES_WITHOUT_TRIGGER and (Status.TRIGGERED in reached or may_be_unrecorded)


def _parse_message(denial: str) -> str | None:
    try:
        fields = json.loads(denial)
    except ValueError:
        return None
    return fields.get("message") if isinstance(fields, dict) else None


def check_quantity(order: Order) -> list[Finding]:
    """Return a finding if an open order has nothing left to fill.

    Late fills of its predecessor may complete an order that awaits approval.
    """
    is_working = order.status in OPEN_STATUSES and order.status is not Status.AWAITING_APPROVAL
    if not is_working or order.filled_quantity < order.quantity:
        return []
    expected = f"less than {format_fixed(order.quantity)} while {order.status}"
    return [Finding(OrderCheck.QUANTITY, "filled_quantity", format_fixed(order.filled_quantity), expected)]


def get_filled_amounts(execution: ExecutionRow) -> FilledAmounts:
    """Return the quantity and the value that one execution filled."""
    return FilledAmounts(
        Decimal(execution.quantity), Decimal(execution.value), execution.note in OVERFILL_NOTES
    )


def check_carried(order: Order, predecessor: Order | None) -> list[Finding]:
    """Return a finding for each carried amount that differs from the predecessor's fills.

    Without a predecessor they are zero.
    """
    expected_values = (ZERO, ZERO)
    if predecessor is not None:
        expected_values = (predecessor.filled_quantity, predecessor.filled_value)
    pairs = zip(("carried_quantity", "carried_value"), expected_values, strict=True)
    return [
        Finding(OrderCheck.FILLS, name, format_fixed(getattr(order, name)), format_fixed(expected))
        for name, expected in pairs
        if getattr(order, name) != expected
    ]


def check_overfill(order: Order, filled_amounts: FilledAmounts) -> list[Finding]:
    """Return a finding if more is filled than ordered, unless a broker reported an overfill."""
    if order.filled_quantity <= order.quantity or filled_amounts.is_overfill:
        return []
    expected = f"at most {format_fixed(order.quantity)}"
    return [Finding(OrderCheck.QUANTITY, "filled_quantity", format_fixed(order.filled_quantity), expected)]


def check_fills(order: Order, filled_amounts: FilledAmounts) -> list[Finding]:
    """Return a finding for each filled amount that differs from the sum of the chain's executions."""
    pairs = (
        ("filled_quantity", order.filled_quantity, filled_amounts.quantity),
        ("filled_value", order.filled_value, filled_amounts.value),
    )
    return [
        Finding(OrderCheck.FILLS, name, format_fixed(stored), format_fixed(expected))
        for name, stored, expected in pairs
        if stored != expected
    ]


def _is_allowed_transition(start: str, end: str) -> bool:
    return start == end or Status(end) in TRANSITIONS[Status(start)]


def _build_finding(field: str, stored: str | int | None, expected: str | int | None) -> Finding:
    return Finding(OrderCheck.HISTORY, field, stored, expected)
