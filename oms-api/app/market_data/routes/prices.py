"""Routes of quotes, bars and marks."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from app.audit.service import AuditEntry, record_entries
from app.clock import EPOCH
from app.identity.dependencies import Reader, require_permission
from app.identity.rules.access import Caller, Operation
from app.instruments.schemas import Symbol
from app.market_data.dependencies import MarketDep, PublisherDep
from app.market_data.queries.marks import list_overrides
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import MarkOverride
from app.market_data.schemas import (
    BarOut,
    MarkIn,
    MarkOut,
    QuoteIn,
    QuoteOut,
    serialize_bar,
    serialize_quote,
)
from app.market_data.service.marks import REMOVED, SET, remove_mark, serialize_mark, set_mark
from app.timestamps import format_timestamp
from app.wire.app_state import get_request_info
from app.wire.body import documented_body, json_body
from app.wire.dependencies import ChangesDep, ClockDep, CursorsDep, ReadersDep
from app.wire.lists import Cursor, Limit, Period, QueryTime, build_link_header
from app.wire.pages import DEFAULT_LIMIT
from app.wire.responses import NEXT_HEADER, build_json_response, document_responses

Quoter = Annotated[Caller, Depends(require_permission(Operation.GIVE_QUOTE))]

router = APIRouter(tags=["market data"])

EXAMPLE: dict[str, Any] = {"bid": "99", "ask": "101", "last": "100", "bid_size": None, "ask_size": None}


MARK_EXAMPLE: dict[str, Any] = {
    "price": "95.00",
    "reason": "Halted since noon",
    "expires_at": "2036-12-31T21:00:00Z",
}
_MARKS = "marks"


class MarkQuery(BaseModel):
    """Cursor of the list of marks."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class BarQuery(Period):
    """Filters and cursor of the list of bars."""

    model_config = ConfigDict(extra="forbid")

    interval: Interval = Interval.MINUTE
    since: QueryTime | None = Field(
        None, alias="from", description="Bars that begin at or after this instant"
    )
    until: QueryTime | None = Field(None, alias="to", description="Bars that begin before this instant")
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get(
    "/quotes/{symbol:path}",
    summary="Get the latest quote",
    responses=document_responses(200, {"model": QuoteOut}, 404),
)
async def get_quote(
    caller: Reader, symbol: Annotated[Symbol, Path()], market: MarketDep, now: ClockDep
) -> Response:
    """Get the latest quote: the one that was published, or else that of the price source."""
    moment = now()
    return build_json_response(
        serialize_quote(await market.get_quote(caller.tenant_id, symbol, moment), now())
    )


