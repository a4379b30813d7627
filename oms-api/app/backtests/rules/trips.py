"""Round trips: the P&L of each, from flat to flat, net of charges."""

from decimal import Decimal

from app.ledger.rules.accounting import Position, compute_closed_quantity
from app.money import ZERO, compute_share


class TripTracker:
    """The open round trip of one position, and the P&L of its closed round trips."""

    def __init__(self) -> None:
        self.earned: list[Decimal] = []
        self._open_pnl = ZERO  # realized so far less charges

    def book_fill(
        self, previous: Position, current: Position, signed_quantity: Decimal, charges: Decimal
    ) -> None:
        """Add a fill of the signed quantity. The charges of one through zero are split by quantity."""
        realized_pnl = current.realized_pnl - previous.realized_pnl
        closed_quantity = compute_closed_quantity(previous.quantity, signed_quantity)
        if current.quantity * previous.quantity >= 0 and current.quantity:
            self._open_pnl += realized_pnl - charges
            return
        closing = (
            charges
            if closed_quantity == abs(signed_quantity)
            else compute_share(charges, closed_quantity, abs(signed_quantity))
        )
        self.earned.append(self._open_pnl + realized_pnl - closing)
        self._open_pnl = closing - charges
