"""Routes of equity curves and statistics."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Connection

from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller
from app.identity.rules.access import Caller
from app.ledger.errors import NoSuchPortfolio
from app.ledger.routes.portfolios import MAX_NAME_LENGTH, parse_portfolio_name
from app.performance.dependencies import PerformanceDep
from app.performance.schemas import (
    CurveOut,
    HistoryQuery,
    PerformanceOut,
    PerformanceQuery,
    serialize_risks,
    serialize_statistics,
    serialize_trips,
)
from app.performance.service.point_texts import PointTexts
from app.text import name_key

router = APIRouter(prefix="/portfolio/{name}", tags=["portfolios"])

_TEXTS = PointTexts()
PortfolioNamePath = Annotated[str, Path(json_schema_extra={"maxLength": MAX_NAME_LENGTH})]


@router.get(
    "/history", summary="Get the equity curve of a portfolio", **document_responses(200, CurveOut, 404)
)
async def get_history(
    caller: ReadBooksCaller, name: PortfolioNamePath, query: Annotated[HistoryQuery, Query()],
    performance: PerformanceDep, readers: ReadersDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Get the equity through time with its drawdown, in time order. The last point is now."""
    at, portfolio = now(), parse_portfolio_name(name)
    interval = query.interval or query.period.interval

    def read(connection: Connection) -> dict[str, Any]:
        curve = performance.read_curve(connection, caller.tenant_id, portfolio, query.period, interval, at)
        return {
            "portfolio_name": curve.portfolio.name,
            "base_currency": curve.portfolio.base_currency,
            "period": query.period,
            "interval": interval,
            "points": _TEXTS.serialize((caller.tenant_id, portfolio, query.period, interval), curve.points),
        }

    history = await readers.run(read, caller.tenant_id)  # serialized off the event loop, as it may be long
    _require_visible(caller, portfolio)
    return build_json_response(history)


@router.get(
    "/performance",
    summary="Get the performance of a portfolio",
    **document_responses(200, PerformanceOut, 404),
)
async def get_performance(
    caller: ReadBooksCaller, name: PortfolioNamePath, query: Annotated[PerformanceQuery, Query()],
    performance: PerformanceDep, readers: ReadersDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Get returns, risk and the statistics of round trips over a period."""
    at, portfolio = now(), parse_portfolio_name(name)
    report = await readers.read(
        caller.tenant_id, performance.read_report, portfolio, query.since, query.until, at
    )
    _require_visible(caller, portfolio)
    return build_json_response(
        {
            "portfolio_name": report.portfolio.name,
            "base_currency": report.portfolio.base_currency,
            **serialize_statistics(report.statistics),
            **serialize_trips(report.trips),
            **serialize_risks(report.risks),
        }
    )


def _require_visible(caller: Caller, portfolio: str) -> None:
    """Raise NoSuchPortfolio. It is called after the read, which takes as long as for a visible portfolio."""
    if not caller.can_see(name_key(portfolio)):
        raise NoSuchPortfolio(portfolio)
