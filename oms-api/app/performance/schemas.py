"""Queries and response bodies of performance."""

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from app.http.lists import Period, QueryTime
from app.http.request_models import RequestModel
from app.money import format_fixed, format_money, to_places
from app.performance.rules.curves import CurveInterval, CurvePeriod
from app.performance.rules.reports import Statistics
from app.performance.rules.trip_statistics import TripStatistics
from app.performance.rules.value_at_risk import TailRisk
from app.performance.rules.values import Drawdown

_SHARE = "as a share: 0.01 is 1%"
_UNDEFINED = "null if it is undefined"
_NET = "net of charges, in `base_currency`; null without such a round trip"


class HistoryQuery(RequestModel):
    """The period of the curve, and the distance of its points."""

    period: CurvePeriod = Field(CurvePeriod.MONTH, description="A month is 30 days, a year 365")
    interval: CurveInterval | None = Field(
        None,
        description="`1d` returns the closes; default: 1m for a day, 15m for a week, 1h for a month, else 1d",
    )


class PerformanceQuery(Period):
    """The period of the statistics."""

    since: QueryTime | None = Field(
        None, alias="from", description="Start at the last close before this instant; default: the opening"
    )
    until: QueryTime | None = Field(None, alias="to", description="The last instant; default: now")


class CurvePointOut(BaseModel):
    """The equity at an instant."""

    at: str = Field(examples=["2026-11-20T15:04:00.000000Z"], description="Time of the valuation, in UTC")
    equity: str = Field(examples=["1000500.00"], description="Equity in `base_currency`")
    drawdown: str | None = Field(
        examples=["0.01250000"],
        description="Loss since the peak of the period as a share of it: 0.01 is 1%. A withdrawal is not a "
        "loss. Null while the peak is not above zero",
    )


class CurveOut(BaseModel):
    """The equity of a portfolio through time. The last point is now."""

    portfolio_name: str = Field(examples=["Tech Portfolio"], description="Name of the portfolio")
    base_currency: str = Field(examples=["USD"], description="Currency of its amounts")
    period: CurvePeriod = Field(examples=["1M"], description="Period of the curve")
    interval: CurveInterval = Field(examples=["1h"], description="Interval between the points")
    points: list[CurvePointOut] = Field(
        examples=[[{"at": "2026-11-20T15:04:00.000000Z", "equity": "1000500.00", "drawdown": "0.00000000"}]],
        description="In time order",
    )


class DrawdownOut(BaseModel):
    """The largest loss from a peak."""

    share: str = Field(examples=["0.05000000"], description=f"Of the peak, {_SHARE}")
    peak_at: str = Field(examples=["2026-11-18T21:00:00.000000Z"], description="Time of the peak, in UTC")
    trough_at: str = Field(
        examples=["2026-11-19T21:00:00.000000Z"],
        description="Time of the lowest point after the peak, in UTC",
    )
    recovered_at: str | None = Field(
        examples=["2026-11-20T21:00:00.000000Z"],
        description="Time at which the peak was reached again, in UTC; null: not yet",
    )


