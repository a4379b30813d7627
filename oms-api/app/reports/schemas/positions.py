"""Response bodies of round trips and lots."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.money import format_money, format_plain_amount
from app.reports.rules.lots import ClosedLot, Lot
from app.reports.rules.round_trips import RoundTrip
from app.reports.schemas.amounts import format_money_fields

_AT = "2026-11-20T15:04:05.123456Z"


class RoundTripOut(BaseModel):
    """A position from flat to flat. Prices are in the instrument's currency, amounts in the portfolio's."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Tech Portfolio"])
    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    product: str | None = Field(description="`CNC`, `MIS` …; null without one", examples=[None])
    currency: str = Field(description="ISO 4217 code of the amounts", examples=["USD"])
    side: Literal["LONG", "SHORT"] = Field(description="Direction of the position", examples=["LONG"])
    quantity: str = Field(description="Total units that were opened", examples=["200"])
    entry_price: str = Field(description="Average price of the opening trades", examples=["11.00"])
    exit_price: str = Field(description="Average price of the closing trades", examples=["12.00"])
    opened_at: str = Field(description="Execution of the first trade", examples=[_AT])
    closed_at: str = Field(description="Execution of the trade that closed it", examples=[_AT])
    holding_seconds: float = Field(description="Time from opening to closing, in seconds", examples=[3600.0])
    realized_pnl: str = Field(description="Realized P&L before charges", examples=["200.00"])
    charges: str = Field(description="Charges of its trades", examples=["2.00"])
    net_pnl: str = Field(description="Realized P&L less charges", examples=["198.00"])
    highest_price: str = Field(description="Highest traded price while it was open", examples=["12.50"])
    lowest_price: str = Field(description="Lowest traded price while it was open", examples=["10.00"])
    max_adverse_excursion: str = Field(
        description="Largest loss at the prices traded while it was open, before charges", examples=["100.00"]
    )
    max_favorable_excursion: str = Field(
        description="Largest gain at the prices traded while it was open, before charges", examples=["250.00"]
    )
    opening_trade_id: str = Field(description="ID of the first trade", examples=["TRADE-20261120-ABCDEFGH"])
    closing_trade_id: str = Field(description="ID of the last trade", examples=["TRADE-20261120-ABCDEFGI"])
    trades: int = Field(description="Number of its trades", examples=[3])


class LotOut(BaseModel):
    """An open lot, in the portfolio's currency."""

    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    product: str | None = Field(description="`CNC`, `MIS` …; null without one", examples=[None])
    side: Literal["LONG", "SHORT"] = Field(description="Direction of the position", examples=["LONG"])
    quantity: str = Field(description="Units still open", examples=["50"])
    unit_cost: str = Field(description="Value per unit when it was opened", examples=["10.00"])
    value: str = Field(description="Opening value of the units still open", examples=["500.00"])
    charges: str = Field(description="Share of the charges of the opening trade", examples=["1.00"])
    opened_at: str = Field(description="Execution of the opening trade", examples=[_AT])
    trade_id: str = Field(description="ID of the opening trade", examples=["TRADE-20261120-ABCDEFGH"])


class ClosedLotOut(BaseModel):
    """A part of a lot that was closed, in the portfolio's currency."""

    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    product: str | None = Field(description="`CNC`, `MIS` …; null without one", examples=[None])
    side: Literal["LONG", "SHORT"] = Field(description="Direction of the position", examples=["LONG"])
    quantity: str = Field(description="Units that were closed", examples=["50"])
    cost: str = Field(description="Cost of the units", examples=["500.00"])
    proceeds: str = Field(description="What the units were sold for", examples=["600.00"])
    realized_pnl: str = Field(description="Proceeds less cost, before charges", examples=["100.00"])
    charges: str = Field(description="Shares of the charges of both trades", examples=["2.00"])
    opened_at: str = Field(description="Execution of the opening trade", examples=[_AT])
    closed_at: str = Field(description="Execution of the closing trade", examples=[_AT])
    opening_trade_id: str = Field(description="ID of the opening trade", examples=["TRADE-20261120-ABCDEFGH"])
    closing_trade_id: str = Field(description="ID of the closing trade", examples=["TRADE-20261120-ABCDEFGI"])


class LotsOut(BaseModel):
    """The lots of a portfolio by first in, first out. The ledger itself uses average cost."""

    open: list[LotOut] = Field(description="Open lots, the oldest first")
    closed: list[ClosedLotOut] = Field(description="Closed lots, in the order of closing")


def serialize_round_trip(trip: RoundTrip) -> dict[str, Any]:
    """Return the round trip as `RoundTripOut` describes it."""
    opened_at, closed_at = map(datetime.fromisoformat, (trip.opened_at, trip.closed_at))
    return {
        "portfolio_name": trip.identity.portfolio_name,
        "currency": trip.identity.currency,
        **_serialize_position(trip),
        **format_money_fields(trip, ("entry_price", "exit_price", "realized_pnl", "charges", "net_pnl")),
        **format_money_fields(trip, ("highest_price", "lowest_price")),
        "opened_at": trip.opened_at,
        "closed_at": trip.closed_at,
        "holding_seconds": (closed_at - opened_at).total_seconds(),
        "max_adverse_excursion": format_money(trip.max_adverse),
        "max_favorable_excursion": format_money(trip.max_favorable),
        "opening_trade_id": trip.opening_trade_id,
        "closing_trade_id": trip.closing_trade_id,
        "trades": trip.trades,
    }


def serialize_open_lot(lot: Lot) -> dict[str, Any]:
    """Return the lot as `LotOut` describes it."""
    return {
        **_serialize_position(lot),
        **format_money_fields(lot, ("unit_cost", "value", "charges")),
        "opened_at": lot.opened_at,
        "trade_id": lot.trade_id,
    }


def serialize_closed_lot(lot: ClosedLot) -> dict[str, Any]:
    """Return the lot as `ClosedLotOut` describes it."""
    return {
        **_serialize_position(lot),
        **format_money_fields(lot, ("cost", "proceeds", "realized_pnl", "charges")),
        "opened_at": lot.opened_at,
        "closed_at": lot.closed_at,
        "opening_trade_id": lot.opening_trade_id,
        "closing_trade_id": lot.closing_trade_id,
    }


def _serialize_position(lot: Lot | ClosedLot | RoundTrip) -> dict[str, Any]:
    return {
        "symbol": lot.identity.symbol,
        "product": lot.identity.product or None,
        "side": "LONG" if lot.side.sign > 0 else "SHORT",
        "quantity": format_plain_amount(lot.quantity),
    }
