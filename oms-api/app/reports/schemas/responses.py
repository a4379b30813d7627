"""Response bodies of reports."""

from typing import Any

from pydantic import BaseModel, Field

from app.money import format_money, format_optional_money, multiply
from app.reports.queries import ReportFilter
from app.reports.rules.exposure import ExposureGrouping, ExposureReport, ExposureSums
from app.reports.rules.profit import (
    ConvertedTotal,
    DayReport,
    Grouping,
    GroupResult,
    ProfitReport,
    ProfitTotals,
)
from app.reports.rules.values import UsedRate
from app.reports.schemas.amounts import format_money_fields
from app.timestamps import format_optional_timestamp

_AT = "2026-11-20T15:04:05.123456Z"


class ProfitOut(BaseModel):
    """The P&L of a group, in the currency of its portfolios."""

    key: str | None = Field(
        description="Portfolio, symbol, day (UTC), user or strategy of the group; null: trades without one",
        examples=["Tech Portfolio"],
    )
    currency: str = Field(description="ISO 4217 code of the amounts", examples=["USD"])
    trades: int = Field(description="Number of trades, without reversals", examples=[12])
    realized_pnl: str = Field(description="Realized P&L before charges", examples=["300.00"])
    unrealized_pnl: str | None = Field(
        description="P&L of the positions that are open now; null if `by` is not `portfolio` or "
        "`symbol`, and for periods that have ended",
        examples=["50.00"],
    )
    gross_pnl: str = Field(description="Realized and unrealized P&L before charges", examples=["350.00"])
    charges: str = Field(description="Charges that were booked", examples=["2.00"])
    net_pnl: str = Field(description="Gross P&L less charges", examples=["348.00"])


class UsedRateOut(BaseModel):
    """The rate that converted a currency to the tenant's."""

    currency: str = Field(description="ISO 4217 code of the converted currency", examples=["INR"])
    rate: str = Field(
        description="Value of one unit of the currency in the tenant's currency", examples=["0.01197605"]
    )
    age_seconds: float = Field(description="Age of its oldest quote in seconds", examples=[0.25])


class ProfitTotalOut(BaseModel):
    """All groups together in the tenant's currency, at current rates."""

    currency: str = Field(description="ISO 4217 code of the tenant's currency", examples=["USD"])
    realized_pnl: str = Field(description="Realized P&L before charges", examples=["300.00"])
    unrealized_pnl: str | None = Field(
        description="P&L of open positions; null: not computed", examples=["50.00"]
    )
    charges: str = Field(description="Charges that were booked", examples=["2.00"])
    net_pnl: str = Field(description="Realized and unrealized P&L less charges", examples=["348.00"])
    rates: list[UsedRateOut] = Field(description="Rates that were used, one for each other currency")


class ProfitReportOut(BaseModel):
    """P&L of a period by group."""

    by: Grouping = Field(description="Grouping of the P&L", examples=["portfolio"])
    since: str | None = Field(alias="from", description="Start of the period; null: all", examples=[_AT])
    until: str | None = Field(alias="to", description="End of the period; null: now", examples=[None])
    items: list[ProfitOut] = Field(description="The groups, by key and currency")
    total: ProfitTotalOut | None = Field(description="Null if a currency has no rate to the tenant's")


class ExposureOut(BaseModel):
    """Sums of market values in the tenant's currency."""

    key: str | None = Field(
        description="Portfolio, symbol, currency, asset class or sector; null for the total",
        examples=["Tech Portfolio"],
    )
    positions: int = Field(description="Number of open positions", examples=[3])
    long_value: str = Field(description="Market value of long positions", examples=["18000.00"])
    short_value: str = Field(
        description="Market value of short positions, not above zero", examples=["-500.00"]
    )
    gross_exposure: str = Field(description="Sum of the unsigned market values", examples=["18500.00"])
    net_exposure: str = Field(description="Sum of the signed market values", examples=["17500.00"])


class ExposureReportOut(BaseModel):
    """Exposure of open positions by group, at current marks and rates."""

    by: ExposureGrouping = Field(description="Grouping of the exposure", examples=["portfolio"])
    currency: str = Field(description="ISO 4217 code of the tenant's currency", examples=["USD"])
    items: list[ExposureOut] = Field(description="The groups, by key")
    total: ExposureOut = Field(description="All groups together")
    rates: list[UsedRateOut] = Field(description="Rates that were used, one for each other currency")
    unconverted: list[str] = Field(
        description="Currencies of portfolios without a rate; their positions are left out", examples=[[]]
    )


