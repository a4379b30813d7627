"""What fills add up to, by the ledger's own rules."""

from decimal import Decimal

from app.brokers.rules.values import BrokerOrder, Executed, Holding
from app.ledger.rules.accounting import FLAT, Fill, Position, apply_fill


class Holdings:
    """Cash and positions in memory; cash in one currency."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.positions: dict[tuple[int, str], Position] = {}

    def book(self, order: BrokerOrder, fill: Executed) -> None:
        """Add a fill of `order`."""
        key = (order.portfolio_id, order.symbol)
        before = self.positions.get(key, FLAT)
        self.positions[key] = apply_fill(before, Fill(order.side, fill.quantity, fill.value))
        self.cash -= order.side.sign * fill.value

    def open(self) -> list[Holding]:
        """Return what is not flat."""
        return [
            Holding(portfolio_id, symbol, position.quantity, position.cost)
            for (portfolio_id, symbol), position in self.positions.items()
            if position.quantity
        ]
