"""Request bodies of the order routes."""

from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
)
from pydantic_core import PydanticCustomError

from app.http.fields import PositiveAmount, Side, to_upper_case
from app.instruments.schemas import Symbol
from app.ledger.schemas import PortfolioName
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import (
    StopLoss,
    TakeProfit,
    Ticket,
    TimeInForce,
)
from app.orders.schemas.fields import (
    ClientOrderId,
    ExpiryInput,
    OptionalLabel,
    OrderProduct,
    OrderReason,
    OrderRequestBody,
    OrderTypeInput,
    RequestBody,
    TimeInForceInput,
)
from app.timestamps import format_timestamp

_GROUP_SIZE = 2


class TakeProfitIn(RequestBody):
    """The take-profit of a bracket: a limit order."""

    limit_price: PositiveAmount = Field(
        description="Limit price of the order that takes the profit", examples=["190.00"]
    )


class StopLossIn(RequestBody):
    """The stop-loss of a bracket: a stop order, or a stop-limit order with `limit_price`."""

    stop_price: PositiveAmount = Field(
        description="Price at which the exit is triggered", examples=["160.00"]
    )
    limit_price: PositiveAmount | None = Field(
        None,
        description="Worst price of the exit. Without it, a market order",
        examples=["159.50"],
    )


def build_exits(
    take_profit: TakeProfitIn | None, stop_loss: StopLossIn | None
) -> tuple[TakeProfit | None, StopLoss | None]:
    """Return the exits as plain values."""
    return (
        None if take_profit is None else TakeProfit(take_profit.limit_price),
        None if stop_loss is None else StopLoss(stop_loss.stop_price, stop_loss.limit_price),
    )


def _accept_bare_price(name: str) -> BeforeValidator:
    """Accept a bare price in place of the object with that one field."""
    return BeforeValidator(lambda value: value if value is None or isinstance(value, dict) else {name: value})


class ExitsIn(RequestBody):
    """The exits of a position. An exit that you leave out or set to null is removed."""

    take_profit: Annotated[TakeProfitIn | None, _accept_bare_price("limit_price")] = Field(
        None,
        description="Limit order that takes the profit; a bare price is read as its `limit_price`",
        examples=[{"limit_price": "190.00"}],
    )
    stop_loss: Annotated[StopLossIn | None, _accept_bare_price("stop_price")] = Field(
        None,
        description="Stop order that limits the loss; a bare price is read as its `stop_price`",
        examples=[{"stop_price": "160.00"}],
    )
    product: OrderProduct | None = Field(None, description="Product of an Indian broker", examples=["CNC"])

    def to_exits(self) -> tuple[TakeProfit | None, StopLoss | None]:
        """Return the take-profit and the stop-loss."""
        return build_exits(self.take_profit, self.stop_loss)


class TicketIn(OrderRequestBody):
    """An order to place. Prices are per unit. Send only the prices that the order type needs.

    The type SL means STOP_LIMIT, and SL-M means STOP. To order by value, send `notional`, not `quantity`.
    `notional` and the prices are in the instrument's currency.
    """

    portfolio_name: PortfolioName = Field(
        description="Name of the portfolio; letter case does not matter", examples=["Growth"]
    )
    symbol: Symbol = Field(
        description="Symbol of the instrument; letter case does not matter", examples=["AAPL"]
    )
    side: Side = Field(description="`BUY` or `SELL`, in any letter case", examples=["BUY"])
    quantity: PositiveAmount | None = Field(
        None, description="Units to trade. Give either `quantity` or `notional`", examples=["10"]
    )
    type: OrderTypeInput = Field(description="Order type, in any letter case", examples=["LIMIT"])
    limit_price: PositiveAmount | None = Field(
        None, description="Worst price that a limit order accepts", examples=["175.00"]
    )
    stop_price: PositiveAmount | None = Field(
        None, description="Price at which a stop order is triggered", examples=["170.00"]
    )
    trail_amount: PositiveAmount | None = Field(
        None, description="Distance of a trailing stop from the best price, per unit", examples=["2.50"]
    )
    trail_percent: PositiveAmount | None = Field(
        None,
        description="Distance of a trailing stop from the best price, in percent: 5 is 5%",
        examples=["5"],
    )
    notional: PositiveAmount | None = Field(
        None, description="Value to trade, in the instrument's currency", examples=["1750.00"]
    )
    time_in_force: TimeInForceInput = Field(
        TimeInForce.DAY, description="How long the order stays open", examples=["DAY"]
    )
    expires_at: ExpiryInput | None = Field(
        None, description="Time of expiry of a GTD order", examples=["2026-12-31T21:00:00Z"]
    )
    client_order_id: ClientOrderId | None = Field(
        None,
        description="Your own ID of the order, unique among the portfolios that you may see",
        examples=["rebalance-1"],
    )
    product: OrderProduct | None = Field(
        None,
        description="Product of an Indian broker",
        examples=["CNC"],
    )
    extended_hours: bool = Field(
        False, strict=True, description="`true`: also trade outside regular hours", examples=[False]
    )
    take_profit: TakeProfitIn | None = Field(
        None, description="Exit at a profit", examples=[{"limit_price": "190.00"}]
    )
    stop_loss: StopLossIn | None = Field(
        None, description="Exit at a loss", examples=[{"stop_price": "160.00"}]
    )
    reason: OrderReason = Field(None, description="Why the order is placed", examples=["Rebalance"])
    strategy: OptionalLabel = Field(
        None, description="Strategy that the order belongs to", examples=["momentum"]
    )
    user_id: OptionalLabel = Field(None, description="Person that the order is for", examples=["U123"])
    confirm_repeat: bool = Field(
        False,
        strict=True,
        description="`true`: you intend to place the same order again within seconds",
        examples=[True],
    )

    def to_ticket(self) -> Ticket:
        """Return the ticket."""
        take_profit, stop_loss = build_exits(self.take_profit, self.stop_loss)
        return Ticket(
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            notional=self.notional,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
            time_in_force=self.time_in_force,
            expires_at=None if self.expires_at is None else format_timestamp(self.expires_at),
            client_order_id=self.client_order_id,
            product=self.product or "",
            extended_hours=self.extended_hours,
            reason=self.reason,
            strategy=self.strategy,
            user_id=self.user_id,
            take_profit=take_profit,
            stop_loss=stop_loss,
            confirm_repeat=self.confirm_repeat,
        )


