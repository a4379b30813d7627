"""The state of the stand-in: orders, trades, positions, cash and quotes, and their changes."""

import itertools
import threading
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from tests.brokers.standins.faults import Faults
from tests.brokers.standins.kite.values import (
    INDIA,
    ZERO,
    Holding,
    KiteError,
    Listing,
    Order,
    Position,
    Quote,
    Trade,
    now,
)

OPENING_CASH = Decimal(1_000_000)
MANY = Decimal(1_000_000_000)
MAX_TAG_LENGTH = 20
LISTINGS = (
    Listing(738561, "RELIANCE", "RELIANCE INDUSTRIES"),
    Listing(408065, "INFY", "INFOSYS"),
    Listing(779521, "SBIN", "STATE BANK OF INDIA"),
    Listing(519937, "M&M", "MAHINDRA & MAHINDRA"),
    Listing(128083204, "RELIANCE", "RELIANCE INDUSTRIES", "BSE"),
    Listing(256265, "NIFTY 50", "NIFTY 50", kind="INDEX"),
    Listing(14584578, "NIFTY26DECFUT", "NIFTY", "NFO", "0.1", 75, "FUT"),
    Listing(270083, "USDINR26DECFUT", "USDINR", "CDS", "0.0025", 1, "FUT"),
)
_TYPES = frozenset({"MARKET", "LIMIT", "SL", "SL-M"})
_PRODUCTS = frozenset({"CNC", "MIS", "NRML"})

Listener = Callable[[dict[str, Any]], None]


