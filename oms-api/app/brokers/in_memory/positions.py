"""Positions and cash that result from fills, by the rules of the ledger."""

from decimal import Decimal

from app.brokers.rules.values import BrokerOrder, BrokerPosition, Executed
from app.ledger.rules.accounting import FLAT, Fill, Position, apply_fill


class InMemoryPositions:
    """The cash, in one currency, and the positions that result from fills."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.positions: dict[tuple[int, str], Position] = {}

    def add_fill(self, order: BrokerOrder, fill: Executed) -> None:
        """Apply a fill of `order`."""
        key = (order.portfolio_id, order.symbol)
        previous = self.positions.get(key, FLAT)
        self.positions[key] = apply_fill(previous, Fill(order.side, fill.quantity, fill.value))
        self.cash -= order.side.sign * fill.value

    def list_open(self) -> list[BrokerPosition]:
        """Return the positions that are not flat."""
        return [
            BrokerPosition(portfolio_id, symbol, position.quantity, position.cost)
            for (portfolio_id, symbol), position in self.positions.items()
            if position.quantity
        ]
