"""A broker in memory. The service stores its orders in the database and matches them by the same rules."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from app.brokers.paper.book import PaperOrderBook
from app.brokers.paper.holdings import Holdings
from app.brokers.protocol import BrokerEventRecord, OrderState
from app.brokers.rules.matching import compute_fills, match_bar
from app.brokers.rules.rejections import simulate_rejection
from app.brokers.rules.settings import IDEAL_MARKET, PaperSettings
from app.brokers.rules.trails import advance_trail
from app.brokers.rules.values import (
    Accepted,
    Account,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Canceled,
    CancelRejected,
    Executed,
    MarketEvent,
    OrderType,
    Rejected,
    Replaced,
    TrailMoved,
)  # fmt: skip
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Bar, Quote
from app.money import ZERO

NAME = "paper"
OPENING_CASH = Decimal(1_000_000)
_NOT_WORKING = "There is no such working order."
_CURRENCY = "USD"


class PaperBroker:
    """Implements `Broker`. It fills orders only against the prices of `apply_quote` and `apply_bar`."""

    name = NAME
    is_in_process = True

    def __init__(
        self,
        settings: PaperSettings = IDEAL_MARKET,
        orders: Iterable[BrokerOrder] = (),
        cash: Decimal = OPENING_CASH,
    ) -> None:
        self.holdings = Holdings(cash)
        self._settings = settings
        self._book = PaperOrderBook(orders)
        self._events: list[BrokerEvent] = []
        self._quotes: dict[str, Quote] = {}
        self._bars: dict[str, Bar] = {}
        self._used: dict[str, dict[tuple[int, Side], Decimal]] = {}

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Accept an order, and fill it against the rest of the last quote."""
        if self.find(order.id) is not None:
            return ()
        since = len(self._events)
        reason = simulate_rejection(self._settings, order.id)
        if reason is not None:
            self._book.ended[order.id] = order
            self._events.append(Rejected(order.id, reason, at))
        else:
            self._events.append(Accepted(order.id, at))
            self._start_working(order, at)
        return self._events[since:]

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Cancel an order immediately."""
        since = len(self._events)
        order = self._book.find(order_id)
        if order is None:
            self._events.append(CancelRejected(order_id, _NOT_WORKING, at))
        else:
            self._book.remove(order)
            self._events.append(Canceled(order_id, at))
        return self._events[since:]

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Replace the order by `successor` immediately, and fill it against the rest of the last quote."""
        since = len(self._events)
        order = self._book.find(order_id)
        if order is None:
            self._events.append(CancelRejected(order_id, _NOT_WORKING, at))
            return self._events[since:]
        self._book.remove(order)
        self._events.append(Replaced(order_id, successor.id, at))
        leaves = successor.quantity - (order.quantity - order.leaves)
        if leaves > ZERO:
            self._start_working(successor._replace(leaves=leaves), at)
        else:
            self._book.ended[successor.id] = successor._replace(leaves=ZERO)
        return self._events[since:]

    def find(self, order_id: str) -> OrderState | None:
        """Return a working or closed order."""
        order = self._book.find(order_id)
        if order is not None:
            return OrderState(order, is_open=True)
        ended_order = self._book.ended.get(order_id)
        return None if ended_order is None else OrderState(ended_order, is_open=False)

    def open_orders(self) -> Sequence[BrokerOrder]:
        """Return the working orders, oldest first."""
        return sorted(self._book, key=lambda order: (order.accepted_at, order.id))

    def list_positions(self) -> Sequence[BrokerPosition]:
        """Return the positions that result from its own fills."""
        return self.holdings.list_open()

    def list_executions(self, order_id: str | None = None) -> Sequence[Executed]:
        """Return the fills of one order or of all."""
        fills = [event for event in self._events if isinstance(event, Executed)]
        return [fill for fill in fills if order_id in {None, fill.order_id}]

    def get_account(self) -> Account:
        """Return the cash. There is no credit."""
        return Account(_CURRENCY, self.holdings.cash, max(self.holdings.cash, ZERO))

    def list_events(self, after: int = 0) -> Sequence[BrokerEventRecord]:
        """Return the events after the cursor."""
        return [
            BrokerEventRecord(after + number, event) for number, event in enumerate(self._events[after:], 1)
        ]

    def close(self) -> None:
        """Release nothing: there are no connections."""

    def apply_quote(self, quote: Quote, at: datetime) -> Sequence[BrokerEvent]:
        """Match orders against a new quote."""
        self._quotes[quote.symbol] = quote
        self._used.pop(quote.symbol, None)
        return self._match(self._book.list_orders(quote.symbol), quote, at)

    def apply_bar(self, bar: Bar) -> Sequence[BrokerEvent]:
        """Match orders against a bar that has ended."""
        self._bars[bar.symbol] = bar
        orders = self._book.list_orders(bar.symbol)
        if not orders:
            return ()
        return self._apply(orders, match_bar(orders, bar, self._settings), bar.start)

    def _start_working(self, order: BrokerOrder, at: datetime) -> None:
        self._book.add(order)
        quote, bar = self._quotes.get(order.symbol), self._bars.get(order.symbol)
        if quote is not None:
            self._match([order], quote, at)
        elif bar is not None and order.kind is OrderType.TRAILING_STOP:
            level = advance_trail(order, bar.close)  # a trailing stop starts at the current price
            self._apply([order], [] if level is None else [TrailMoved(order.id, level)], at)

    def _match(self, orders: list[BrokerOrder], quote: Quote, at: datetime) -> Sequence[BrokerEvent]:
        used = self._used.setdefault(quote.symbol, {})
        return self._apply(orders, compute_fills(orders, quote, at, self._settings, used), at)

    def _apply(
        self, orders: list[BrokerOrder], events: list[MarketEvent], at: datetime
    ) -> Sequence[BrokerEvent]:
        since = len(self._events)
        orders_by_id = {order.id: order for order in orders} if events else {}
        for event in events:
            order = orders_by_id[event.order_id]
            self._events.append(event)
            if isinstance(event, Executed):
                self._record_fill(order, event)
            self._events.extend(self._book.apply(event, order.symbol, at))
        return self._events[since:]

    def _record_fill(self, order: BrokerOrder, fill: Executed) -> None:
        self.holdings.add_fill(order, fill)
        used = self._used.setdefault(order.symbol, {})
        key = (order.portfolio_id, order.side)
        used[key] = used.get(key, ZERO) + fill.quantity
