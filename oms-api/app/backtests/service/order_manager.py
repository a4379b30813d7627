"""Manage the orders of a backtest: place, match on bars, cancel and replace them, and manage exits."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.account import BacktestAccount
from app.backtests.service.exits import ExitManager
from app.backtests.service.feeds import BarFeed
from app.backtests.service.orders import BacktestOrder
from app.backtests.service.recorder import Recorder
from app.backtests.service.risk_evaluation import RiskEvaluator
from app.backtests.service.sessions import BacktestSessions
from app.backtests.service.split_orders import restate_after_split
from app.brokers.paper.book import PaperOrderBook
from app.brokers.rules.matching import match_bar
from app.brokers.rules.rejections import simulate_rejection
from app.brokers.rules.trails import advance_trail
from app.brokers.rules.values import (
    Canceled,
    Executed,
    MarketEvent,
    OrderType,
    TrailMoved,
    Triggered,
    UnfilledCanceled,
)
from app.calendars.sources import ReleasedCalendars
from app.instruments.rules import Instrument
from app.ledger.rules.accounting import Side
from app.ledger.rules.corporate_actions import Ratio
from app.money import ZERO, multiply
from app.orders.rules.states import get_status_after_fill
from app.orders.rules.tickets import list_ticket_errors
from app.orders.rules.values import Status, Ticket
from slackoms_strategy import Fill, OrderState

_EXPIRED_REASON = "The order reached the end of its time in force."
_GROUP_FILLED_REASON = "Another order of its group has filled."
_SQUARED_OFF_REASON = "Squared off"
_SPLIT_REASON = "A split leaves less than one lot."
_NOT_OPEN_MESSAGE = "Order {} is not open."
Notice = Fill | OrderState


class OrderManager:
    """The orders of a backtest.

    `orders_by_symbol` contains the open orders by symbol and id. `notices` contains the fills and new
    statuses that the strategy has not received yet."""

    def __init__(
        self, settings: BacktestSettings, account: BacktestAccount, recorder: Recorder,
        find_price: Callable[[str], Decimal | None], calendars: ReleasedCalendars | None,
    ) -> None:  # fmt: skip
        self._settings, self._account, self._recorder = settings, account, recorder
        self._find_price = find_price
        self.has_fill_handler = self.has_order_handler = True  # whether the strategy handles them
        self.orders_by_symbol: dict[str, dict[str, BacktestOrder]] = {}
        self.notices: deque[Notice] = deque()
        self.risk = RiskEvaluator(settings, account, self.orders_by_symbol, find_price)
        self._book = PaperOrderBook()
        self._exits = ExitManager(self._create_order, self._reduce_exit)
        self._instruments: dict[str, Instrument] = {}
        self.count = 0  # of orders, including denied ones
        self._sessions = BacktestSessions(settings, calendars)

    def submit(self, ticket: Ticket, at: int) -> BacktestOrder:
        """Place an order, which may be denied or rejected. Raises ValueError for an invalid ticket."""
        if errors := list_ticket_errors(ticket):
            raise ValueError("; ".join(f"{error.field}: {error.message}" for error in errors))
        order = self._create_order(ticket, ticket.quantity or ZERO, at)
        denial = self.risk.count_order_message(order.instrument, at)
        denial = denial or self._sessions.find_denial(order.instrument, order.product, at)
        denial = denial or self.risk.find_denial(order, at)
        for leg in self._exits.build_tickets(order) if order.has_exits and denial is None else ():
            exit_order = BacktestOrder("", leg, order.instrument, order.quantity, at, order.id)
            denial = denial or self.risk.find_denial(exit_order, at)
        if denial is not None:
            self._deny_order(order, denial.message, at)
            return order
        order.change_status(Status.SUBMITTED, at)
        reason = simulate_rejection(self._settings.market, order.id)
        if reason is not None:
            self._close_order(order, Status.REJECTED, at, reason)
        else:
            self._start_working(order, at)
        return order

    def cancel(self, order_id: str, at: int) -> None:
        """Cancel an order, if it is open."""
        order = self.find(order_id)
        if order is not None:
            self._remove_from_market(order)
            self._close_order(order, Status.CANCELED, at, "Canceled by the strategy.")

    def replace(self, order_id: str, ticket: Ticket, at: int) -> BacktestOrder:
        """Replace an open order by an order with another total quantity or other prices.

        A denied replacement does not change the open order. Raises ValueError.
        """
        previous = self.find(order_id)
        if previous is None:
            raise ValueError(_NOT_OPEN_MESSAGE.format(order_id))
        if errors := list_ticket_errors(ticket):
            raise ValueError("; ".join(f"{error.field}: {error.message}" for error in errors))
        quantity = ticket.quantity or ZERO
        if previous.parent_id is not None:  # an exit never grows beyond the quantity that it protects
            quantity = min(quantity, previous.quantity)
        order = self._create_order(ticket, quantity, at, previous.parent_id)
        order.filled_quantity, order.filled_value = previous.filled_quantity, previous.filled_value
        order.trail_level = previous.trail_level
        denial = self.risk.count_order_message(order.instrument, at)
        denial = denial or self.risk.find_denial(order, at, previous)
        if denial is not None:
            self._deny_order(order, denial.message, at)
            return order
        self._remove_from_market(previous)
        previous.change_status(Status.PENDING_REPLACE, at)
        self._close_order(previous, Status.REPLACED, at)
        order.change_status(Status.SUBMITTED, at)
        if order.leaves <= ZERO:
            order.quantity = order.filled_quantity
            self._close_order(order, Status.FILLED, at)
        else:
            self._start_working(order, at)
        return order

    def find(self, order_id: str) -> BacktestOrder | None:
        """Return an open order, or None."""
        return next(
            (
                orders_by_id[order_id]
                for orders_by_id in self.orders_by_symbol.values()
                if order_id in orders_by_id
            ),
            None,
        )

    def match(self, feed: BarFeed, now: int) -> None:
        """Match the open orders of a symbol against its current bar, which ends now."""
        bar, start = feed.build_market_bar(), feed.start
        for order in list(self.orders_by_symbol[feed.symbol].values()):
            if order.ends_at is not None and bar.start >= order.ends_at:
                self._remove_from_market(order)
                self._close_order(order, Status.EXPIRED, start, _EXPIRED_REASON)
        orders = self._book.list_orders(feed.symbol)
        if not orders or not self._sessions.is_open(self.get_instrument(feed.symbol), bar.start):
            return
        for event in match_bar(orders, bar, self._settings.market):
            self._apply_event(event, feed.symbol, bar.start, start, now)
        self._book.ended.clear()

    def cancel_product(self, symbol: str, product_name: str, at: int) -> None:
        """Cancel the open orders of a symbol and product, because it is squared off."""
        for order in list(self.orders_by_symbol.get(symbol, {}).values()):
            if order.product == product_name:
                self._remove_from_market(order)
                self._close_order(order, Status.CANCELED, at, _SQUARED_OFF_REASON)

    def close_position(self, symbol: str, product_name: str, position_quantity: Decimal, at: int) -> None:
        """Close a position by a market order, because it is squared off."""
        side = Side.SELL if position_quantity > ZERO else Side.BUY
        ticket = Ticket(symbol, side.value, OrderType.MARKET, abs(position_quantity), product=product_name)
        order = self._create_order(ticket._replace(reason=_SQUARED_OFF_REASON), abs(position_quantity), at)
        order.is_square_off, order.reason = True, _SQUARED_OFF_REASON
        order.change_status(Status.SUBMITTED, at)
        self._start_working(order, at)

    def restate(self, symbol: str, ratio: Ratio, at: int) -> None:
        """Restate the open orders of a symbol after a split. They match from the next bar on."""
        for order in list(self.orders_by_symbol.get(symbol, {}).values()):
            if restate_after_split(order, ratio, self._exits):
                order.updated_at, order.accepted_at = at, datetime.fromtimestamp(at, UTC)
                self._book.add(order.build_broker_order(order.accepted_at))
                self._notify_strategy(order)
            else:
                self._remove_from_market(order)
                self._close_order(order, Status.CANCELED, at, _SPLIT_REASON)

    def close(self) -> None:
        """Record the orders that are still open."""
        for orders_by_id in self.orders_by_symbol.values():
            for order in orders_by_id.values():
                self._recorder.record_order(order)

    def get_instrument(self, symbol: str) -> Instrument:
        """Return the instrument of a symbol."""
        if symbol not in self._instruments:
            self._instruments[symbol] = self._settings.build_instrument(symbol)
        return self._instruments[symbol]

    def _create_order(
        self, ticket: Ticket, quantity: Decimal, at: int, parent: str | None = None
    ) -> BacktestOrder:
        self.count += 1
        instrument = self.get_instrument(ticket.symbol)
        return BacktestOrder(f"O{self.count}", ticket, instrument, quantity, at, parent)

    def _start_working(self, order: BacktestOrder, at: int) -> None:
        order.accepted_at = instant = datetime.fromtimestamp(at, UTC)
        if self._sessions.are_enforced or order.ticket.expires_at is not None:
            order.ends_at = self._sessions.find_end(order.instrument, order.ticket, instant)
        if order.parent_id is not None:  # the broker has exits already: they arrive without latency
            order.accepted_at -= self._settings.market.latency
        if order.ticket.type is OrderType.TRAILING_STOP and order.trail_level is None:
            price = self._find_price(order.ticket.symbol)
            level = None if price is None else advance_trail(order.build_broker_order(instant), price)
            order.trail_level = level
        order.change_status(Status.ACCEPTED, at)
        self.orders_by_symbol.setdefault(order.ticket.symbol, {})[order.id] = order
        self._book.add(order.build_broker_order(order.accepted_at))
        self._notify_strategy(order)

    def _apply_event(self, event: MarketEvent, symbol: str, start: datetime, at: int, now: int) -> None:
        """Apply an event of the market at the start of a bar. The strategy is notified at the bar's end."""
        order = self.orders_by_symbol[symbol].get(event.order_id)
        if order is None:  # an earlier fill of the bar closed its position
            return
        if isinstance(event, Executed) and event.quantity > order.leaves:
            event = event._replace(quantity=order.leaves, value=multiply(order.leaves, event.price))
        followers = self._book.apply(event, symbol, start)
        self._change_order(order, event, at)
        for follower in followers:
            if isinstance(follower, Canceled):
                self._close_order(
                    self.orders_by_symbol[symbol][follower.order_id],
                    Status.CANCELED,
                    at,
                    _GROUP_FILLED_REASON,
                )
        if isinstance(event, Executed):
            self._update_group(order, symbol)
            self._release_exits(order, now)

    def _change_order(self, order: BacktestOrder, event: MarketEvent, at: int) -> None:
        match event:
            case Executed():
                self._fill_order(order, event, at)
            case Triggered():
                order.is_triggered = True
                order.change_status(Status.TRIGGERED, at)
            case TrailMoved():
                order.trail_level = event.level
            case UnfilledCanceled():
                self._close_order(order, Status.CANCELED, at, event.reason)

    def _fill_order(self, order: BacktestOrder, event: Executed, at: int) -> None:
        charges = self._account.book_fill(order, event)
        order.filled_quantity += event.quantity
        order.filled_value += event.value
        fill = Fill(
            order.id,
            order.ticket.symbol,
            order.strategy_side,
            event.quantity,
            event.price,
            event.value,
            charges,
            event.at,
        )
        self._recorder.record_fill(fill, at)
        if self.has_fill_handler:
            self.notices.append(fill)
        status = get_status_after_fill(order.status, order.quantity, order.filled_quantity)
        if status is Status.FILLED:
            self._close_order(order, status, at)
        else:
            order.change_status(status, at)
            self._notify_strategy(order)

    def _update_group(self, order: BacktestOrder, symbol: str) -> None:
        """Copy the quantities of the filled order's siblings, which the fill has reduced."""
        if order.group is not None:
            for working_order in self._book.list_orders(symbol):
                if working_order.group == order.group:
                    self.orders_by_symbol[symbol][working_order.id].quantity = working_order.quantity

    def _release_exits(self, order: BacktestOrder, now: int) -> None:
        """Let the exits of a filled entry work, and reduce exits to the open position."""
        open_orders = self.orders_by_symbol.get(order.ticket.symbol, {})
        if order.has_exits:
            for exit_order in self._exits.grow(order, open_orders, now):
                exit_order.change_status(Status.SUBMITTED, now)
                self._start_working(exit_order, now)
        if open_orders:
            self._exits.cut(open_orders, order.product, self._account.get_order_position(order).quantity, now)

    def _reduce_exit(self, order: BacktestOrder, quantity: Decimal, at: int) -> None:
        """Change the total quantity of a working exit. Cancel the exit if no quantity is left."""
        order.quantity = quantity
        if order.leaves > ZERO:
            self._book.add(order.build_broker_order(order.accepted_at or datetime.fromtimestamp(at, UTC)))
        else:
            self._remove_from_market(order)
            self._close_order(order, Status.CANCELED, at, "The position that it protects was reduced.")

    def _remove_from_market(self, order: BacktestOrder) -> None:
        """Remove an open order from the market."""
        working_order = self._book.find(order.id)
        if working_order is not None:
            self._book.remove(working_order)

    def _notify_strategy(self, order: BacktestOrder) -> None:
        if self.has_order_handler:
            self.notices.append(order.build_state())

    def _deny_order(self, order: BacktestOrder, reason: str, at: int) -> None:
        self._recorder.denied += 1
        self._close_order(order, Status.DENIED, at, reason)

    def _close_order(self, order: BacktestOrder, status: Status, at: int, reason: str | None = None) -> None:
        order.change_status(status, at, reason)
        self.orders_by_symbol.get(order.ticket.symbol, {}).pop(order.id, None)
        self._recorder.record_order(order)
        self._notify_strategy(order)
