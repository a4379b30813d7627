"""Response bodies of positions at their marks."""

from typing import Any, Literal

from pydantic import Field

from app.ledger.rules.marks import MarkedPosition
from app.ledger.schemas import PositionOut, position_out
from app.money import fixed, money_text
from app.timestamps import iso


class HeldPositionOut(PositionOut):
    """A position at its mark: what a person set, else mid, else last, else the price of its last trade.

    `mark` and `local_cost` are in the instrument's `currency`, all other amounts in the portfolio's.
    """

    portfolio_name: str = Field(examples=["Tech Portfolio"])
    symbol: str = Field(examples=["AAPL"])
    product: str | None = Field(examples=[None])
    mark: str = Field(examples=["180.00"], description="Per unit, in the instrument's currency")
    mark_source: Literal["override", "quote", "close", "trade"]
    mark_age_seconds: float = Field(examples=[0.25])
    mark_is_stale: bool = Field(
        description="The mark is older than 60 seconds, and neither a close nor set by a person"
    )
    market_value: str = Field(
        examples=["18000.00"], description="Quantity × mark, by the rate of now in the portfolio's currency"
    )
    unrealized_pnl: str = Field(examples=["500.00"], description="Market value - cost")
    charges: str = Field(examples=["1.00"], description="Of all its trades")
    total_pnl: str = Field(examples=["499.00"], description="Realised and unrealised P&L - charges")
    highest_price: str | None = Field(
        examples=["182.50"], description="Since it was opened, in the instrument's currency; null when flat"
    )
    lowest_price: str | None = Field(
        examples=["174.00"], description="Since it was opened, in the instrument's currency; null when flat"
    )
    max_drawdown: str | None = Field(
        examples=["250.00"],
        description="The largest fall of realised and unrealised P&L since it was opened, before charges; "
        "null when flat",
    )
    risk_reward: str | None = Field(
        examples=["1.50"],
        description="The distance of the take-profit from the average cost, over that of the stop-loss; "
        "null without both, or if one is not beyond the average cost",
    )
    stop_loss: str | None = Field(
        examples=["160.00"], description="Where working exits cut its loss; of several the nearest"
    )
    take_profit: str | None = Field(
        examples=["190.00"], description="Where working exits take its profit; of several the nearest"
    )
    currency: str = Field(examples=["USD"], description="Of the instrument: what it is traded in")
    base_currency: str = Field(examples=["USD"], description="Of the portfolio")
    fx_rate: str | None = Field(
        examples=["83.50"],
        description="What one unit of `currency` is worth in `base_currency` now, or by the position's cost "
        "where nobody quotes it; null where they are the same",
    )
    local_cost: str | None = Field(
        examples=["2000.00"], description="The cost in `currency`; null where that is `base_currency`"
    )
    opened_at: str | None = Field(
        examples=["2026-11-20T15:04:05.123456Z"],
        description="When it left flat, or went through zero, last; null when flat",
    )
    closed_at: str | None = Field(
        examples=[None], description="When it became flat last; null where it never did"
    )
    updated_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"], description="Its last trade")


def held_position_out(marked_position: MarkedPosition) -> dict[str, Any]:
    """Return the position as `HeldPositionOut` describes it."""
    held_position, mark, valuation, rate, exits, charges, extremes = marked_position
    return {
        "portfolio_name": held_position.portfolio_name,
        "symbol": held_position.symbol,
        "product": held_position.product or None,
        **position_out(
            fixed(held_position.quantity), fixed(held_position.cost), fixed(held_position.realized_pnl)
        ),
        "mark": money_text(fixed(mark.price)),
        "mark_source": mark.source,
        "mark_age_seconds": valuation.age_seconds,
        "mark_is_stale": valuation.is_stale,
        "market_value": money_text(fixed(valuation.market_value)),
        "unrealized_pnl": money_text(fixed(valuation.unrealized_pnl)),
        "charges": money_text(fixed(charges)),
        "total_pnl": money_text(fixed(marked_position.total_pnl)),
        "highest_price": None if extremes is None else money_text(fixed(extremes.highest_price)),
        "lowest_price": None if extremes is None else money_text(fixed(extremes.lowest_price)),
        "max_drawdown": None if extremes is None else money_text(fixed(extremes.max_drawdown)),
        "risk_reward": None
        if marked_position.risk_reward is None
        else money_text(fixed(marked_position.risk_reward)),
        "stop_loss": None if exits.stop_loss is None else money_text(fixed(exits.stop_loss)),
        "take_profit": None if exits.take_profit is None else money_text(fixed(exits.take_profit)),
        "currency": held_position.currency or held_position.base_currency,
        "base_currency": held_position.base_currency,
        "fx_rate": None if rate is None else money_text(fixed(rate)),
        "local_cost": None
        if held_position.local_cost is None
        else money_text(fixed(held_position.local_cost)),
        "opened_at": None if held_position.opened_at is None else iso(held_position.opened_at),
        "closed_at": None if held_position.closed_at is None else iso(held_position.closed_at),
        "updated_at": iso(held_position.last_at),
    }
