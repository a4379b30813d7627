"""Positions at their marks, on the wire."""

from typing import Any, Literal

from pydantic import Field

from app.clock import iso
from app.ledger.rules.marks import MarkedPosition
from app.ledger.schemas import PositionOut, position_out
from app.money import fixed, money_text


class HeldPositionOut(PositionOut):
    """A position at its mark: mid, else last, else its last trade's price."""

    portfolio_name: str = Field(examples=["Tech Portfolio"])
    symbol: str = Field(examples=["AAPL"])
    product: str | None = Field(examples=[None])
    mark: str = Field(examples=["180.00"])
    mark_source: Literal["quote", "trade"]
    mark_age_seconds: float = Field(examples=[0.25])
    mark_is_stale: bool = Field(description="The mark is older than 60 seconds")
    market_value: str = Field(examples=["18000.00"])
    unrealized_pnl: str = Field(examples=["500.00"], description="Market value - cost")
    currency: str = Field(examples=["USD"], description="Of the portfolio")
    opened_at: str | None = Field(examples=["2026-11-20T15:04:05.123456Z"], description="Null when flat")
    updated_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"], description="Its last trade")


def held_position_out(found: MarkedPosition) -> dict[str, Any]:
    """Return a position at its mark as `HeldPositionOut` describes it."""
    held, mark, valuation = found
    return {
        "portfolio_name": held.portfolio_name,
        "symbol": held.symbol,
        "product": held.product or None,
        **position_out(fixed(held.quantity), fixed(held.cost), fixed(held.realized_pnl)),
        "mark": money_text(fixed(mark.price)),
        "mark_source": mark.source,
        "mark_age_seconds": valuation.age_seconds,
        "mark_is_stale": valuation.is_stale,
        "market_value": money_text(fixed(valuation.market_value)),
        "unrealized_pnl": money_text(fixed(valuation.unrealized_pnl)),
        "currency": held.currency,
        "opened_at": None if held.opened_at is None else iso(held.opened_at),
        "updated_at": iso(held.last_at),
    }