_SHARED = {"portfolio_name": "Growth", "symbol": "AAPL", "quantity": "10"}
_GROUP_EXAMPLE = [
    {**_SHARED, "side": "BUY", "type": "MARKET"},
    {**_SHARED, "side": "SELL", "type": "STOP", "stop_price": "160.00"},
]


class GroupIn(OrderRequestBody):
    """Two linked tickets of one portfolio.

    OCO: a fill of one reduces the other. OTO: the second is sent when the first is filled.
    """

    kind: Annotated[Literal["OCO", "OTO"], BeforeValidator(to_upper_case)] = Field(
        description="How the orders depend on each other, in any letter case", examples=["OTO"]
    )
    orders: list[TicketIn] = Field(
        min_length=2,
        max_length=2,
        description="The two orders; for OTO the first is the entry",
        examples=[_GROUP_EXAMPLE],
    )

    @field_validator("orders", mode="before")
    @classmethod
    def _has_two_orders(cls, value: object) -> object:
        orders = value if isinstance(value, list) else []
        if len(orders) > _GROUP_SIZE or any(
            isinstance(order, dict) and "orders" in order for order in orders
        ):
            message = "A group has two orders, and no group in it. {hint}"
            hint = "For an entry with two exits, send one order with `take_profit` and `stop_loss`."
            raise PydanticCustomError("two_orders", message, {"hint": hint})
        return value


class ChangesIn(OrderRequestBody):
    """The changes of a replacement.

    A field that you leave out is kept. `quantity` is the total order quantity, including filled units.
    """

    quantity: PositiveAmount | None = Field(
        None, description="Total order quantity, including filled units", examples=["20"]
    )
    limit_price: PositiveAmount | None = Field(
        None, description="Worst price that a limit order accepts", examples=["174.50"]
    )
    stop_price: PositiveAmount | None = Field(
        None, description="Price at which a stop order is triggered", examples=["168.00"]
    )
    trail_amount: PositiveAmount | None = Field(
        None, description="Distance of a trailing stop, per unit; replaces a percentage", examples=["2.00"]
    )
    trail_percent: PositiveAmount | None = Field(
        None,
        description="Distance of a trailing stop in percent: 4 is 4%; replaces an amount",
        examples=["4"],
    )
    time_in_force: TimeInForceInput | None = Field(
        None, description="How long the order stays open", examples=["GTC"]
    )
    expires_at: ExpiryInput | None = Field(
        None, description="Time of expiry of a GTD order", examples=["2026-12-31T21:00:00Z"]
    )
    client_order_id: ClientOrderId | None = Field(
        None, description="Your own ID of the replacement", examples=["rebalance-2"]
    )
    reason: OrderReason = Field(None, description="Why the order is changed", examples=["Follow the market"])

    def to_changes(self) -> OrderChanges:
        """Return the changes."""
        fields = {name: getattr(self, name) for name in OrderChanges._fields}
        fields["expires_at"] = None if self.expires_at is None else format_timestamp(self.expires_at)
        return OrderChanges(**fields)


class CancelIn(RequestBody):
    """The reason of a cancellation."""

    reason: OrderReason = Field(None, description="Why the order is canceled", examples=["Not needed"])


class CancelAllIn(OrderRequestBody):
    """A filter for the orders to cancel. A field that you leave out matches all orders."""

    portfolio_name: PortfolioName | None = Field(
        None, description="Only orders of this portfolio", examples=["Growth"]
    )
    symbol: Symbol | None = Field(None, description="Only orders in this symbol", examples=["AAPL"])
    side: Side | None = Field(None, description="Only `BUY` or only `SELL` orders", examples=["BUY"])
    strategy: OptionalLabel = Field(None, description="Only orders of this strategy", examples=["momentum"])
    reason: OrderReason = Field(None, description="Why the orders are canceled", examples=["End of the day"])


class CloseIn(OrderRequestBody):
    """The position to close. Without `quantity` the whole position is closed."""

    portfolio_name: PortfolioName = Field(description="Portfolio of the position", examples=["Growth"])
    symbol: Symbol = Field(description="Symbol of the position", examples=["AAPL"])
    product: OrderProduct | None = Field(None, description="Product of the position", examples=["CNC"])
    quantity: PositiveAmount | None = Field(
        None, description="Units to close; null: the whole position", examples=["5"]
    )
    reason: OrderReason = Field(None, description="Why the position is closed", examples=["Risk off"])