class ConvertedDayOut(BaseModel):
    """The P&L of a day in the tenant's currency, at the current rate."""

    currency: str = Field(description="ISO 4217 code of the tenant's currency", examples=["USD"])
    net_pnl: str = Field(description="Realized P&L less charges", examples=["3.56886"])
    rate: str = Field(description="Value of one unit of the portfolio's currency", examples=["0.01197605"])
    age_seconds: float = Field(description="Age of its oldest quote in seconds", examples=[0.25])


class DayStatsOut(BaseModel):
    """The totals of a portfolio for one day, in its currency. Days begin at 00:00 UTC."""

    date: str = Field(description="Day on which it was booked", examples=["2026-11-20"])
    portfolio_name: str = Field(description="Name of the portfolio", examples=["Tech Portfolio"])
    currency: str = Field(description="ISO 4217 code of the amounts", examples=["USD"])
    trades: int = Field(description="Number of trades, without reversals", examples=[12])
    wins: int = Field(description="Trades that realized a gain, before charges", examples=[5])
    losses: int = Field(description="Trades that realized a loss, before charges", examples=[3])
    volume: str = Field(description="Sum of the trades' gross market values", examples=["52000.00"])
    realized_pnl: str = Field(description="Realized P&L before charges", examples=["300.00"])
    charges: str = Field(description="Charges that were booked", examples=["2.00"])
    net_pnl: str = Field(description="Realized P&L less charges", examples=["298.00"])
    max_drawdown: str = Field(
        description="Largest decline of the day's net P&L from its peak", examples=["40.00"]
    )
    converted: ConvertedDayOut | None = Field(
        description="Net P&L in the tenant's currency; null if there is no rate"
    )


def serialize_profit(grouping: Grouping, filters: ReportFilter, report: ProfitReport) -> dict[str, Any]:
    """Return the report as `ProfitReportOut` describes it."""
    return {
        "by": grouping,
        "from": format_optional_timestamp(filters.since),
        "to": format_optional_timestamp(filters.until),
        "items": list(map(_serialize_group, report.groups)),
        "total": None if report.total is None else _serialize_total(report.total),
    }


def serialize_exposure(grouping: ExposureGrouping, report: ExposureReport) -> dict[str, Any]:
    """Return the report as `ExposureReportOut` describes it."""
    return {
        "by": grouping,
        "currency": report.currency,
        "items": [_serialize_exposure(key, exposure) for key, exposure in sorted(report.groups.items())],
        "total": _serialize_exposure(None, report.total),
        "rates": list(map(serialize_rate, report.rates)),
        "unconverted": report.missing_currencies,
    }


def serialize_days(report: DayReport) -> list[dict[str, Any]]:
    """Return the days as `DayStatsOut` describes them, the latest first."""
    return [
        {
            "date": key.day.isoformat(),
            "portfolio_name": key.portfolio,
            "currency": key.currency,
            "trades": totals.trades,
            "wins": totals.wins,
            "losses": totals.losses,
            **format_money_fields(totals, ("volume", "realized_pnl", "charges", "net_pnl", "max_drawdown")),
            "converted": _convert_day(totals, report.base_currency, report.rates.get(key.currency)),
        }
        for key, totals in sorted(
            report.days.items(), key=lambda item: (-item[0].day.toordinal(), item[0].portfolio)
        )
    ]


def _convert_day(totals: ProfitTotals, base: str, rate: UsedRate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    net_pnl = format_money(multiply(totals.net_pnl, rate.rate))
    return {"currency": base, "net_pnl": net_pnl} | {
        name: value for name, value in serialize_rate(rate).items() if name != "currency"
    }


def _serialize_group(group: GroupResult) -> dict[str, Any]:
    totals = group.totals
    return {
        "key": group.key.name,
        "currency": group.key.currency,
        "trades": totals.trades,
        **format_money_fields(totals, ("realized_pnl", "charges")),
        "unrealized_pnl": format_optional_money(group.unrealized_pnl),
        **format_money_fields(group, ("gross_pnl", "net_pnl")),
    }


def _serialize_total(total: ConvertedTotal) -> dict[str, Any]:
    return {
        "currency": total.currency,
        **format_money_fields(total, ("realized_pnl", "charges", "net_pnl")),
        "unrealized_pnl": format_optional_money(total.unrealized_pnl),
        "rates": list(map(serialize_rate, total.rates)),
    }


def serialize_rate(used_rate: UsedRate) -> dict[str, Any]:
    """Return the rate as `UsedRateOut` describes it."""
    return {
        "currency": used_rate.currency,
        "rate": format_money(used_rate.rate),
        "age_seconds": used_rate.age_seconds,
    }


def _serialize_exposure(key: str | None, exposure: ExposureSums) -> dict[str, Any]:
    names = ("long_value", "short_value", "gross_exposure", "net_exposure")
    return {"key": key, "positions": exposure.positions, **format_money_fields(exposure, names)}
