"""Query parameters of reports."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

from app.http.fields import SearchText, to_lower_case
from app.http.lists import Count, PageLimit, Period, QueryTime
from app.http.pages import DEFAULT_LIMIT, MAX_SKIPPED_ROWS
from app.http.request_models import RequestModel
from app.identity.rules.access import Caller
from app.instruments.schemas import Symbol
from app.reports.queries import ReportFilter
from app.reports.rules.exposure import ExposureGrouping
from app.reports.rules.profit import Grouping
from app.text import name_key


class ReportQuery(Period):
    """Filters of a report."""

    portfolio: SearchText | None = Field(
        None, description="Name of a portfolio; letter case does not matter; null: all"
    )
    symbol: Symbol | None = Field(None, description="Symbol or alias of an instrument; null: all")
    since: QueryTime | None = Field(None, alias="from", description="Booked at or after this instant")
    until: QueryTime | None = Field(None, alias="to", description="Booked before this instant")

    def filter(self, caller: Caller, since: datetime | None = None) -> ReportFilter:
        """Return the filter, limited to what the caller may see. `since` replaces the start if given."""
        key = None if self.portfolio is None else name_key(self.portfolio.strip())
        return ReportFilter(key, self.symbol, since or self.since, self.until, caller.portfolios)


class ProfitQuery(ReportQuery):
    """The period and the grouping of a P&L report."""

    by: Annotated[Grouping, BeforeValidator(to_lower_case)] = Field(
        Grouping.PORTFOLIO, description="Grouping of the P&L"
    )


class ExposureQuery(RequestModel):
    """The positions and the grouping of an exposure report."""

    portfolio: SearchText | None = Field(
        None, description="Name of a portfolio; letter case does not matter; null: all"
    )
    symbol: Symbol | None = Field(None, description="Symbol or alias of an instrument; null: all")
    by: Annotated[ExposureGrouping, BeforeValidator(to_lower_case)] = Field(
        ExposureGrouping.PORTFOLIO, description="Grouping of the exposure"
    )

    def filter(self, caller: Caller) -> ReportFilter:
        """Return the filter, limited to what the caller may see."""
        key = None if self.portfolio is None else name_key(self.portfolio.strip())
        return ReportFilter(key, self.symbol, portfolios=caller.portfolios)


class TodayQuery(RequestModel):
    """The portfolio of today's P&L."""

    portfolio: SearchText | None = Field(
        None, description="Name of a portfolio; letter case does not matter; null: all"
    )


class RoundTripQuery(ReportQuery):
    """Filters of round trips, and the page. `from` and `to` limit when they closed."""

    limit: PageLimit = Field(DEFAULT_LIMIT, description="Maximum number of round trips")
    skip: Annotated[
        Count,
        Field(ge=0, le=MAX_SKIPPED_ROWS, description="Number of round trips to skip, from the latest on"),
    ] = 0


class LotQuery(RequestModel):
    """Filters of lots."""

    portfolio: SearchText = Field(description="Name of a portfolio; letter case does not matter")
    symbol: Symbol | None = Field(None, description="Symbol or alias of an instrument; null: all")
