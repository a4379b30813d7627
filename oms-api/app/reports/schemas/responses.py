"""Response bodies of reports."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.clock import iso
from app.money import fixed, money_text, quantity_text
from app.reports.queries import ReportFilter
from app.reports.rules.lots import ClosedLot, Lot
from app.reports.rules.profit import Converted, DayKey, Grouping, GroupResult, ProfitReport, Totals
from app.reports.rules.round_trips import RoundTrip

_AT = "2026-11-20T15:04:05.123456Z"


class ProfitOut(BaseModel):
    """The P&L of a group, in the currency of its portfolios."""

    key: str | None = Field(
        description="Portfolio, symbol, day (UTC), user or strategy; null: trades without one",
        examples=["Tech Portfolio"],
    )
    currency: str = Field(description="ISO 4217 code of the amounts", examples=["USD"])
    trades: int = Field(description="Number of trades, without reversals", examples=[12])
    realized_pnl: str = Field(description="Realised P&L before charges", examples=["300.00"])
    unrealized_pnl: str | None = Field(
        description="P&L of the positions that are open now; null where `by` is not `portfolio` or `symbol`, "
        "and for periods that ended",
        examples=["50.00"],
    )
    gross_pnl: str = Field(description="Realised and unrealised P&L before charges", examples=["350.00"])
    charges: str = Field(description="Charges that were booked", examples=["2.00"])
    net_pnl: str = Field(description="Gross P&L less charges", examples=["348.00"])


class UsedRateOut(BaseModel):
    """A rate that converted a currency to the tenant's."""

    currency: str = Field(description="ISO 4217 code of what was converted", examples=["INR"])
    rate: str = Field(description="Value of one unit in the tenant's currency", examples=["0.01197605"])
    age_seconds: float = Field(description="Age of its oldest quote in seconds", examples=[0.25])


class ProfitTotalOut(BaseModel):
    """All groups together in the tenant's currency, at the rates of now."""

    currency: str = Field(description="ISO 4217 code of the tenant's currency", examples=["USD"])
    realized_pnl: str = Field(description="Realised P&L before charges", examples=["300.00"])
    unrealized_pnl: str | None = Field(description="P&L of open positions, if told", examples=["50.00"])
    charges: str = Field(description="Charges that were booked", examples=["2.00"])
    net_pnl: str = Field(description="Realised and unrealised P&L less charges", examples=["348.00"])
    rates: list[UsedRateOut] = Field(description="Rates that were used, one for each other currency")


class ProfitReportOut(BaseModel):
    """P&L of a period by group."""

    by: Grouping = Field(description="What the P&L is summed by", examples=["portfolio"])
    since: str | None = Field(alias="from", description="Start of the period; null: all", examples=[_AT])
    until: str | None = Field(alias="to", description="End of the period; null: now", examples=[None])
    items: list[ProfitOut] = Field(description="The groups, by key and currency")
    total: ProfitTotalOut | None = Field(description="Null if a currency has no rate to the tenant's")


class DayStatsOut(BaseModel):
    """What a portfolio booked on a day, in its currency. Days begin at 00:00 UTC."""

    date: str = Field(description="Day of the booking", examples=["2026-11-20"])
    portfolio_name: str = Field(description="Name of the portfolio", examples=["Tech Portfolio"])
    currency: str = Field(description="ISO 4217 code of the amounts", examples=["USD"])
    trades: int = Field(description="Number of trades, without reversals", examples=[12])
    wins: int = Field(description="Trades that realised a gain, before charges", examples=[5])
    losses: int = Field(description="Trades that realised a loss, before charges", examples=[3])
    volume: str = Field(description="Sum of the trades' gross market values", examples=["52000.00"])
    realized_pnl: str = Field(description="Realised P&L before charges", examples=["300.00"])
    charges: str = Field(description="Charges that were booked", examples=["2.00"])
    net_pnl: str = Field(description="Realised P&L less charges", examples=["298.00"])
    max_drawdown: str = Field(
        description="Largest fall of the day's net P&L from its peak", examples=["40.00"]
    )


