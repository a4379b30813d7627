"""The account and the orders that a strategy's context uses, in a backtest and on paper or live."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import SymbolProductKey
from app.orders.rules.values import Ticket
from slackoms_strategy import OrderState


class StrategyAccount(Protocol):
    """The cash and the positions of a strategy."""

    cash: Decimal

    @property
    def equity(self) -> Decimal:
        """Cash and the market value of all positions."""

    def get_position(self, key: SymbolProductKey) -> Position:
        """Return a position, flat if there is none."""


class StrategyOrder(Protocol):
    """An order of a strategy."""

    @property
    def id(self) -> str:
        """The id as the strategy knows it."""

    @property
    def quantity(self) -> Decimal:
        """The total quantity."""

    @property
    def ticket(self) -> Ticket:
        """The ticket with which it was placed."""

    def build_state(self) -> OrderState:
        """Return the order as the strategy sees it."""


class StrategyOrders(Protocol):
    """The orders of a strategy. `orders_by_symbol` has the open ones by symbol and id."""

    @property
    def orders_by_symbol(self) -> Mapping[str, Mapping[str, StrategyOrder]]:
        """The open orders by symbol and id."""

    def submit(self, ticket: Ticket, at: int) -> StrategyOrder:
        """Place an order. Raises ValueError for impossible fields."""

    def cancel(self, order_id: str, at: int) -> None:
        """Cancel an order, if it is open."""

    def replace(self, order_id: str, ticket: Ticket, at: int) -> StrategyOrder:
        """Replace an open order. Raises ValueError."""

    def find(self, order_id: str) -> StrategyOrder | None:
        """Return an open order, or None."""
