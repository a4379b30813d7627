"""Working orders by symbol, and the effects of fills, cancels and trailing stops on them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from app.brokers.rules.values import (
    BrokerEvent,
    BrokerOrder,
    Canceled,
    Executed,
    TrailMoved,
    Triggered,
    UnfilledCanceled,
)
from app.money import ZERO

OrdersById = dict[str, BrokerOrder]


class PaperOrderBook:
    """The working orders of a paper market. Closed orders keep their last state."""

    def __init__(self, orders: Iterable[BrokerOrder] = ()) -> None:
        self.ended: OrdersById = {}
        self._symbols: dict[str, OrdersById] = {}
        for order in orders:
            self.add(order)

    def __iter__(self) -> Iterator[BrokerOrder]:
        for symbol_orders in self._symbols.values():
            yield from symbol_orders.values()

    def add(self, order: BrokerOrder) -> None:
        """Add a working order."""
        self._symbols.setdefault(order.symbol, {})[order.id] = order

    def list_orders(self, symbol: str) -> list[BrokerOrder]:
        """Return the working orders of a symbol, oldest first."""
        symbol_orders = self._symbols.get(symbol)
        return list(symbol_orders.values()) if symbol_orders else []

    def find(self, order_id: str) -> BrokerOrder | None:
        """Return a working order, or None."""
        for symbol_orders in self._symbols.values():
            if order_id in symbol_orders:
                return symbol_orders[order_id]
        return None

    def remove(self, order: BrokerOrder) -> None:
        """Remove a working order."""
        del self._symbols[order.symbol][order.id]
        self.ended[order.id] = order

    def apply(self, event: BrokerEvent, symbol: str, at: datetime) -> list[BrokerEvent]:
        """Apply an event to a working order of `symbol`. Return the events that follow for other orders."""
        order = self._symbols[symbol][event.order_id]
        match event:
            case Executed():
                return self._apply_fill(order, event.quantity, at)
            case Triggered():
                self.add(order._replace(triggered=True))
            case TrailMoved():
                self.add(order._replace(trail_level=event.level))
            case UnfilledCanceled():
                self.remove(order)
            case _:
                raise ValueError(f"{type(event).__name__} is not the market's to say")
        return []

    def _apply_fill(self, order: BrokerOrder, quantity: Decimal, at: datetime) -> list[BrokerEvent]:
        """Close the parent's remaining quantity, and reduce the siblings by the filled quantity."""
        self._set_leaves(order, order.quantity, order.leaves - quantity)
        symbol_orders = self.list_orders(order.symbol) if order.group or order.parent_id else []
        canceled_orders = [other for other in symbol_orders if other.id == order.parent_id]
        for sibling in symbol_orders:
            if order.group and sibling.group == order.group and sibling.id != order.id:
                reduction = min(quantity, sibling.leaves)
                if reduction == sibling.leaves:
                    canceled_orders.append(sibling)
                else:
                    self._set_leaves(sibling, sibling.quantity - reduction, sibling.leaves - reduction)
        for other in canceled_orders:
            self.remove(other)
        return [Canceled(other.id, at) for other in canceled_orders]

    def _set_leaves(self, order: BrokerOrder, quantity: Decimal, leaves: Decimal) -> None:
        changed = order._replace(quantity=quantity, leaves=leaves)
        if leaves > ZERO:
            self.add(changed)
        else:
            del self._symbols[order.symbol][order.id]
            self.ended[order.id] = changed
