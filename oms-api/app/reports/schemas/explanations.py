"""The response body of an explained P&L, and its query."""

from typing import Any

from pydantic import BaseModel, Field

from app.calendars.schemas import LocalDate
from app.http.fields import SearchText
from app.http.request_models import RequestModel
from app.identity.rules.access import Caller
from app.reports.queries import ReportFilter
from app.reports.rules.explanation import ExplainedDay, Explanation, ExplanationReport
from app.reports.schemas.amounts import format_money_fields
from app.reports.schemas.responses import UsedRateOut, serialize_rate
from app.text import name_key
from app.timestamps import format_optional_timestamp, format_timestamp

_AT = "2026-11-20T21:00:00.000000Z"
_PARTS = ("price", "currency", "carry", "interest", "borrow", "dividends", "fees", "adjustments")


class ExplanationQuery(RequestModel):
    """The portfolio and the day of an explained P&L."""

    portfolio: SearchText | None = Field(
        None, description="Name of a portfolio; letter case does not matter; null: all"
    )
    day: LocalDate | None = Field(
        None, alias="date", description="A P&L day that has ended; null: the current one"
    )

    def filter(self, caller: Caller) -> ReportFilter:
        """Return the filter, limited to the portfolios that the caller may see."""
        key = None if self.portfolio is None else name_key(self.portfolio.strip())
        return ReportFilter(key, portfolios=caller.portfolios)


class ExplanationPartsOut(BaseModel):
    """The parts of a P&L, each with its sign. They add up to `day_pnl`."""

    price: str = Field(description="Due to prices", examples=["150.00"])
    currency: str = Field(description="Part due to exchange rates", examples=["-3.50"])
    carry: str = Field(description="Interest, borrow fees and dividends", examples=["1.25"])
    interest: str = Field(description="Interest on cash, negative if it was paid", examples=["-0.75"])
    borrow: str = Field(description="Borrow fees of short positions, zero or negative", examples=["0.00"])
    dividends: str = Field(description="Dividends less withholding tax", examples=["2.00"])
    fees: str = Field(description="Charges of trades, negative", examples=["-4.00"])
    adjustments: str = Field(
        description="Other cash movements, which are neither deposits nor withdrawals", examples=["0.00"]
    )
    day_pnl: str = Field(description="The P&L: all parts together", examples=["143.75"])


class ExplainedDayOut(ExplanationPartsOut):
    """The parts of the P&L of a portfolio, in its currency."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Tech Portfolio"])
    base_currency: str = Field(description="ISO 4217 code of its amounts", examples=["USD"])
    start: str | None = Field(
        alias="from", description="Close at which the period starts; null: the opening", examples=[_AT]
    )
    end: str = Field(alias="to", description="Close at which it ended, or now", examples=[_AT])


class ExplanationTotalOut(ExplanationPartsOut):
    """All portfolios together in the tenant's currency, at current rates."""

    base_currency: str = Field(description="ISO 4217 code of the tenant's currency", examples=["USD"])
    rates: list[UsedRateOut] = Field(description="Rates that were used, one for each other currency")


class ExplanationOut(BaseModel):
    """The P&L of a day by portfolio and by cause."""

    items: list[ExplainedDayOut] = Field(description="The portfolios, by name")
    total: ExplanationTotalOut | None = Field(description="Null if a currency has no rate to the tenant's")


def serialize_explanation(report: ExplanationReport) -> dict[str, Any]:
    """Return the report as `ExplanationOut` describes it."""
    total = None
    if report.total is not None:
        rates = list(map(serialize_rate, report.rates))
        total = {"base_currency": report.currency, **serialize_parts(report.total), "rates": rates}
    return {"items": list(map(_serialize_day, report.days)), "total": total}


def serialize_parts(parts: Explanation) -> dict[str, str]:
    """Return the parts as `ExplanationPartsOut` describes them."""
    return {**format_money_fields(parts, _PARTS), "day_pnl": format_money_fields(parts, ("total",))["total"]}


def _serialize_day(day: ExplainedDay) -> dict[str, Any]:
    return {
        "portfolio_name": day.portfolio_name,
        "base_currency": day.currency,
        "from": format_optional_timestamp(day.start),
        "to": format_timestamp(day.end),
        **serialize_parts(day.parts),
    }
