"""Find the differences between our books and a broker's."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO, fixed, quantity_text

CENT = Decimal("0.01")


class IssueType(StrEnum):
    """What differs."""

    MISSING_POSITION = "missing_position"  # one side has a position in a symbol, the other has none
    QUANTITY_MISMATCH = "quantity_mismatch"
    UNKNOWN_ORDER = "unknown_order"  # an order works at the broker that is not ours
    MISSING_EXECUTION = "missing_execution"  # a fill at the broker that was not booked
    CASH_MISMATCH = "cash_mismatch"


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Difference(NamedTuple):
    """A difference with the figures of both sides as text, None where a side has nothing."""

    type: IssueType
    severity: Severity
    symbol: str | None
    order_id: str | None
    ours: str | None
    theirs: str | None

    @property
    def subject(self) -> tuple[str, str | None, str | None]:
        """What the difference is about. A later run finds the same one under it."""
        return (self.type.value, self.symbol, self.order_id)


_PROPOSED_ACTIONS = {
    IssueType.MISSING_POSITION: "adopt",
    IssueType.QUANTITY_MISMATCH: "adopt",
    IssueType.UNKNOWN_ORDER: "adopt",
    IssueType.MISSING_EXECUTION: "book_missing",
    IssueType.CASH_MISMATCH: "adjust_cash",
}


def compare_positions(ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal]) -> list[Difference]:
    """Return the symbols whose signed quantity differs."""
    found = []
    for symbol in sorted(ours.keys() | theirs.keys()):
        own, other = ours.get(symbol, ZERO), theirs.get(symbol, ZERO)
        if own != other:
            is_missing = not own or not other
            kind = IssueType.MISSING_POSITION if is_missing else IssueType.QUANTITY_MISMATCH
            found.append(Difference(kind, Severity.CRITICAL, symbol, None, _text(own), _text(other)))
    return found


def compare_orders(known: Collection[str], theirs: Mapping[str, str]) -> list[Difference]:
    """Return the working orders of the broker (symbol by order id) that are not ours."""
    return [
        Difference(IssueType.UNKNOWN_ORDER, Severity.WARNING, symbol, order_id, None, order_id)
        for order_id, symbol in sorted(theirs.items())
        if order_id not in known
    ]


def compare_cash(ours: Decimal, theirs: Decimal) -> list[Difference]:
    """Return the difference of the cash, if it is a cent or more."""
    if abs(ours - theirs) < CENT:
        return []
    return [Difference(IssueType.CASH_MISMATCH, Severity.INFO, None, None, f"{ours:.2f}", f"{theirs:.2f}")]


def get_proposed_action(kind: IssueType) -> str:
    """Return what would resolve an issue."""
    return _PROPOSED_ACTIONS[kind]


def _text(quantity: Decimal) -> str | None:
    return quantity_text(fixed(quantity)) if quantity else None