class Exchange:
    """Kite with one account. Thread-safe: the web server and a test may call it at the same time."""

    def __init__(self, faults: Faults, cash: Decimal = OPENING_CASH) -> None:
        self.faults = faults
        self.lock = threading.RLock()
        self.listings = {(listing.exchange, listing.symbol): listing for listing in LISTINGS}
        self.listeners: list[Listener] = []
        self.quote_listeners: list[Callable[[str], None]] = []
        self._numbers = itertools.count(1)
        self.clear(cash)

    def clear(self, cash: Decimal = OPENING_CASH) -> None:
        """Begin with an account that has cash only, and without quotes."""
        self.cash = cash
        self.orders: dict[str, Order] = {}
        self.trades: list[Trade] = []
        self.positions: dict[tuple[str, str], Position] = {}
        self.holdings: list[Holding] = []
        self.quotes: dict[str, Quote] = {}

    def continue_numbers(self) -> None:
        """Give out numbers that no order and no trade has."""
        self._numbers = itertools.count(1 + len(self.orders) + len(self.trades))

    def run_locked(self, function: Callable[[], None]) -> None:
        """Call a function while nothing changes."""
        with self.lock:
            function()

    # Requests of clients

    def submit(self, form: Mapping[str, str]) -> str:
        """Accept an order and return its id. A margin or a market that refuses it rejects it afterwards."""
        with self.lock:
            order = self._build(form)
            self.orders[order.order_id] = order
            self._route(order)
            return order.order_id

    def cancel(self, order_id: str) -> str:
        """Cancel an open order."""
        with self.lock:
            order = self.get_order(order_id)
            if not order.is_open:
                raise KiteError(400, "OrderException", f"Order cannot be cancelled as it is {order.status}.")
            self._cross(order)
            if not self.faults.orders.is_cancel_ignored and order.is_open:
                self._change(order, "CANCELLED")
            return order_id

    def get_order(self, order_id: str) -> Order:
        """Return an order by Kite's id. Raises KiteError."""
        order = self.orders.get(order_id)
        if order is None:
            raise KiteError(404, "GeneralException", "Couldn't find that `order_id`.")
        return order

    def list_by_tag(self, tag: str) -> list[Order]:
        """Return the orders of a tag."""
        return [order for order in self.orders.values() if order.tag == tag]

    # Actions of a test or a demo

    def quote(
        self, symbol: str, bid: str, ask: str, bid_size: str | None = None, ask_size: str | None = None
    ) -> None:
        """Set a quote, and fill the orders that it reaches. Without sizes, any quantity fills."""
        with self.lock:
            sizes = (MANY if size is None else Decimal(size) for size in (bid_size, ask_size))
            self.quotes[symbol] = Quote(Decimal(bid), Decimal(ask), *sizes)
            for listener in self.quote_listeners:
                listener(symbol)
            for order in list(self.orders.values()):
                if order.listing.symbol == symbol and order.status in {"OPEN", "TRIGGER PENDING"}:
                    self._match(order)

    def fill(self, order_id: str, quantity: str, price: str) -> str:
        """Fill a part of an order. Return the id of the trade."""
        with self.lock:
            return self._fill(self.get_order(order_id), Decimal(quantity), Decimal(price)).trade_id

    def hold(self, symbol: str, quantity: str, price: str) -> None:
        """Add shares of earlier days."""
        listing = self.listings["NSE", symbol]
        self.holdings.append(Holding(listing, Decimal(quantity), Decimal(price)))

    def close_day(self) -> None:
        """Cancel the open orders, as Kite does after the close."""
        with self.lock:
            for order in [candidate for candidate in self.orders.values() if candidate.is_open]:
                self._change(order, "CANCELLED", "Order cancelled at the end of the day.")

    # Internals

    def _build(self, form: Mapping[str, str]) -> Order:
        listing = self.listings.get((form.get("exchange", ""), form.get("tradingsymbol", "")))
        if listing is None or listing.kind == "INDEX":
            refuse("The instrument you are placing an order for has either expired or does not exist.")
        moment = now()
        order = Order(
            order_id=f"{moment.astimezone(INDIA):%y%m%d}{next(self._numbers):09d}",
            tag=_parse_tag(form.get("tag")),
            listing=listing,
            side=form.get("transaction_type", ""),
            kind=form.get("order_type", ""),
            product=form.get("product", ""),
            validity=form.get("validity", "DAY"),
            quantity=_parse(form, "quantity"),
            created_at=moment,
            at=moment,
            price=_parse(form, "price"),
            trigger_price=_parse(form, "trigger_price"),
            market_protection=form.get("market_protection", "0"),
        )
        _validate(order)
        return order

    def _route(self, order: Order) -> None:
        """Let an accepted order reach the market, which may reject it."""
        self._publish(order)
        reason = self._find_rejection(order)
        if reason is not None:
            self._change(order, "REJECTED", reason)
            return
        self._change(order, "TRIGGER PENDING" if order.kind in {"SL", "SL-M"} else "OPEN")
        self._match(order)

    def _find_rejection(self, order: Order) -> str | None:
        if self.faults.orders.rejections:
            return self.faults.orders.rejections.pop(0) or "Rejected by the exchange."
        if order.kind in {"MARKET", "SL-M"} and order.market_protection == "0":
            return "Market orders without market protection are not allowed via API."
        quote = self.quotes.get(order.listing.symbol)
        price = order.price or (quote.ask if quote else ZERO)
        if order.side == "BUY" and order.quantity * price > self.cash:
            return f"Insufficient funds. Required margin is {order.quantity * price:.2f}."
        return self._find_short(order)

    def _find_short(self, order: Order) -> str | None:
        if order.side == "BUY" or order.product != "CNC":
            return None
        symbol = order.listing.symbol
        held_quantity = sum(
            (holding.quantity for holding in self.holdings if holding.listing.symbol == symbol), ZERO
        )
        position = self.positions.get((symbol, "CNC"))
        held_quantity += position.quantity if position else ZERO
        return (
            None if held_quantity >= order.quantity else "Insufficient stock holding in your demat account."
        )

    def _match(self, order: Order) -> None:
        quote = self.quotes.get(order.listing.symbol)
        if quote is not None:
            is_buy = order.side == "BUY"
            price, size = (quote.ask, quote.ask_size) if is_buy else (quote.bid, quote.bid_size)
            if self._is_reached(order, price) and size > ZERO:
                quantity = min(order.leaves, size)
                name = "ask_size" if is_buy else "bid_size"
                self.quotes[order.listing.symbol] = quote._replace(**{name: size - quantity})
                self._fill(order, quantity, price)
        if order.validity == "IOC" and order.is_open:
            self._change(order, "CANCELLED")

    def _is_reached(self, order: Order, price: Decimal) -> bool:
        is_buy = order.side == "BUY"
        if order.trigger_price and not order.is_triggered:
            order.is_triggered = price >= order.trigger_price if is_buy else price <= order.trigger_price
            if not order.is_triggered:
                return False
            self._change(order, "OPEN")
        return not order.price or (price <= order.price if is_buy else price >= order.price)

    def _cross(self, order: Order) -> None:
        crossing, self.faults.orders.crossing = self.faults.orders.crossing, None
        if crossing is not None:
            quote = self.quotes.get(order.listing.symbol)
            price = order.price or (quote.ask if quote else Decimal(1))
            self._fill(order, min(Decimal(crossing), order.leaves), price)

    def _fill(self, order: Order, quantity: Decimal, price: Decimal) -> Trade:
        order.filled += quantity
        order.value += quantity * price
        key = (order.listing.symbol, order.product)
        position = self.positions.setdefault(key, Position(order.listing, order.product))
        position.quantity += order.sign * quantity
        position.value += order.sign * quantity * price
        self.cash -= order.sign * quantity * price
        trade = Trade(str(next(self._numbers)), order, quantity, price, now())
        self.trades.append(trade)
        self._change(order, "COMPLETE" if order.leaves <= ZERO else "OPEN")
        return trade

    def _change(self, order: Order, status: str, reason: str | None = None) -> None:
        order.status, order.reason, order.at = status, reason, now()
        self._publish(order)

    def _publish(self, order: Order) -> None:
        for listener in self.listeners:
            listener(order.serialize())


def _validate(order: Order) -> None:
    if order.side not in {"BUY", "SELL"} or order.kind not in _TYPES or order.product not in _PRODUCTS:
        refuse("Invalid `transaction_type`, `order_type` or `product`.")
    if order.validity not in {"DAY", "IOC"}:
        refuse("Invalid `validity`.")
    if order.quantity <= ZERO or order.quantity % order.listing.lot:
        refuse(f"Quantity should be a multiple of {order.listing.lot}.")
    if (order.kind in {"LIMIT", "SL"}) != bool(order.price):
        refuse("Invalid `price`.")
    if (order.kind in {"SL", "SL-M"}) != bool(order.trigger_price):
        refuse("Invalid `trigger_price`.")
    tick = Decimal(order.listing.tick)
    if order.price % tick or order.trigger_price % tick:
        refuse(f"Tick size for this script is {tick}. Kindly enter price in the multiple of tick size.")


def _parse_tag(tag: str | None) -> str | None:
    if tag and (len(tag) > MAX_TAG_LENGTH or not tag.isalnum()):
        refuse("Invalid `tag`. It should be alphanumeric, of at most 20 characters.")
    return tag or None


def _parse(form: Mapping[str, str], name: str) -> Decimal:
    try:
        amount = Decimal(form.get(name) or "0")
    except InvalidOperation:
        refuse(f"Invalid `{name}`.")
    return amount


def refuse(message: str) -> NoReturn:
    raise KiteError(400, "InputException", message)
