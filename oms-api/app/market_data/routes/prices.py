"""Routes of quotes, bars and marks."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Connection

from app.audit.service import record_entries
from app.clock import EPOCH
from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ClockDep, ReadersDep
from app.http.list_pages import PagesDep
from app.http.lists import Cursor, PageLimit, PageQuery, Period, QueryTime
from app.http.pages import DEFAULT_LIMIT
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.service.caller_entries import build_caller_entry
from app.instruments.schemas import Symbol
from app.market_data.dependencies import MarketDep, PublisherDep
from app.market_data.queries.mark_overrides import list_mark_overrides
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import MarkOverride
from app.market_data.schemas import BarOut, MarkIn, MarkOut, QuoteIn, QuoteOut, serialize_bar, serialize_quote
from app.market_data.service.mark_overrides import (
    REMOVED,
    SET,
    remove_mark_override,
    serialize_mark_override,
    set_mark_override,
)
from app.timestamps import format_timestamp

GiveQuoteCaller = Annotated[Caller, Depends(require_permission(Operation.GIVE_QUOTE))]

router = APIRouter(tags=["market data"])

EXAMPLE: dict[str, Any] = {"bid": "99", "ask": "101", "last": "100", "bid_size": None, "ask_size": None}


MARK_EXAMPLE: dict[str, Any] = {
    "price": "95.00",
    "reason": "Halted since noon",
    "expires_at": "2036-12-31T21:00:00Z",
}
_MARKS = "marks"


class BarQuery(Period):
    """Filters and cursor of the list of bars."""

    interval: Interval = Interval.MINUTE
    since: QueryTime | None = Field(
        None, alias="from", description="Bars that begin at or after this instant"
    )
    until: QueryTime | None = Field(None, alias="to", description="Bars that begin before this instant")
    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get("/quotes/{symbol:path}", summary="Get the latest quote", **document_responses(200, QuoteOut, 404))
async def get_quote(
    caller: ReadBooksCaller, symbol: Annotated[Symbol, Path()], market: MarketDep, now: ClockDep
) -> Response:
    """Get the latest quote: the one that was published, or else that of the price source."""
    requested_at = now()
    return build_json_response(
        serialize_quote(await market.get_quote(caller.tenant_id, symbol, requested_at), now())
    )


@router.put("/quotes/{symbol:path}", summary="Publish a quote", **document_responses(200, QuoteOut, 404))
async def put_quote(
    caller: GiveQuoteCaller, symbol: Annotated[Symbol, Path()],
    body: Annotated[QuoteIn, Depends(json_body(QuoteIn, EXAMPLE))], publish: PublisherDep, market: MarketDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Set a quote.

    The quote is valid until the next one. Orders that match it are filled before the response is sent.
    """
    quote = body.build_quote(await market.resolve_symbol(caller.tenant_id, symbol), now())
    await publish(caller.tenant_id, quote)
    return build_json_response(serialize_quote(quote, now()))


@router.get("/bars/{symbol:path}", summary="List price bars", **document_responses(200, list[BarOut], 404))
async def list_bars(
    caller: ReadBooksCaller, symbol: Annotated[Symbol, Path()], query: Annotated[BarQuery, Query()],
    market: MarketDep, pages: PagesDep, now: ClockDep,
) -> Response:  # fmt: skip
    """List bars, newest first.

    The newest bar may still change. Bars of published quotes are built when the quotes arrive. Bars of
    simulated prices exist for any time.
    """
    tenant_id = caller.tenant_id
    symbol = await market.resolve_symbol(tenant_id, symbol)
    list_name = f"bars {query.interval} {symbol}"
    end = min(query.until or now(), now())
    requested = pages.open(tenant_id, list_name, query)
    if requested.start is not None:
        end = min(end, datetime.fromisoformat(requested.start))
    start = max(query.since or EPOCH, EPOCH)
    bars = await market.list_bars(tenant_id, symbol, query.interval, start, end, requested.count)
    return requested.build_response(bars[::-1], serialize_bar, lambda last: format_timestamp(last.start))


@router.get("/marks", summary="List manual marks", **document_responses(200, list[MarkOut]))
async def list_marks(
    caller: ReadBooksCaller,
    query: Annotated[PageQuery, Query()],
    readers: ReadersDep,
    pages: PagesDep,
    now: ClockDep,
) -> Response:
    """List the marks that people set and that replace the market's price at present, by symbol."""
    tenant_id, at = caller.tenant_id, now()
    page = pages.open(tenant_id, _MARKS, query)
    mark_overrides = await readers.read(tenant_id, list_mark_overrides, at, page.count, page.start)
    return page.build_response(mark_overrides, serialize_mark_override, lambda last: last.symbol)


@router.put("/marks/{symbol:path}", summary="Set a mark", **document_responses(200, MarkOut, 404))
async def put_mark(
    caller: GiveQuoteCaller, symbol: Annotated[Symbol, Path()],
    body: Annotated[MarkIn, Depends(json_body(MarkIn, MARK_EXAMPLE))], changes: ChangesDep, now: ClockDep,
    request: Request,
) -> Response:  # fmt: skip
    """Value positions in a symbol at this price, instead of the market's, until it expires.

    The mark is used for positions, equity, exposure and risk checks. Orders still match against quotes, and
    the price collar uses quotes. The audit log records who set the mark and why.
    """
    tenant_id, at = caller.tenant_id, now()
    override = body.build_mark_override(symbol, caller.actor, at)
    request_info = get_request_info(request)

    def write(connection: Connection) -> MarkOverride:
        previous, updated = set_mark_override(connection, tenant_id, override)
        change = (
            SET,
            updated.symbol,
            previous and serialize_mark_override(previous),
            serialize_mark_override(updated),
        )
        record_entries(connection, [build_caller_entry(caller, request_info, at, *change)])
        return updated

    return build_json_response(serialize_mark_override(await changes.run(write, tenant_id)))


@router.delete(
    "/marks/{symbol:path}",
    summary="Revoke a mark",
    **document_responses(204, "Deleted: the market's price is used again", 404),
)
async def delete_mark(
    caller: GiveQuoteCaller,
    symbol: Annotated[Symbol, Path()],
    changes: ChangesDep,
    now: ClockDep,
    request: Request,
) -> Response:
    """Value positions in a symbol at the market's price again."""
    tenant_id, at = caller.tenant_id, now()
    request_info = get_request_info(request)

    def write(connection: Connection) -> None:
        removed = remove_mark_override(connection, tenant_id, symbol, at)
        change = (REMOVED, removed.symbol, serialize_mark_override(removed))
        record_entries(connection, [build_caller_entry(caller, request_info, at, *change)])

    await changes.run(write, tenant_id)
    return Response(status_code=204)
