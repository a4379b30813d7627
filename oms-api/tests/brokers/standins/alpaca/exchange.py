"""The state of the stand-in: orders, executions, positions, cash and quotes, and their changes."""

import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.brokers.standins.alpaca import linked_orders
from tests.brokers.standins.alpaca.matching import ends_now, match_order
from tests.brokers.standins.alpaca.requests import (
    MAX_CLIENT_ORDER_ID_LENGTH,
    parse_amount,
    refuse,
    validate_order,
)
from tests.brokers.standins.alpaca.serialization import format_amount, format_time, serialize_order
from tests.brokers.standins.alpaca.values import (
    ZERO,
    AlpacaError,
    Asset,
    Execution,
    Order,
    Position,
    Quote,
)
from tests.brokers.standins.faults import Faults

OPENING_CASH = Decimal(1_000_000)
MANY = Decimal(1_000_000_000)
_NOT_FOUND = 40410000
_FORBIDDEN = 40310000
_UNPROCESSABLE = 42210000


def _find_asset(
    symbol: str, asset_class: str = "us_equity", exchange: str = "NASDAQ", **flags: bool
) -> Asset:
    return Asset(str(uuid.uuid5(uuid.NAMESPACE_URL, symbol)), symbol, asset_class, exchange, **flags)


ASSETS = (
    _find_asset("AAPL"),
    _find_asset("MSFT"),
    _find_asset("TSLA"),
    _find_asset("SPY", exchange="ARCA"),
    _find_asset("BRK.B", exchange="NYSE"),
    _find_asset("WHOLE", exchange="NYSE", is_fractionable=False),
    _find_asset("HARD", exchange="NYSE", is_shortable=False),
    _find_asset("BTC/USD", "crypto", "CRYPTO", is_shortable=False),
    _find_asset("ETH/USD", "crypto", "CRYPTO", is_shortable=False),
)

Listener = Callable[[dict[str, Any]], None]


