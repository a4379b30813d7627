"""Exits of brackets: they grow with the fills of their entry, and never exceed the position."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from app.backtests.service.orders import BacktestOrder
from app.brokers.rules.values import OrderType
from app.ledger.rules.accounting import Side
from app.money import ZERO
from app.orders.rules.values import Ticket

CreateExit = Callable[[Ticket, Decimal, int, str | None], BacktestOrder]
ReduceExit = Callable[[BacktestOrder, Decimal, int], None]


class ExitManager:
    """Creates, grows and cuts exits. `reduce` changes the total quantity of a working one."""

    def __init__(self, create: CreateExit, reduce: ReduceExit) -> None:
        self._create, self._reduce = create, reduce

    def build_tickets(self, entry: BacktestOrder) -> list[Ticket]:
        """Return the tickets of the exits that an entry asks for, for its whole quantity."""
        ticket, tickets = entry.ticket, list[Ticket]()
        side = Side.SELL if entry.side is Side.BUY else Side.BUY
        base = Ticket(
            ticket.symbol, side.value, OrderType.LIMIT, entry.quantity, product=ticket.product,
            time_in_force=ticket.time_in_force, expires_at=ticket.expires_at,
        )  # fmt: skip
        if ticket.take_profit is not None:
            tickets.append(base._replace(limit_price=ticket.take_profit.limit_price))
        if ticket.stop_loss is not None:
            stop, limit = ticket.stop_loss
            kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
            tickets.append(base._replace(type=kind, stop_price=stop, limit_price=limit))
        return tickets

    def grow(
        self, entry: BacktestOrder, open_orders: Mapping[str, BacktestOrder], now: int
    ) -> Iterator[BacktestOrder]:
        """Grow the exits of an entry to its filled quantity. Yield the new exits."""
        tickets = self.build_tickets(entry)
        if not tickets:
            return
        exits = [
            backtest_order for backtest_order in open_orders.values() if backtest_order.parent_id == entry.id
        ]
        for order in exits:
            self._reduce(order, entry.filled_quantity, now)
        if not exits:
            for ticket in tickets:
                yield self._create(ticket, entry.filled_quantity, now, entry.id)

    def cut(
        self, open_orders: Mapping[str, BacktestOrder], product: str, held_quantity: Decimal, now: int
    ) -> None:
        """Cut the exits of a position to its quantity, the oldest first."""
        side = Side.SELL if held_quantity > ZERO else Side.BUY
        exits = [
            backtest_order
            for backtest_order in open_orders.values()
            if backtest_order.group is not None and backtest_order.product == product
        ]
        exits.sort(key=attrgetter("group"))
        groups = [list(orders) for _, orders in groupby(exits, key=attrgetter("group"))]
        groups.sort(key=lambda orders: min(backtest_order.created_at for backtest_order in orders))
        excess = sum(
            (max(backtest_order.leaves for backtest_order in orders) for orders in groups), ZERO
        ) - abs(held_quantity)
        for backtest_orders in groups:
            wrong_side = backtest_orders[0].side is not side
            largest = max(backtest_order.leaves for backtest_order in backtest_orders)
            reduction = largest if wrong_side or not held_quantity else max(min(excess, largest), ZERO)
            for order in backtest_orders if reduction else ():
                self._reduce(order, order.quantity - min(reduction, order.leaves), now)
            excess -= reduction
