"""Response bodies of positions at their marks."""

from typing import Any, Literal

from pydantic import Field

from app.ledger.rules.marks import MarkedPosition
from app.ledger.schemas import PositionOut, serialize_position
from app.money import format_fixed, shorten_amount
from app.timestamps import format_timestamp


class HeldPositionOut(PositionOut):
    """A position at its mark: the manual mark, else mid, else last price, else the price of its last trade.

    `mark` and `local_cost` are in the instrument's `currency`, all other amounts in the portfolio's.
    """

    portfolio_name: str = Field(examples=["Tech Portfolio"])
    symbol: str = Field(examples=["AAPL"])
    product: str | None = Field(examples=[None])
    mark: str = Field(examples=["180.00"], description="Mark per unit, in the instrument's currency")
    mark_source: Literal["override", "quote", "close", "trade"]
    mark_age_seconds: float = Field(examples=[0.25])
    mark_is_stale: bool = Field(
        description="Whether the mark is older than 60 seconds, and neither a close nor a manual mark"
    )
    market_value: str = Field(
        examples=["18000.00"],
        description="Quantity × mark, converted to the portfolio's currency at the current rate",
    )
    unrealized_pnl: str = Field(examples=["500.00"], description="Market value - cost")
    charges: str = Field(examples=["1.00"], description="Charges of all its trades")
    total_pnl: str = Field(examples=["499.00"], description="Realized and unrealized P&L - charges")
    highest_price: str | None = Field(
        examples=["182.50"],
        description="Highest traded price since it was opened, in the instrument's currency; null when flat",
    )
    lowest_price: str | None = Field(
        examples=["174.00"],
        description="Lowest traded price since it was opened, in the instrument's currency; null when flat",
    )
    max_drawdown: str | None = Field(
        examples=["250.00"],
        description="Largest decline of realized and unrealized P&L since it was opened, before "
        "charges; null when flat",
    )
    risk_reward: str | None = Field(
        examples=["1.50"],
        description="Distance of the take-profit from the average cost, divided by that of the stop-"
        "loss; null: one is missing, or not beyond the average cost",
    )
    stop_loss: str | None = Field(
        examples=["160.00"], description="Nearest stop price of its open exits; null: none"
    )
    take_profit: str | None = Field(
        examples=["190.00"], description="Nearest limit price of its open exits; null: none"
    )
    currency: str = Field(examples=["USD"], description="Currency of the instrument")
    base_currency: str = Field(examples=["USD"], description="Base currency of the portfolio")
    fx_rate: str | None = Field(
        examples=["83.50"],
        description="Value of one unit of `currency` in `base_currency`, now or, without a quote, by "
        "the position's cost; null: the same currency",
    )
    local_cost: str | None = Field(
        examples=["2000.00"], description="Cost in `currency`; null: `currency` is `base_currency`"
    )
    opened_at: str | None = Field(
        examples=["2026-11-20T15:04:05.123456Z"],
        description="Time when it was last opened or changed its side, in UTC; null when flat",
    )
    closed_at: str | None = Field(
        examples=[None], description="Time when it was last closed, in UTC; null: never"
    )
    updated_at: str = Field(
        examples=["2026-11-20T15:04:05.123456Z"], description="Time of its last trade, in UTC"
    )


def serialize_marked_position(marked_position: MarkedPosition) -> dict[str, Any]:
    """Return the position as `HeldPositionOut` describes it."""
    position, mark, valuation, rate, exits, charges, extremes = marked_position
    return {
        "portfolio_name": position.portfolio_name,
        "symbol": position.symbol,
        "product": position.product or None,
        **serialize_position(
            format_fixed(position.quantity),
            format_fixed(position.cost),
            format_fixed(position.realized_pnl),
        ),
        "mark": shorten_amount(format_fixed(mark.price)),
        "mark_source": mark.source,
        "mark_age_seconds": valuation.age_seconds,
        "mark_is_stale": valuation.is_stale,
        "market_value": shorten_amount(format_fixed(valuation.market_value)),
        "unrealized_pnl": shorten_amount(format_fixed(valuation.unrealized_pnl)),
        "charges": shorten_amount(format_fixed(charges)),
        "total_pnl": shorten_amount(format_fixed(marked_position.total_pnl)),
        "highest_price": None if extremes is None else shorten_amount(format_fixed(extremes.highest_price)),
        "lowest_price": None if extremes is None else shorten_amount(format_fixed(extremes.lowest_price)),
        "max_drawdown": None if extremes is None else shorten_amount(format_fixed(extremes.max_drawdown)),
        "risk_reward": None
        if marked_position.risk_reward is None
        else shorten_amount(format_fixed(marked_position.risk_reward)),
        "stop_loss": None if exits.stop_loss is None else shorten_amount(format_fixed(exits.stop_loss)),
        "take_profit": None if exits.take_profit is None else shorten_amount(format_fixed(exits.take_profit)),
        "currency": position.currency or position.base_currency,
        "base_currency": position.base_currency,
        "fx_rate": None if rate is None else shorten_amount(format_fixed(rate)),
        "local_cost": None
        if position.local_cost is None
        else shorten_amount(format_fixed(position.local_cost)),
        "opened_at": None if position.opened_at is None else format_timestamp(position.opened_at),
        "closed_at": None if position.closed_at is None else format_timestamp(position.closed_at),
        "updated_at": format_timestamp(position.last_at),
    }
