"""Routes of other systems' trading API: orders, positions and the portfolio."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import document_responses
from app.identity.dependencies.authentication import ReadBooksCaller
from app.ledger.dependencies import CashReaderDep, ValuerDep
from app.ledger.routes.marked_positions import HeldPositionOut
from app.ledger.routes.portfolios import MomentQuery, get_portfolio
from app.ledger.routes.positions import list_positions
from app.ledger.schemas import PortfolioOut
from app.orders.routes.order_queries import list_orders
from app.orders.schemas.responses import OrderOut
from app.signals.dependencies import SignalPlannerDep
from app.signals.errors import build_field_error
from app.signals.schemas.signals import TradingPortfolioQuery

router = APIRouter(prefix="/trading", tags=["signals"])

router.get("/orders", summary="List orders (alias)", **document_responses(200, list[OrderOut]))(list_orders)
router.get("/positions", summary="List positions (alias)", **document_responses(200, list[HeldPositionOut]))(
    list_positions
)


@router.get(
    "/portfolio", summary="Get a snapshot of a portfolio", **document_responses(200, PortfolioOut, 404)
)
async def get_trading_portfolio(
    caller: ReadBooksCaller, query: Annotated[TradingPortfolioQuery, Query()], readers: ReadersDep,
    valuer: ValuerDep, now: ClockDep, cash_reader: CashReaderDep, planner: SignalPlannerDep,
) -> Response:  # fmt: skip
    """Get the cash, equity, P&L and positions of a portfolio: the same as `GET /portfolio/{name}`."""
    name = query.portfolio or await readers.read(caller.tenant_id, planner.find_default_portfolio)
    if name is None:
        raise build_field_error("portfolio", "Send the name of a portfolio.", "missing")
    return await get_portfolio(caller, name, readers, MomentQuery(), valuer, now, cash_reader)