class PerformanceOut(BaseModel):
    """Statistics of a period. Returns are time-weighted: deposits and withdrawals do not count.

    Ratios are annual, by daily returns from close to close, with a risk-free rate of 0.
    """

    portfolio_name: str = Field(examples=["Tech Portfolio"], description="Name of the portfolio")
    base_currency: str = Field(examples=["USD"], description="Currency of its amounts")
    start: str = Field(examples=["2026-01-02T21:00:00.000000Z"], description="Close at which it starts")
    end: str = Field(examples=["2026-11-20T15:04:05.123456Z"], description="Its last instant")
    days: int = Field(examples=[223], description="Days with a return")
    time_weighted_return: str | None = Field(
        examples=["0.03006623"], description=f"{_SHARE}; null if a part of it starts without equity"
    )
    cagr: str | None = Field(
        examples=["0.08250000"], description=f"Compound annual growth rate, {_SHARE}; null under a year"
    )
    volatility: str | None = Field(
        examples=["0.12500000"], description=f"Annual standard deviation, {_SHARE}; {_UNDEFINED}"
    )
    sharpe: str | None = Field(examples=["1.25000000"], description=f"Sharpe ratio; {_UNDEFINED}")
    sortino: str | None = Field(examples=["1.75000000"], description=f"Sortino ratio; {_UNDEFINED}")
    calmar: str | None = Field(
        examples=["1.65000000"],
        description="Growth rate divided by the maximum drawdown; null if one is null",
    )
    max_drawdown: DrawdownOut | None = Field(
        examples=[None], description="Maximum drawdown; null if the return never fell"
    )
    turnover: str | None = Field(examples=["2.50000000"], description="Traded value divided by mean equity")
    exposure: str | None = Field(
        examples=["0.75000000"], description="Mean gross exposure per equity at the closes; null without one"
    )
    charges: str = Field(examples=["125.00"], description="Paid in the period, in `base_currency`")
    round_trips: int | None = Field(
        examples=[12],
        description="Number of positions closed in the period; null, like all statistics of round "
        "trips, for portfolios with over 50,000 trades",
    )
    win_rate: str | None = Field(
        examples=["0.58333333"], description=f"Of the round trips, {_SHARE}; {_UNDEFINED}"
    )
    profit_factor: str | None = Field(
        examples=["1.80000000"], description="All wins per all losses; null without a loss"
    )
    expectancy: str | None = Field(examples=["42.00"], description=f"Mean of a round trip, {_NET}")
    average_win: str | None = Field(examples=["150.00"], description=f"Mean of the wins, {_NET}")
    average_loss: str | None = Field(examples=["-110.00"], description=f"Mean of the losses, {_NET}")
    value_at_risk_95: str | None = Field(
        examples=["12500.00"],
        description="Loss that the current positions exceed on 5% of the last 250 days, in "
        "`base_currency`; null for less than 100 days of prices",
    )
    expected_shortfall_95: str | None = Field(
        examples=["16000.00"], description="Mean of that loss and of all larger ones"
    )
    value_at_risk_99: str | None = Field(
        examples=["19500.00"],
        description="Loss that the current positions exceed on 1% of the last 250 days, in `base_currency`",
    )
    expected_shortfall_99: str | None = Field(
        examples=["22000.00"], description="Mean of that loss and of all larger ones"
    )


def serialize_statistics(statistics: Statistics) -> dict[str, Any]:
    """Return the statistics of equity as in `PerformanceOut`."""
    names = ("time_weighted_return", "cagr", "volatility", "sharpe", "sortino", "calmar")
    return {
        "start": statistics.start,
        "end": statistics.end,
        "days": statistics.days,
        **{name: _format_ratio(getattr(statistics, name)) for name in names},
        "max_drawdown": _serialize_drawdown(statistics.max_drawdown),
        "turnover": _format_ratio(statistics.turnover),
        "exposure": _format_ratio(statistics.exposure),
        "charges": format_money(statistics.charges),
    }


def serialize_trips(trip_statistics: TripStatistics | None) -> dict[str, Any]:
    """Return the statistics of round trips as in `PerformanceOut`."""
    if trip_statistics is None:
        return dict.fromkeys(TripStatistics._fields)
    return {
        "round_trips": trip_statistics.round_trips,
        "win_rate": _format_ratio(trip_statistics.win_rate),
        "profit_factor": _format_ratio(trip_statistics.profit_factor),
        "expectancy": _format_amount(trip_statistics.expectancy),
        "average_win": _format_amount(trip_statistics.average_win),
        "average_loss": _format_amount(trip_statistics.average_loss),
    }


def serialize_risks(risks: list[TailRisk | None]) -> dict[str, Any]:
    """Return the risks at 95% and 99% as in `PerformanceOut`."""
    return {
        f"{name}_{percent}": None if risk is None else _format_amount(getattr(risk, name))
        for percent, risk in zip((95, 99), risks, strict=True)
        for name in TailRisk._fields
    }


def _serialize_drawdown(drawdown: Drawdown | None) -> dict[str, str | None] | None:
    if drawdown is None:
        return None
    return {
        "share": _format_ratio(drawdown.share),
        "peak_at": drawdown.peak_at,
        "trough_at": drawdown.trough_at,
        "recovered_at": drawdown.recovered_at,
    }


def _format_ratio(ratio: Decimal | float | None) -> str | None:
    return None if ratio is None else format_fixed(to_places(Decimal(ratio)))


def _format_amount(amount: Decimal | None) -> str | None:
    return None if amount is None else format_money(to_places(amount))