class Exchange:
    """Alpaca with one account. Thread-safe: the web server and a test may call it at the same time."""

    def __init__(self, faults: Faults | None = None, cash: Decimal = OPENING_CASH) -> None:
        self.faults = faults or Faults()
        self.account_number = "PA0STANDIN00"
        self.lock = threading.RLock()
        self.assets = {asset.symbol: asset for asset in ASSETS}
        self.listeners: list[Listener] = []
        self.clear(cash)

    def clear(self, cash: Decimal = OPENING_CASH) -> None:
        """Begin with an account that has cash only, and without quotes."""
        self.cash = cash
        self.orders: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.positions: dict[str, Position] = {}
        self.quotes: dict[str, Quote] = {}
        self.published: list[dict[str, Any]] = []
        self._by_client_order_id: dict[str, Order] = {}

    def run_locked(self, function: Callable[[], None]) -> None:
        """Call a function while nothing changes."""
        with self.lock:
            function()

    # Requests of clients

    def submit(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Accept an order, and return it as it is before it reaches the market."""
        with self.lock:
            order = self._build(body)
            self._check_funds(order)
            for item in (order, *order.legs):
                self._add(item)
            response = serialize_order(order, is_nested=True)
            self._route(order)
            return response

    def replace(self, order_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an open order by a new one, for which fills of the old one do not count, as at Alpaca."""
        with self.lock:
            previous = self.get_order(order_id)
            if previous.status not in {"new", "partially_filled", "held"}:
                refuse(f"order is not open, status: {previous.status}", code=_UNPROCESSABLE)
            current = self._build_successor(previous, body)
            self._add(current)
            order = serialize_order(current)
            self._cross(previous)
            if not previous.is_open:
                self._change(current, "rejected", "rejected", "failed_at")
                self._publish("order_replace_rejected", previous)
                return order
            previous.replaced_by = current.id
            is_held = previous.status == "held"
            self._change(previous, "replaced", "replaced", "replaced_at")
            linked_orders.take_legs(previous, current)
            if is_held:
                self._change(current, "held", "held")
            else:
                self._route(current)
            return serialize_order(current, is_nested=True)

    def cancel(self, order_id: str) -> None:
        """Cancel an open order."""
        with self.lock:
            order = self.get_order(order_id)
            if not order.is_open:
                refuse(f'order is already in "{order.status}" state', code=_UNPROCESSABLE)
            self._cross(order)
            if self.faults.orders.is_cancel_ignored or not order.is_open:
                self._publish("order_cancel_rejected", order)
            else:
                self._close_group(order, "canceled")

    def get_order(self, order_id: str) -> Order:
        """Return an order by Alpaca's id. Raises AlpacaError."""
        order = self.orders.get(order_id)
        if order is None:
            raise AlpacaError(404, _NOT_FOUND, f"order not found for {order_id}")
        return order

    def get_order_by_client_order_id(self, client_order_id: str) -> Order:
        """Return an order by the client's id. Raises AlpacaError."""
        order = self._by_client_order_id.get(client_order_id)
        if order is None:
            raise AlpacaError(404, _NOT_FOUND, f"order not found for {client_order_id}")
        return order

    def get_asset(self, name: str) -> Asset:
        """Return an asset by its symbol or id. Raises AlpacaError."""
        for asset in self.assets.values():
            if name in {asset.symbol, asset.symbol.replace("/", ""), asset.id}:
                return asset
        raise AlpacaError(404, _NOT_FOUND, f"asset not found for {name}")

    # Actions of a test or a demo

    def quote(
        self, symbol: str, bid: str, ask: str, bid_size: str | None = None, ask_size: str | None = None
    ) -> None:
        """Set a quote, and fill the orders that it reaches. Without sizes, any quantity fills."""
        with self.lock:
            sizes = (MANY if size is None else Decimal(size) for size in (bid_size, ask_size))
            self.quotes[symbol] = Quote(Decimal(bid), Decimal(ask), *sizes)
            for order in [order for order in self.orders.values() if order.asset.symbol == symbol]:
                self._trigger(order)
                if order.status in {"new", "partially_filled"}:
                    self._match(order)

    def fill(self, order_id: str, qty: str, price: str) -> str:
        """Fill a part of an order. Return the id of the execution."""
        with self.lock:
            return self._fill(self.get_order(order_id), Decimal(qty), Decimal(price)).id

    def expire(self, order_id: str) -> None:
        """Expire an order, as at the end of the day."""
        with self.lock:
            self._close_group(self.get_order(order_id), "expired")

    def bust(self, execution_id: str) -> None:
        """Undo an execution."""
        with self.lock:
            self._correct(execution_id, "trade_bust", ZERO, None)

    def correct(self, execution_id: str, qty: str, price: str) -> None:
        """Change the quantity and the price of an execution."""
        with self.lock:
            self._correct(execution_id, "trade_correct", Decimal(qty), Decimal(price))

    # Internals

    def _build(self, body: Mapping[str, Any]) -> Order:
        symbol = str(body.get("symbol"))
        if symbol not in self.assets:
            refuse(f'asset "{symbol}" not found', code=_UNPROCESSABLE)
        client_order_id = self._check_client_order_id(body.get("client_order_id"))
        return linked_orders.build_linked(body, self.assets[symbol], client_order_id, _get_now())

    def _build_successor(self, previous: Order, body: Mapping[str, Any]) -> Order:
        if previous.order_class and body.get("qty") is not None:
            refuse(f"qty of {previous.order_class} orders cannot be replaced", code=_UNPROCESSABLE)
        names = ("qty", "limit_price", "stop_price")
        amounts: dict[str, Any] = {
            name: parse_amount(body, name) or getattr(previous, name) for name in names
        }
        trail = parse_amount(body, "trail")
        for name in ("trail_price", "trail_percent"):
            old = getattr(previous, name)
            amounts[name] = old if old is None or trail is None else trail
        current = Order(
            id=_generate_id(),
            client_order_id=self._check_client_order_id(body.get("client_order_id")),
            asset=previous.asset,
            side=previous.side,
            type=previous.type,
            time_in_force=str(body.get("time_in_force") or previous.time_in_force),
            at=_get_now(),
            created_at=_get_now(),
            replaces=previous.id,
            hwm=previous.hwm,
            is_triggered=previous.is_triggered,
            **amounts,
        )
        validate_order(current)
        return current

    def _check_client_order_id(self, requested_id: Any) -> str:
        client_order_id = str(requested_id) if requested_id else _generate_id()
        if len(client_order_id) > MAX_CLIENT_ORDER_ID_LENGTH:
            refuse("client_order_id must be no more than 128 characters")
        if client_order_id in self._by_client_order_id:
            refuse("client_order_id must be unique")
        return client_order_id

    def _check_funds(self, order: Order) -> None:
        if order.side == "sell":
            self._check_holding(order)
            return
        quote = self.quotes.get(order.asset.symbol)
        price = order.limit_price or (ZERO if quote is None else quote.ask)
        if (order.notional or (order.qty or ZERO) * price) > self.cash:
            raise AlpacaError(403, _FORBIDDEN, "insufficient buying power")

    def _check_holding(self, order: Order) -> None:
        position = self.positions.get(order.asset.symbol)
        owned = position.qty if position else ZERO
        asset, qty = order.asset, order.qty or ZERO
        working = [
            other
            for other in self.orders.values()
            if other.is_open and other.asset == asset and other.status != "held"
        ]
        reserved = sum((other.leaves for other in working if other.side == "sell"), ZERO)
        available = max(owned - reserved, ZERO)
        if qty > available and (owned > ZERO or not asset.is_shortable):
            numbers = f"(requested: {format_amount(qty)}, available: {format_amount(available)})"
            raise AlpacaError(403, _FORBIDDEN, f"insufficient qty available for order {numbers}")

    def _add(self, order: Order) -> None:
        self.orders[order.id] = self._by_client_order_id[order.client_order_id] = order

    def _route(self, order: Order) -> None:
        """Let an accepted order reach the market, which may reject it."""
        if self.faults.orders.rejections:
            self.faults.orders.rejections.pop(0)
            self._change(order, "rejected", "rejected", "failed_at")
            for leg in linked_orders.list_ended_with(order):
                self._change(leg, "canceled", "canceled", "canceled_at")
            return
        self._change(order, "new", "new")
        self._match(order)

    def _match(self, order: Order) -> None:
        quote = self.quotes.get(order.asset.symbol)
        if quote is not None:
            qty, price = match_order(order, quote)
            if qty > ZERO:
                self._take(order, quote, qty)
                self._fill(order, qty, price)
        if ends_now(order):
            self._change(order, "canceled", "canceled", "canceled_at")

    def _take(self, order: Order, quote: Quote, qty: Decimal) -> None:
        name = "ask_size" if order.side == "buy" else "bid_size"
        self.quotes[order.asset.symbol] = quote._replace(**{name: getattr(quote, name) - qty})

    def _cross(self, order: Order) -> None:
        crossing, self.faults.orders.crossing = self.faults.orders.crossing, None
        if crossing is not None:
            quote = self.quotes.get(order.asset.symbol)
            price = order.limit_price or (quote.ask if quote else Decimal(1))
            self._fill(order, min(Decimal(crossing), order.leaves), price)

    def _fill(self, order: Order, qty: Decimal, price: Decimal) -> Execution:
        order.filled_qty += qty
        order.filled_value += qty * price
        self._hold(order, qty, price)
        execution = Execution(_generate_id(), order, qty, price, order.filled_qty, order.leaves, _get_now())
        self.executions.append(execution)
        is_last = order.leaves <= ZERO
        status = "filled" if is_last else "partially_filled"
        event = "fill" if is_last else "partial_fill"
        self._change(order, status, event, "filled_at" if is_last else None, execution)
        self._apply_to_group(order, qty)
        return execution

    def _apply_to_group(self, order: Order, qty: Decimal) -> None:
        """Let the exits of a filled entry work, and an exit take the quantity of the other one."""
        for leg in linked_orders.list_activated(order) if order.status == "filled" else []:
            self._change(leg, "new", "new")
            self._match(leg)
        for sibling in linked_orders.list_siblings(order):
            if sibling.leaves > qty:
                linked_orders.reduce_sibling(sibling, qty)
            else:
                self._change(sibling, "canceled", "canceled", "canceled_at")

    def _trigger(self, order: Order) -> None:
        """Let a held stop work whose price is reached; its take-profit ends."""
        quote = self.quotes[order.asset.symbol]
        if linked_orders.is_armed(order) and linked_orders.is_stop_reached(order, quote):
            for sibling in linked_orders.list_siblings(order):
                order.qty = min(order.qty or ZERO, sibling.leaves)
                self._change(sibling, "replaced", "replaced", "replaced_at")
            self._change(order, "new", "new")

    def _close_group(self, order: Order, status: str) -> None:
        """Cancel or expire an order, and those that are linked to it."""
        ended = [order, *linked_orders.list_ended_with(order)]
        for item in ended:
            self._change(item, status, status, f"{status}_at")

    def _hold(self, order: Order, qty: Decimal, price: Decimal) -> None:
        signed = order.sign * qty
        position = self.positions.setdefault(order.asset.symbol, Position(order.asset))
        if position.qty * signed >= ZERO:
            position.cost += signed * price
        elif abs(signed) <= abs(position.qty):
            position.cost += position.cost / position.qty * signed
        else:
            position.cost = (position.qty + signed) * price
        position.qty += signed
        self.cash -= signed * price

    def _correct(self, execution_id: str, event: str, qty: Decimal, price: Decimal | None) -> None:
        execution = next(item for item in self.executions if item.id == execution_id)
        order, old = execution.order, execution
        new_price = old.price if price is None else price
        order.filled_qty += qty - old.qty
        order.filled_value += qty * new_price - old.qty * old.price
        self._hold(order, -old.qty, old.price)
        self._hold(order, qty, new_price)
        execution.qty, execution.price = qty, new_price
        if not qty:
            self.executions.remove(execution)
        self._publish(event, order, execution, previous_execution_id=execution_id)

    def _change(
        self,
        order: Order,
        status: str,
        event: str,
        time: str | None = None,
        execution: Execution | None = None,
    ) -> None:
        is_silent = order.status == "held" and self.faults.orders.hides_held_legs
        order.status, order.at = status, _get_now()
        if time is not None:
            order.times[time] = order.at
        if not is_silent:
            self._publish(event, order, execution)

    def _publish(self, event: str, order: Order, execution: Execution | None = None, **extra: Any) -> None:
        payload = {
            "event": event,
            "timestamp": format_time(order.at),
            "order": serialize_order(order),
        } | extra
        payload["execution_id"] = _generate_id() if execution is None else execution.id
        if execution is not None:
            position = self.positions.get(order.asset.symbol)
            payload |= {
                "price": format_amount(execution.price),
                "qty": format_amount(execution.qty),
                "position_qty": format_amount(position.qty if position else ZERO),
            }
        self.published.append(payload)
        for listener in self.listeners:
            listener(payload)


def _generate_id() -> str:
    return str(uuid.uuid4())


def _get_now() -> datetime:
    return datetime.now(UTC)