@router.put(
    "/quotes/{symbol:path}",
    summary="Publish a quote",
    responses=document_responses(200, {"model": QuoteOut}, 404, 413, 415),
    openapi_extra=documented_body(QuoteIn, EXAMPLE),
)
async def put_quote(
    caller: Quoter, symbol: Annotated[Symbol, Path()],
    body: Annotated[QuoteIn, Depends(json_body(QuoteIn))], publish: PublisherDep, market: MarketDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Set a quote.

    The quote is valid until the next one. Orders that match it are filled before the response is sent.
    """
    quote = body.to_quote(await market.resolve_symbol(caller.tenant_id, symbol), now())
    await publish(caller.tenant_id, quote)
    return build_json_response(serialize_quote(quote, now()))


@router.get(
    "/bars/{symbol:path}",
    summary="List price bars",
    responses=document_responses(200, {"model": list[BarOut]}, 404, headers=NEXT_HEADER),
)
async def list_bars(
    caller: Reader, symbol: Annotated[Symbol, Path()], query: Annotated[BarQuery, Query()],
    market: MarketDep, cursors: CursorsDep, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """List bars, newest first.

    The newest bar may still change. Bars of published quotes are built when the quotes arrive. Bars of
    simulated prices exist for any time.
    """
    tenant_id = caller.tenant_id
    symbol = await market.resolve_symbol(tenant_id, symbol)
    listed = f"bars {query.interval} {symbol}"
    end = min(query.until or now(), now())
    if query.cursor:
        end = min(end, datetime.fromisoformat(cursors.read(tenant_id, listed, query.cursor)))
    start = max(query.since or EPOCH, EPOCH)
    bars = await market.list_bars(tenant_id, symbol, query.interval, start, end, query.limit + 1)
    page = bars[-query.limit :]
    cursor = (
        cursors.make(tenant_id, listed, format_timestamp(page[0].start)) if len(bars) > query.limit else None
    )
    return build_json_response(
        [serialize_bar(bar) for bar in reversed(page)], headers=build_link_header(request, cursor)
    )


@router.get(
    "/marks",
    summary="List manual marks",
    responses=document_responses(200, {"model": list[MarkOut]}, headers=NEXT_HEADER),
)
async def list_marks(
    caller: Reader, query: Annotated[MarkQuery, Query()], readers: ReadersDep, cursors: CursorsDep,
    now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """List the marks that people set and that replace the market's price at present, by symbol."""
    tenant_id, at = caller.tenant_id, now()
    after = cursors.read(tenant_id, _MARKS, query.cursor) if query.cursor else None
    mark_overrides = await readers.run(
        lambda connection: list_overrides(connection, tenant_id, at, query.limit + 1, after), tenant_id
    )
    page = mark_overrides[: query.limit]
    cursor = cursors.make(tenant_id, _MARKS, page[-1].symbol) if len(mark_overrides) > query.limit else None
    return build_json_response(list(map(serialize_mark, page)), headers=build_link_header(request, cursor))


@router.put(
    "/marks/{symbol:path}",
    summary="Set a mark",
    responses=document_responses(200, {"model": MarkOut}, 404, 413, 415),
    openapi_extra=documented_body(MarkIn, MARK_EXAMPLE),
)
async def put_mark(
    caller: Quoter, symbol: Annotated[Symbol, Path()],
    body: Annotated[MarkIn, Depends(json_body(MarkIn))], changes: ChangesDep, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """Value positions in a symbol at this price, instead of the market's, until it expires.

    The mark is used for positions, equity, exposure and risk checks. Orders still match against quotes, and
    the price collar uses quotes. The audit log records who set the mark and why.
    """
    tenant_id, at = caller.tenant_id, now()
    override = body.override(symbol, caller.actor, at)
    request_info = get_request_info(request)

    def write(connection: Connection) -> MarkOverride:
        previous, updated = set_mark(connection, tenant_id, override)
        who = (
            tenant_id,
            at,
            caller.actor,
            caller.name,
            SET,
            updated.symbol,
            request_info.address,
            request_info.request_id,
        )
        fields = (None if previous is None else serialize_mark(previous), serialize_mark(updated))
        record_entries(connection, [AuditEntry(*who, *fields)])
        return updated

    return build_json_response(serialize_mark(await changes.run(write, tenant_id)))


@router.delete(
    "/marks/{symbol:path}",
    summary="Revoke a mark",
    status_code=204,
    responses=document_responses(204, {"description": "Deleted: the market's price is used again"}, 404),
)
async def delete_mark(
    caller: Quoter, symbol: Annotated[Symbol, Path()], changes: ChangesDep, now: ClockDep, request: Request
) -> Response:
    """Value positions in a symbol at the market's price again."""
    tenant_id, at = caller.tenant_id, now()
    request_info = get_request_info(request)

    def write(connection: Connection) -> None:
        removed = remove_mark(connection, tenant_id, symbol, at)
        who = (tenant_id, at, caller.actor, caller.name, REMOVED, removed.symbol)
        record_entries(
            connection,
            [AuditEntry(*who, request_info.address, request_info.request_id, serialize_mark(removed))],
        )

    await changes.run(write, tenant_id)
    return Response(status_code=204)
