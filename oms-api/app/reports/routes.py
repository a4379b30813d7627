"""Routes of reports on the ledger."""

from datetime import UTC, datetime, time
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies import Reader
from app.ledger.dependencies import ValuerDep
from app.market_data.dependencies import MarketDep
from app.reports.queries import ReportFilter
from app.reports.rules.explanation import ExplanationReport
from app.reports.rules.profit import Grouping
from app.reports.schemas.explanations import ExplanationOut, ExplanationQuery, serialize_explanation
from app.reports.schemas.positions import (
    LotsOut,
    RoundTripOut,
    serialize_closed_lot,
    serialize_open_lot,
    serialize_round_trip,
)
from app.reports.schemas.requests import (
    ExposureQuery,
    LotQuery,
    ProfitQuery,
    ReportQuery,
    RoundTripQuery,
    TodayQuery,
)
from app.reports.schemas.responses import (
    DayStatsOut,
    ExposureReportOut,
    ProfitReportOut,
    serialize_days,
    serialize_exposure,
    serialize_profit,
)
from app.reports.service import (
    build_day_report,
    build_exposure_report,
    build_profit_report,
    iterate_lots,
    read_round_trips,
)
from app.reports.service.explanations import ProfitExplainer
from app.text import name_key

router = APIRouter(tags=["reports"])


@router.get("/pnl", summary="Get profit and loss by group", **document_responses(200, ProfitReportOut))
async def get_profit(
    caller: Reader, query: Annotated[ProfitQuery, Query()], readers: ReadersDep, market: MarketDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Get the realized P&L and the charges of a period by portfolio, strategy, symbol, day or user.

    A row counts on the day on which it was booked. A reversal therefore changes the day of the reversal.
    """
    at, filters = now(), query.filter(caller)
    report = await readers.read(caller.tenant_id, build_profit_report, market, query.by, filters, at)
    return build_json_response(serialize_profit(query.by, filters, report))


@router.get(
    "/pnl/today", summary="Get profit and loss since 00:00 UTC", **document_responses(200, ProfitReportOut)
)
async def get_todays_profit(
    caller: Reader, query: Annotated[TodayQuery, Query()], readers: ReadersDep, market: MarketDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Get the P&L since 00:00 UTC by portfolio, with the unrealized P&L of the current positions."""
    at = now()
    start = datetime.combine(at.date(), time(tzinfo=UTC))
    key = None if query.portfolio is None else name_key(query.portfolio.strip())
    filters = ReportFilter(key, since=start, portfolios=caller.portfolios)
    report = await readers.read(
        caller.tenant_id, build_profit_report, market, Grouping.PORTFOLIO, filters, at
    )
    return build_json_response(serialize_profit(Grouping.PORTFOLIO, filters, report))


@router.get(
    "/pnl/explain",
    summary="Get the causes of the profit and loss of a day",
    **document_responses(200, ExplanationOut),
)
async def explain_profit(
    caller: Reader, query: Annotated[ExplanationQuery, Query()], readers: ReadersDep, market: MarketDep,
    valuer: ValuerDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Get the parts of each portfolio's day P&L that are due to prices, exchange rates, carry and fees.

    The parts add up to the day P&L exactly.
    """
    at, filters = now(), query.filter(caller)

    def read(connection: Connection) -> ExplanationReport:
        return ProfitExplainer(connection, market, valuer, caller.tenant_id, at).explain(filters, query.day)

    return build_json_response(serialize_explanation(await readers.run(read, caller.tenant_id)))


@router.get("/exposure", summary="Get the exposure by group", **document_responses(200, ExposureReportOut))
async def get_exposure(
    caller: Reader, query: Annotated[ExposureQuery, Query()], readers: ReadersDep, market: MarketDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Get long, short, gross and net exposure by portfolio, symbol, currency, asset class or sector."""
    at, filters = now(), query.filter(caller)
    report = await readers.read(caller.tenant_id, build_exposure_report, market, query.by, filters, at)
    return build_json_response(serialize_exposure(query.by, report))


@router.get("/daily-stats", summary="List daily statistics", **document_responses(200, list[DayStatsOut]))
async def list_daily_stats(
    caller: Reader, query: Annotated[ReportQuery, Query()], readers: ReadersDep, market: MarketDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """List trades, wins, losses, volume, charges and P&L of each portfolio and day, the latest day first."""
    at, filters = now(), query.filter(caller)
    report = await readers.read(caller.tenant_id, build_day_report, market, filters, at)
    return build_json_response(serialize_days(report))


@router.get("/round-trips", summary="List round trips", **document_responses(200, list[RoundTripOut]))
async def list_round_trips(
    caller: Reader, query: Annotated[RoundTripQuery, Query()], readers: ReadersDep
) -> Response:
    """List round trips: positions that were opened and closed, the latest first."""
    filters = query.filter(caller)
    trips = await readers.read(caller.tenant_id, read_round_trips, filters, query.limit, query.skip)
    return build_json_response(list(map(serialize_round_trip, trips)))


@router.get("/lots", summary="List tax lots", **document_responses(200, LotsOut))
async def list_lots(caller: Reader, query: Annotated[LotQuery, Query()], readers: ReadersDep) -> Response:
    """List the open and closed lots of a portfolio by first in, first out."""
    filters = ReportFilter(name_key(query.portfolio.strip()), query.symbol, portfolios=caller.portfolios)
    lot_reports = await readers.run(
        lambda connection: list(iterate_lots(connection, caller.tenant_id, filters)), caller.tenant_id
    )
    return build_json_response(
        {
            "open": [serialize_open_lot(lot) for lots in lot_reports for lot in lots.open],
            "closed": [serialize_closed_lot(lot) for lots in lot_reports for lot in lots.closed],
        }
    )
