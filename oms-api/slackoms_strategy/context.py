"""The context of a strategy: it places orders, and reads the portfolio, prices and indicators."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any, Protocol, overload

from slackoms_strategy.indicators import Indicator, PriceIndicator, PriceSeries, Series
from slackoms_strategy.values import Bar, OrderState, OrderType, Position, Side, TimeInForce

Amount = Decimal | int | str  # never a float: 0.1 is not exact


class Context(Protocol):
    """The strategy's access to its portfolio. It is the same in a backtest, on paper and live.

    `state` is a dictionary of JSON values that survives restarts. `random` is seeded, so that a run can be
    repeated.
    """

    @property
    def symbols(self) -> Sequence[str]:
        """The symbols that the strategy trades, sorted."""

    @property
    def now(self) -> datetime:
        """The current instant in UTC: in `on_bar` the end of the bar."""

    @property
    def cash(self) -> Decimal:
        """The cash of the portfolio."""

    @property
    def equity(self) -> Decimal:
        """The cash and the market value of all positions at the last prices."""

    @property
    def state(self) -> dict[str, Any]:
        """The stored state of the strategy."""

    @property
    def random(self) -> Random:
        """A source of random numbers, seeded by the run."""

    def position(self, symbol: str, product: str | None = None) -> Position:
        """Return the position in a symbol and product, flat if there is none. None is the run's product."""

    def price(self, symbol: str) -> Decimal | None:
        """Return the last known price of a symbol, None before its first bar."""

    def history(self, symbol: str, count: int) -> Sequence[Bar]:
        """Return at most the last `count` ended bars of a symbol, oldest first."""

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
        """Place an order, and return it as it is then: a denied one has the reason.

        The names are those of `POST /orders`. `take_profit` and `stop_loss` are the prices of exits that work
        once the order has filled; a fill of one reduces the other. Raises ValueError for impossible fields.
        """

    def cancel(self, order_id: str) -> None:
        """Cancel an order. It has no effect on an order that is not open."""

    def replace(
        self, order_id: str, *, quantity: Amount | None = None, limit_price: Amount | None = None,
        stop_price: Amount | None = None,
    ) -> OrderState:  # fmt: skip
        """Replace an open order by an order with another total quantity or prices. Return the new order.

        A denied replacement leaves the old order as it is. Raises ValueError if the order is not open.
        """

    def find_order(self, order_id: str) -> OrderState | None:
        """Return an open order, or None."""

    def list_open_orders(self, symbol: str | None = None) -> Sequence[OrderState]:
        """Return the open orders of one symbol or of all, oldest first."""

    @overload
    def indicator(self, indicator: Indicator, symbol: str | None = None) -> Series: ...
    @overload
    def indicator(self, indicator: PriceIndicator, symbol: str | None = None) -> PriceSeries: ...
    def indicator(
        self, indicator: Indicator | PriceIndicator, symbol: str | None = None
    ) -> Series | PriceSeries:
        """Declare an indicator in `on_start`. `symbol` may be left out if there is only one.

        `on_bar` is first called when all indicators of the symbol have a value.
        """

    def read_file(self, name: str) -> bytes:
        """Return a file that `files` of the strategy declares, such as a trained model.

        Raises InvalidFile.
        """

    def log(self, message: str) -> None:
        """Write a line to the strategy's log."""
