"""The orders and the account of a running strategy, computed from its inputs only.

They do not access the service, so a replay of the journal computes the same values.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from app.ledger.rules.accounting import FLAT, Position, apply_fill
from app.ledger.rules.accounting import Fill as LedgerFill
from app.ledger.rules.accounting import Side as LedgerSide
from app.ledger.rules.keys import SymbolProductKey
from app.money import ZERO, format_fixed, multiply
from app.orders.rules import values as order_values
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.tickets import list_ticket_errors
from app.orders.rules.values import Ticket
from app.strategies.rules.actions import Action, CancelAction, PlaceAction, ReplaceAction
from app.strategies.rules.journal_values import parse_order, serialize_order
from slackoms_strategy import Fill, OrderState, OrderStatus, OrderType, Side, TimeInForce


class LiveOrder:
    """Implements `StrategyOrder`: an order of a strategy."""

    __slots__ = ("state", "ticket")

    def __init__(self, state: OrderState, ticket: Ticket) -> None:
        self.state, self.ticket = state, ticket

    @property
    def id(self) -> str:
        """The id that the strategy uses."""
        return self.state.id

    @property
    def quantity(self) -> Decimal:
        """The total quantity."""
        return self.state.quantity

    def build_state(self) -> OrderState:
        """Return the order as the strategy sees it."""
        return self.state


class LiveOrders:
    """Implements `StrategyOrders`: the open orders by symbol and id, and the actions since the last input.

    The ids of new orders begin with `prefix`. An order is SUBMITTED until an input reports another status.
    """

    def __init__(self, strategy: str) -> None:
        self._strategy = strategy
        self.orders_by_symbol: dict[str, dict[str, LiveOrder]] = {}
        self.actions: list[Action] = []
        self.prefix = ""
        self._count = 0

    def start_input(self, prefix: str) -> None:
        """Start an input: clear the actions, and begin the ids of its new orders with `prefix`."""
        self.prefix = prefix
        self._count = 0
        self.actions = []

    def submit(self, ticket: Ticket, at: int) -> LiveOrder:  # noqa: ARG002  # `StrategyOrders` has it
        """Place an order. Raises ValueError for an invalid ticket."""
        _require_valid(ticket)
        ticket = ticket._replace(client_order_id=self._create_id(), strategy=self._strategy)
        self.actions.append(PlaceAction(ticket))
        return self._add_order(LiveOrder(_build_submitted_state(ticket), ticket))

    def cancel(self, order_id: str, at: int) -> None:  # noqa: ARG002  # `StrategyOrders` has it
        """Cancel an order, if it is open."""
        if self.find(order_id) is not None:
            self.actions.append(CancelAction(order_id))

    def replace(self, order_id: str, ticket: Ticket, at: int) -> LiveOrder:  # noqa: ARG002  # `StrategyOrders` has it
        """Replace an open order. Raises ValueError."""
        if self.find(order_id) is None:
            raise ValueError(f"Order {order_id} is not open.")
        _require_valid(ticket)
        ticket = ticket._replace(client_order_id=self._create_id(), strategy=self._strategy)
        changes = OrderChanges(
            ticket.quantity, ticket.limit_price, ticket.stop_price, client_order_id=ticket.client_order_id
        )
        self.actions.append(ReplaceAction(order_id, changes))
        return self._add_order(LiveOrder(_build_submitted_state(ticket), ticket))

    def find(self, order_id: str) -> LiveOrder | None:
        """Return an open order, or None."""
        return next(
            (
                orders_by_id[order_id]
                for orders_by_id in self.orders_by_symbol.values()
                if order_id in orders_by_id
            ),
            None,
        )

    def apply(self, state: OrderState) -> None:
        """Replace an order by its new state, or remove it if it is no longer open."""
        live_order = self.find(state.id)
        if not state.is_open:
            self.orders_by_symbol.get(state.symbol, {}).pop(state.id, None)
            return
        self._add_order(LiveOrder(state, _build_ticket(state) if live_order is None else live_order.ticket))

    def serialize(self) -> list[dict[str, Any]]:
        """Return the open orders as JSON values."""
        return [
            serialize_order(order.state)
            for orders_by_id in self.orders_by_symbol.values()
            for order in orders_by_id.values()
        ]

    def restore(self, payloads: Iterable[dict[str, Any]]) -> None:
        """Restore the orders from the result of `serialize`."""
        for payload in payloads:
            self.apply(parse_order(payload))

    def _add_order(self, order: LiveOrder) -> LiveOrder:
        self.orders_by_symbol.setdefault(order.state.symbol, {})[order.id] = order
        return order

    def _create_id(self) -> str:
        self._count += 1
        return f"{self.prefix}-{self._count}"


class LiveAccount:
    """Implements `StrategyAccount`: the cash and the positions of a strategy after its own fills."""

    def __init__(self, get_price: Callable[[str], Decimal]) -> None:
        self._get_price = get_price
        self.cash = ZERO
        self.positions: dict[SymbolProductKey, Position] = {}

    @property
    def equity(self) -> Decimal:
        """Cash and the market value of the positions."""
        positions = self.positions.items()
        values = (
            multiply(position.quantity, self._get_price(key.symbol))
            for key, position in positions
            if position.quantity
        )
        return self.cash + sum(values, ZERO)

    def get_position(self, key: SymbolProductKey) -> Position:
        """Return a position, flat if there is none."""
        return self.positions.get(key, FLAT)

    def book_fill(self, fill: Fill, product_name: str) -> None:
        """Book a fill."""
        key, side = SymbolProductKey(fill.symbol, product_name), LedgerSide(fill.side.value)
        self.positions[key] = apply_fill(self.get_position(key), LedgerFill(side, fill.quantity, fill.value))
        self.cash -= side.sign * fill.value + fill.charges

    def serialize(self) -> dict[str, Any]:
        """Return cash and positions as JSON values."""
        positions = [
            [
                key.symbol,
                key.product,
                format_fixed(position.quantity),
                format_fixed(position.cost),
                format_fixed(position.realized_pnl),
            ]
            for key, position in self.positions.items()
        ]
        return {"cash": format_fixed(self.cash), "positions": positions}

    def restore(self, payload: dict[str, Any]) -> None:
        """Restore cash and positions from the result of `serialize`."""
        self.cash = Decimal(payload["cash"])
        for symbol, product_name, quantity, cost, realized_pnl in payload["positions"]:
            position = Position(Decimal(quantity), Decimal(cost), Decimal(realized_pnl))
            self.positions[SymbolProductKey(symbol, product_name)] = position


def _require_valid(ticket: Ticket) -> None:
    if errors := list_ticket_errors(ticket):
        raise ValueError("; ".join(f"{error.field}: {error.message}" for error in errors))


def _build_submitted_state(ticket: Ticket) -> OrderState:
    return OrderState(
        ticket.client_order_id or "",
        ticket.symbol,
        Side(ticket.side),
        OrderType(ticket.type.value),
        ticket.quantity or ZERO,
        OrderStatus.SUBMITTED,
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        trail_amount=ticket.trail_amount,
        trail_percent=ticket.trail_percent,
        time_in_force=TimeInForce(ticket.time_in_force.value),
    )


def _build_ticket(state: OrderState) -> Ticket:
    """Return a ticket for an order without one: an exit, or an order restored from the saved state.

    It has only the fields of the state. The others, such as `notional` and `expires_at`, are lost.
    """
    return Ticket(
        symbol=state.symbol,
        side=state.side.value,
        type=order_values.OrderType(state.type.value),
        quantity=state.quantity,
        notional=None,
        limit_price=state.limit_price,
        stop_price=state.stop_price,
        trail_amount=state.trail_amount,
        trail_percent=state.trail_percent,
        time_in_force=order_values.TimeInForce(state.time_in_force.value),
    )
