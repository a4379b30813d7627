"""Routes that list trades and get one."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from app.http.dependencies import ReadersDep
from app.http.fields import SearchText, Side
from app.http.list_pages import PagesDep
from app.http.lists import Count, Cursor, PageLimit, Period, QueryTime
from app.http.pages import DEFAULT_LIMIT, MAX_SKIPPED_ROWS
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller
from app.identity.rules.access import Caller
from app.instruments.queries import load_symbol
from app.instruments.schemas import Symbol
from app.ledger.queries import trades as queries
from app.ledger.queries.trades import ListedTrade, TradeFilter
from app.ledger.schemas import TradeOut, serialize_trade
from app.ledger.service.portfolio_statements import load_trade
from app.text import name_key

router = APIRouter()
# Names of lists in cursors. Within a portfolio, trades are sorted by sequence.
_LIST_BY_TRADE_ID = "trades"
_LIST_BY_SEQUENCE = "trades of a portfolio"


class TradeQuery(Period):
    """Filters of the list of trades, and its page."""

    limit: PageLimit = DEFAULT_LIMIT
    skip: Annotated[
        Count,
        Field(
            ge=0,
            le=MAX_SKIPPED_ROWS,
            description="Number of items to skip; use `cursor` for pages far from the first",
        ),
    ] = 0
    cursor: Cursor | None = None
    symbol: Symbol | None = None
    portfolio: SearchText | None = None
    side: Side | None = None
    user: SearchText | None = None
    actor: SearchText | None = Field(
        None, description="The person who acted: all trades of that person, including fills of orders"
    )
    since: QueryTime | None = Field(None, alias="from", description="Recorded at or after this instant")
    until: QueryTime | None = Field(None, alias="to", description="Recorded before this instant")
    idempotency_key: SearchText | None = None

    def filter(self, caller: Caller) -> TradeFilter:
        """Return the filter without the page, limited to the portfolios that the caller may see."""
        return TradeFilter(
            portfolios=caller.portfolios,
            symbol=self.symbol,
            portfolio_name_key=None if self.portfolio is None else name_key(self.portfolio.strip()),
            side=self.side,
            user_id=self.user,
            actor=self.actor,
            since=self.since,
            until=self.until,
            idempotency_key=self.idempotency_key,
        )


@router.get("/trades", summary="List trades", tags=["trades"], **document_responses(200, list[TradeOut]))
async def list_trades(
    caller: ReadBooksCaller, query: Annotated[TradeQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List trades, newest first."""
    tenant_id, filters = caller.tenant_id, query.filter(caller)
    list_name = _LIST_BY_SEQUENCE if query.portfolio is not None else _LIST_BY_TRADE_ID
    page = pages.open(tenant_id, list_name, query)

    def read(connection: Connection) -> list[ListedTrade]:
        resolved = filters
        if filters.symbol is not None:
            resolved = replace(filters, symbol=load_symbol(connection, tenant_id, filters.symbol))
        return queries.list_trades(connection, tenant_id, resolved, page.count, query.skip, page.start)

    listed_trades = await readers.run(read, tenant_id)
    return page.build_response(
        listed_trades, _serialize_trade, lambda last: queries.get_cursor_position(last, filters)
    )


@router.get(
    "/trades/{trade_id}", summary="Get a trade", tags=["trades"], **document_responses(200, TradeOut, 404)
)
async def get_trade(
    caller: ReadBooksCaller, trade_id: Annotated[SearchText, Path()], readers: ReadersDep
) -> Response:
    """Get one trade."""
    listed_trade = await readers.read(caller.tenant_id, load_trade, trade_id, caller.portfolios)
    return build_json_response(_serialize_trade(listed_trade))


def _serialize_trade(trade: ListedTrade) -> dict[str, Any]:
    return serialize_trade(trade.row, trade.portfolio_name, trade.reversed_by)