class RoundTripOut(BaseModel):
    """A position from flat to flat. Prices are in the instrument's currency, amounts in the portfolio's."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Tech Portfolio"])
    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    product: str | None = Field(description="`CNC`, `MIS` …; null without one", examples=[None])
    currency: str = Field(description="ISO 4217 code of the amounts", examples=["USD"])
    side: Literal["LONG", "SHORT"] = Field(description="Direction of the position", examples=["LONG"])
    quantity: str = Field(description="Units that were opened in all", examples=["200"])
    entry_price: str = Field(description="Average price of the opening trades", examples=["11.00"])
    exit_price: str = Field(description="Average price of the closing trades", examples=["12.00"])
    opened_at: str = Field(description="Execution of the first trade", examples=[_AT])
    closed_at: str = Field(description="Execution of the trade that closed it", examples=[_AT])
    holding_seconds: float = Field(description="Seconds from opened to closed", examples=[3600.0])
    realized_pnl: str = Field(description="Realised P&L before charges", examples=["200.00"])
    charges: str = Field(description="Charges of its trades", examples=["2.00"])
    net_pnl: str = Field(description="Realised P&L less charges", examples=["198.00"])
    highest_price: str = Field(description="Highest price traded while it was open", examples=["12.50"])
    lowest_price: str = Field(description="Lowest price traded while it was open", examples=["10.00"])
    max_adverse_excursion: str = Field(
        description="Largest loss at the prices traded while it was open, before charges", examples=["100.00"]
    )
    max_favorable_excursion: str = Field(
        description="Largest gain at the prices traded while it was open, before charges", examples=["250.00"]
    )
    opening_trade_id: str = Field(description="Id of the first trade", examples=["TRADE-20261120-ABCDEFGH"])
    closing_trade_id: str = Field(description="Id of the last trade", examples=["TRADE-20261120-ABCDEFGI"])
    trades: int = Field(description="Number of its trades", examples=[3])


class LotOut(BaseModel):
    """An open lot, in the portfolio's currency."""

    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    product: str | None = Field(description="`CNC`, `MIS` …; null without one", examples=[None])
    side: Literal["LONG", "SHORT"] = Field(description="Direction of the position", examples=["LONG"])
    quantity: str = Field(description="Units that are left", examples=["50"])
    unit_cost: str = Field(description="Value per unit when it was opened", examples=["10.00"])
    value: str = Field(description="Value of what is left when it was opened", examples=["500.00"])
    charges: str = Field(description="Part of the opening trade's charges", examples=["1.00"])
    opened_at: str = Field(description="Execution of the opening trade", examples=[_AT])
    trade_id: str = Field(description="Id of the opening trade", examples=["TRADE-20261120-ABCDEFGH"])


class ClosedLotOut(BaseModel):
    """A part of a lot that was closed, in the portfolio's currency."""

    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    product: str | None = Field(description="`CNC`, `MIS` …; null without one", examples=[None])
    side: Literal["LONG", "SHORT"] = Field(description="Direction of the position", examples=["LONG"])
    quantity: str = Field(description="Units that were closed", examples=["50"])
    cost: str = Field(description="What the units were bought for", examples=["500.00"])
    proceeds: str = Field(description="What the units were sold for", examples=["600.00"])
    realized_pnl: str = Field(description="Proceeds less cost, before charges", examples=["100.00"])
    charges: str = Field(description="Parts of both trades' charges", examples=["2.00"])
    opened_at: str = Field(description="Execution of the opening trade", examples=[_AT])
    closed_at: str = Field(description="Execution of the closing trade", examples=[_AT])
    opening_trade_id: str = Field(description="Id of the opening trade", examples=["TRADE-20261120-ABCDEFGH"])
    closing_trade_id: str = Field(description="Id of the closing trade", examples=["TRADE-20261120-ABCDEFGI"])


class LotsOut(BaseModel):
    """The lots of a portfolio by first in, first out, beside the average cost that its books use."""

    open: list[LotOut] = Field(description="What is left of opening trades, the oldest first")
    closed: list[ClosedLotOut] = Field(description="What was closed, in the order of closing")


