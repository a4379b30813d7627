"""What an order's row, its history and its executions must say of each other."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.ledger.rules.verification import Finding
from app.money import ZERO, fixed
from app.orders.rules.rows import Move
from app.orders.rules.states import NEXT
from app.orders.rules.values import OPEN, Order, Status


class OrderCheck(StrEnum):
    """What is checked of orders, in the order in which it is told."""

    HISTORY = "order history"
    QUANTITY = "order quantity"
    FILLS = "order fills"
    TRADE = "execution"


# Notes of executions that a broker reported beyond the order's quantity, or after it was rejected.
_BEYOND = frozenset({"over", "stray"})


class Filled(NamedTuple):
    """What executions add up to: units, their value, and whether a broker reported some beyond the order."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    is_beyond: bool = False

    def plus(self, other: "Filled") -> "Filled":
        """Return the sum."""
        is_beyond = self.is_beyond or other.is_beyond
        return Filled(self.quantity + other.quantity, self.value + other.value, is_beyond)


def examine_history(order: Order, moves: Sequence[Move]) -> list[Finding]:
    """Return what is wrong with the order's moves: gaps, moves that there are not, an end elsewhere."""
    findings = []
    before: str | None = None
    for number, move in enumerate(moves, 1):
        if move.sequence != number:
            findings.append(_history("sequence", move.sequence, number))
        if move.from_status != before:
            findings.append(_history("from_status", move.from_status, before))
        elif before is not None and not _may_move(before, move.to_status):
            findings.append(_history("to_status", move.to_status, f"a status that {before} leads to"))
        before = move.to_status
    if before != order.status:
        findings.append(_history("status", order.status, before))
    if len(moves) != order.event_count:
        findings.append(_history("event_count", order.event_count, len(moves)))
    return findings


def examine_quantity(order: Order) -> list[Finding]:
    """Return what is wrong with what is filled and what is left: while it is open, they make the quantity."""
    if order.status not in OPEN or order.filled_quantity < order.quantity:
        return []
    expected = f"less than {fixed(order.quantity)} while {order.status}"
    return [Finding(OrderCheck.QUANTITY, "filled_quantity", fixed(order.filled_quantity), expected)]


def filled_by(quantity: Decimal, value: Decimal, note: str | None) -> Filled:
    """Return what one execution filled."""
    return Filled(quantity, value, note in _BEYOND)


def examine_most(order: Order, filled: Filled) -> list[Finding]:
    """Return a finding where more is filled than was ordered, unless a broker reported an overfill."""
    if order.filled_quantity <= order.quantity or filled.is_beyond:
        return []
    expected = f"at most {fixed(order.quantity)}"
    return [Finding(OrderCheck.QUANTITY, "filled_quantity", fixed(order.filled_quantity), expected)]


def examine_fills(order: Order, filled: Filled) -> list[Finding]:
    """Return what is wrong with what the order says it filled, given all executions of its chain."""
    pairs = (
        ("filled_quantity", order.filled_quantity, filled.quantity),
        ("filled_value", order.filled_value, filled.value),
    )
    return [
        Finding(OrderCheck.FILLS, name, fixed(stored), fixed(due))
        for name, stored, due in pairs
        if stored != due
    ]


def _may_move(start: str, end: str) -> bool:
    return start == end or Status(end) in NEXT[Status(start)]


def _history(field: str, stored: str | int | None, expected: str | int | None) -> Finding:
    return Finding(OrderCheck.HISTORY, field, stored, expected)
