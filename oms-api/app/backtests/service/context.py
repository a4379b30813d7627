"""The context of a strategy, in a backtest and on paper or live."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, overload

from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.context_parts import StrategyAccount, StrategyOrders
from app.backtests.service.feeds import BarFeed
from app.brokers.rules.values import OrderType as MarketOrderType
from app.brokers.rules.values import TimeInForce as MarketTime
from app.ledger.rules.keys import SymbolProductKey
from app.money import find_amount_error
from app.orders.rules.values import StopLoss, TakeProfit, Ticket
from app.timestamps import format_timestamp
from slackoms_strategy import (
    Amount,
    Bar,
    Indicator,
    OrderState,
    OrderType,
    Position,
    PriceIndicator,
    PriceSeries,
    Series,
    Side,
    Strategy,
    TimeInForce,
)
from slackoms_strategy.files import read_declared_file

_SIDES = {side: side.value for side in Side}
_LOG = logging.getLogger("strategy")
_TYPES = {kind: MarketOrderType(kind) for kind in OrderType}
_TIMES = {time: MarketTime(time) for time in TimeInForce}


class BacktestContext:
    """Implements `slackoms_strategy.Context`. `seconds` is the current instant since 1970."""

    def __init__(
        self,
        settings: BacktestSettings,
        account: StrategyAccount,
        orders: StrategyOrders,
        feeds: Mapping[str, BarFeed],
    ) -> None:
        self._account, self._orders, self._feeds = account, orders, feeds
        self._product = settings.product
        self._random = Random(settings.seed)  # noqa: S311  # reproducible, not secret
        self._state: dict[str, Any] = {}
        self._symbols = tuple(sorted(feeds))
        self._is_starting = True
        self.owner: type[Strategy] = Strategy  # whose files can be read
        self.seconds = 0

    @property
    def symbols(self) -> Sequence[str]:
        """See `Context`."""
        return self._symbols

    @property
    def now(self) -> datetime:
        """See `Context`."""
        return datetime.fromtimestamp(self.seconds, UTC)

    @property
    def cash(self) -> Decimal:
        """See `Context`."""
        return self._account.cash

    @property
    def equity(self) -> Decimal:
        """See `Context`."""
        return self._account.equity

    @property
    def state(self) -> dict[str, Any]:
        """See `Context`."""
        return self._state

    @property
    def random(self) -> Random:
        """See `Context`."""
        return self._random

    def position(self, symbol: str, product: str | None = None) -> Position:
        """See `Context`."""
        position = self._account.get_position(
            SymbolProductKey(symbol, self._product if product is None else product)
        )
        return Position(position.quantity, position.cost, position.realized_pnl)

    def price(self, symbol: str) -> Decimal | None:
        """See `Context`."""
        return self._get_feed(symbol).find_price()

    def history(self, symbol: str, count: int) -> Sequence[Bar]:
        """See `Context`."""
        return self._get_feed(symbol).list_history(count)

    def order(
        self,
        symbol: str,
        side: Side,
        quantity: Amount,
        *,
        type: OrderType = OrderType.MARKET,
        limit_price: Amount | None = None,
        stop_price: Amount | None = None,
        trail_amount: Amount | None = None,
        trail_percent: Amount | None = None,
        time_in_force: TimeInForce = TimeInForce.DAY,
        expires_at: datetime | None = None,
        product: str | None = None,
        take_profit: Amount | None = None,
        stop_loss: Amount | None = None,
        reason: str | None = None,
    ) -> OrderState:
        """See `Context`."""
        self._get_feed(symbol)
        target = None if take_profit is None else TakeProfit(_parse_amount("take_profit", take_profit))
        protection = None if stop_loss is None else StopLoss(_parse_amount("stop_loss", stop_loss))
        ticket = Ticket(
            symbol,
            _SIDES[side],
            _TYPES[type],
            _parse_amount("quantity", quantity),
            None,
            _parse_optional("limit_price", limit_price),
            _parse_optional("stop_price", stop_price),
            _parse_optional("trail_amount", trail_amount),
            _parse_optional("trail_percent", trail_percent),
            _TIMES[time_in_force],
            None if expires_at is None else format_timestamp(expires_at.astimezone(UTC)),
            product=self._product if product is None else product,
            reason=reason,
            take_profit=target,
            stop_loss=protection,
        )
        return self._orders.submit(ticket, self.seconds).build_state()

    def cancel(self, order_id: str) -> None:
        """See `Context`."""
        self._orders.cancel(order_id, self.seconds)

    def replace(
        self,
        order_id: str,
        *,
        quantity: Amount | None = None,
        limit_price: Amount | None = None,
        stop_price: Amount | None = None,
    ) -> OrderState:
        """See `Context`."""
        terms = {"quantity": quantity, "limit_price": limit_price, "stop_price": stop_price}
        changes: dict[str, Any] = {
            name: _parse_amount(name, value) for name, value in terms.items() if value is not None
        }
        order = self._orders.find(order_id)
        if order is None:
            raise ValueError(f"Order {order_id} is not open.")
        ticket = order.ticket._replace(**{"quantity": order.quantity} | changes)
        return self._orders.replace(order_id, ticket, self.seconds).build_state()

    def find_order(self, order_id: str) -> OrderState | None:
        """See `Context`."""
        order = self._orders.find(order_id)
        return None if order is None else order.build_state()

    def list_open_orders(self, symbol: str | None = None) -> Sequence[OrderState]:
        """See `Context`."""
        orders_by_symbol = self._orders.orders_by_symbol
        names = orders_by_symbol if symbol is None else (symbol,)
        orders = [order for name in names for order in orders_by_symbol.get(name, {}).values()]
        return [
            order.build_state()
            for order in sorted(
                orders, key=lambda strategy_order: (len(strategy_order.id), strategy_order.id)
            )
        ]

    @overload
    def indicator(self, indicator: Indicator, symbol: str | None = None) -> Series: ...
    @overload
    def indicator(self, indicator: PriceIndicator, symbol: str | None = None) -> PriceSeries: ...
    def indicator(
        self, indicator: Indicator | PriceIndicator, symbol: str | None = None
    ) -> Series | PriceSeries:
        """See `Context`."""
        if not self._is_starting:
            raise ValueError("Declare indicators in on_start.")
        if symbol is None and len(self._symbols) != 1:
            raise ValueError("Name the symbol of the indicator: there is more than one.")
        feed = self._get_feed(symbol or self._symbols[0])
        series: Series | PriceSeries
        if isinstance(indicator, Indicator):
            series = Series(indicator, feed.symbol)
        else:
            series = PriceSeries(indicator, feed.symbol)
        feed.declare(series)
        return series

    def read_file(self, name: str) -> bytes:
        """See `Context`."""
        return read_declared_file(self.owner, self.owner.files, name)

    def log(self, message: str) -> None:
        """See `Context`."""
        _LOG.info("%s %s", self.now.isoformat(), message)

    def finish_start(self) -> None:
        """End the time in which indicators can be declared."""
        self._is_starting = False

    def _get_feed(self, symbol: str) -> BarFeed:
        feed = self._feeds.get(symbol)
        if feed is None:
            raise ValueError(f"{symbol!r} is not one of the symbols {', '.join(self._symbols)}.")
        return feed


def _parse_amount(name: str, value: Amount) -> Decimal:
    """Return a positive amount. Raises ValueError."""
    if isinstance(value, float):
        raise TypeError(f"{name} must be a Decimal, a whole number or text, not the float {value!r}.")
    amount = Decimal(value)
    if problem := find_amount_error(amount):
        raise ValueError(f"{name}: {problem}")
    return amount


def _parse_optional(name: str, value: Amount | None) -> Decimal | None:
    return None if value is None else _parse_amount(name, value)