def serialize_profit(grouping: Grouping, filters: ReportFilter, report: ProfitReport) -> dict[str, Any]:
    """Return the report as `ProfitReportOut` describes it."""
    return {
        "by": grouping,
        "from": None if filters.since is None else iso(filters.since),
        "to": None if filters.until is None else iso(filters.until),
        "items": list(map(_serialize_group, report.groups)),
        "total": None if report.total is None else _serialize_total(report.total),
    }


def serialize_days(days: Iterable[tuple[DayKey, Totals]]) -> list[dict[str, Any]]:
    """Return the days as `DayStatsOut` describes them, the latest first."""
    return [
        {
            "date": key.day.isoformat(),
            "portfolio_name": key.portfolio,
            "currency": key.currency,
            "trades": totals.trades,
            "wins": totals.wins,
            "losses": totals.losses,
            **_moneys(totals, ("volume", "realized_pnl", "charges", "net_pnl", "max_drawdown")),
        }
        for key, totals in sorted(days, key=lambda item: (-item[0].day.toordinal(), item[0].portfolio))
    ]


def serialize_round_trip(trip: RoundTrip) -> dict[str, Any]:
    """Return the round trip as `RoundTripOut` describes it."""
    opened_at, closed_at = map(datetime.fromisoformat, (trip.opened_at, trip.closed_at))
    return {
        "portfolio_name": trip.book.portfolio_name,
        "currency": trip.book.currency,
        **_serialize_lot(trip),
        **_moneys(trip, ("entry_price", "exit_price", "realized_pnl", "charges", "net_pnl")),
        **_moneys(trip, ("highest_price", "lowest_price")),
        "opened_at": trip.opened_at,
        "closed_at": trip.closed_at,
        "holding_seconds": (closed_at - opened_at).total_seconds(),
        "max_adverse_excursion": money_text(fixed(trip.max_adverse)),
        "max_favorable_excursion": money_text(fixed(trip.max_favorable)),
        "opening_trade_id": trip.opening_trade_id,
        "closing_trade_id": trip.closing_trade_id,
        "trades": trip.trades,
    }


def serialize_open_lot(lot: Lot) -> dict[str, Any]:
    """Return the lot as `LotOut` describes it."""
    return {
        **_serialize_lot(lot),
        **_moneys(lot, ("unit_cost", "value", "charges")),
        "opened_at": lot.opened_at,
        "trade_id": lot.trade_id,
    }


def serialize_closed_lot(lot: ClosedLot) -> dict[str, Any]:
    """Return the lot as `ClosedLotOut` describes it."""
    return {
        **_serialize_lot(lot),
        **_moneys(lot, ("cost", "proceeds", "realized_pnl", "charges")),
        "opened_at": lot.opened_at,
        "closed_at": lot.closed_at,
        "opening_trade_id": lot.opening_trade_id,
        "closing_trade_id": lot.closing_trade_id,
    }


def _serialize_lot(lot: Lot | ClosedLot | RoundTrip) -> dict[str, Any]:
    return {
        "symbol": lot.book.symbol,
        "product": lot.book.product or None,
        "side": "LONG" if lot.side.sign > 0 else "SHORT",
        "quantity": quantity_text(fixed(lot.quantity)),
    }


def _serialize_group(group: GroupResult) -> dict[str, Any]:
    totals = group.totals
    return {
        "key": group.key.name,
        "currency": group.key.currency,
        "trades": totals.trades,
        **_moneys(totals, ("realized_pnl", "charges")),
        "unrealized_pnl": None if group.unrealized_pnl is None else money_text(fixed(group.unrealized_pnl)),
        **_moneys(group, ("gross_pnl", "net_pnl")),
    }


def _serialize_total(total: Converted) -> dict[str, Any]:
    return {
        "currency": total.currency,
        **_moneys(total, ("realized_pnl", "charges", "net_pnl")),
        "unrealized_pnl": None if total.unrealized_pnl is None else money_text(fixed(total.unrealized_pnl)),
        "rates": [
            {"currency": one.currency, "rate": money_text(fixed(one.rate)), "age_seconds": one.age_seconds}
            for one in total.rates
        ],
    }


def _moneys(found: object, names: Iterable[str]) -> dict[str, str]:
    return {name: money_text(fixed(getattr(found, name))) for name in names}
