"""Find the differences between our books and a broker's."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.brokers.rules.values import BrokerOrder
from app.money import ZERO, divide, format_plain_amount
from app.reconciliation.rules.order_terms import describe_order, format_terms

CENT = Decimal("0.01")
# A share of the price: brokers round averages, and some include commissions.
_PRICE_TOLERANCE = Decimal("0.001")


class IssueType(StrEnum):
    """The kind of a difference between our books and the broker's."""

    MISSING_POSITION = "missing_position"  # one side has a position in a symbol, the other has none
    QUANTITY_MISMATCH = "quantity_mismatch"
    PRICE_MISMATCH = "price_mismatch"  # the same quantity at another average cost
    UNKNOWN_ORDER = "unknown_order"  # an order works at the broker that is not ours
    MISSING_EXECUTION = "missing_execution"  # a fill at the broker that was not booked
    CASH_MISMATCH = "cash_mismatch"


class Severity(StrEnum):
    """The severity of a difference. A critical issue stops orders that open positions."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class HeldAmount(NamedTuple):
    """A position on one side: signed units, and their signed cost in the currency that it trades in."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def average_cost(self) -> Decimal:
        """The cost of a unit, zero while flat."""
        return divide(self.cost, self.quantity) if self.quantity else ZERO


class Difference(NamedTuple):
    """A difference with the figures of both sides as text, None if a side has none.

    `details` is JSON with further values of the broker, which `adopt` needs.
    """

    type: IssueType
    severity: Severity
    symbol: str | None
    order_id: str | None
    ours: str | None
    theirs: str | None
    details: str | None = None


NOTHING_HELD = HeldAmount()
_PROPOSED_ACTIONS = {
    IssueType.MISSING_POSITION: "adopt",
    IssueType.QUANTITY_MISMATCH: "adopt",
    IssueType.PRICE_MISMATCH: "ignore",
    IssueType.UNKNOWN_ORDER: "watch",
    IssueType.MISSING_EXECUTION: "book_missing",
    IssueType.CASH_MISMATCH: "adjust_cash",
}
_POSSIBLE_ACTIONS: dict[IssueType, frozenset[str]] = {
    IssueType.MISSING_POSITION: frozenset({"adopt"}),
    IssueType.QUANTITY_MISMATCH: frozenset({"adopt"}),
    IssueType.UNKNOWN_ORDER: frozenset({"adopt"}),
    IssueType.MISSING_EXECUTION: frozenset({"book_missing"}),
    IssueType.CASH_MISMATCH: frozenset({"adjust_cash"}),
}
_BOOKING_ACTIONS = frozenset({"adopt", "adjust_cash"})
_ACCEPTING_ACTIONS = frozenset({"ignore", "watch"})
_UNIVERSAL_ACTIONS = frozenset({"assign", "ignore", "watch"})


def compare_positions(
    own_positions: Mapping[str, HeldAmount], broker_positions: Mapping[str, HeldAmount]
) -> list[Difference]:
    """Return the differences of the positions: of the signed quantity, or else of the average cost."""
    differences = []
    for symbol in sorted(own_positions.keys() | broker_positions.keys()):
        own_position = own_positions.get(symbol, NOTHING_HELD)
        broker_position = broker_positions.get(symbol, NOTHING_HELD)
        difference = _compare_position(symbol, own_position, broker_position)
        if difference is not None:
            differences.append(difference)
    return differences


def compare_orders(known_ids: Collection[str], broker_orders: Mapping[str, BrokerOrder]) -> list[Difference]:
    """Return a difference for each working order of the broker that is not ours. `details` are its terms."""
    kind, severity = IssueType.UNKNOWN_ORDER, Severity.WARNING
    return [
        Difference(kind, severity, order.symbol, order_id, None, describe_order(order), format_terms(order))
        for order_id, order in sorted(broker_orders.items())
        if order_id not in known_ids
    ]


def compare_cash(own_cash: Decimal, broker_cash: Decimal) -> list[Difference]:
    """Return the difference of the cash, if it is a cent or more."""
    if abs(own_cash - broker_cash) < CENT:
        return []
    figures = f"{own_cash:.2f}", f"{broker_cash:.2f}"
    return [Difference(IssueType.CASH_MISMATCH, Severity.INFO, None, None, *figures)]


def get_subject(
    type_: str, symbol: str | None, order_id: str | None, broker_value: str | None
) -> tuple[str | None, ...]:
    """Return the key by which a later comparison recognizes the same issue."""
    is_execution = type_ == IssueType.MISSING_EXECUTION
    return (str(type_), symbol, order_id, broker_value if is_execution else None)


def get_proposed_action(kind: IssueType) -> str:
    """Return the action that would resolve an issue."""
    return _PROPOSED_ACTIONS[kind]


def is_possible_action(kind: IssueType, action: str) -> bool:
    """Return whether an action fits an issue of that type."""
    return action in _UNIVERSAL_ACTIONS | _POSSIBLE_ACTIONS.get(kind, frozenset())


def needs_person(action: str, severity: str) -> bool:
    """Return whether only a person may take the action: it changes the books or lets a portfolio trade."""
    if action in _BOOKING_ACTIONS:
        return True
    return severity == Severity.CRITICAL and action in _ACCEPTING_ACTIONS


def _compare_position(
    symbol: str, own_position: HeldAmount, broker_position: HeldAmount
) -> Difference | None:
    if own_position.quantity != broker_position.quantity:
        is_missing = not own_position.quantity or not broker_position.quantity
        kind = IssueType.MISSING_POSITION if is_missing else IssueType.QUANTITY_MISMATCH
        figures = (format_quantity(own_position.quantity), format_quantity(broker_position.quantity))
        return Difference(kind, Severity.CRITICAL, symbol, None, *figures, f"{broker_position.cost:f}")
    own_price, broker_price = own_position.average_cost, broker_position.average_cost
    if abs(own_price - broker_price) <= max(CENT, abs(own_price) * _PRICE_TOLERANCE):
        return None
    figures = (format_plain_amount(own_price), format_plain_amount(broker_price))
    return Difference(IssueType.PRICE_MISMATCH, Severity.WARNING, symbol, None, *figures)


def format_quantity(quantity: Decimal) -> str | None:
    """Return a quantity as text, None for a flat position."""
    return format_plain_amount(quantity) if quantity else None
