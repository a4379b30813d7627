"""Routes of quotes and bars."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import ConfigDict, Field

from app.clock import EPOCH
from app.identity.dependencies import Reader, require_permission
from app.identity.rules.access import Caller, Operation
from app.instruments.schemas import Symbol
from app.market_data.dependencies import TheMarket, ThePublisher
from app.market_data.rules.bars import Interval
from app.market_data.schemas import BarOut, QuoteIn, QuoteOut, serialize_bar, serialize_quote
from app.timestamps import iso
from app.wire.answers import NEXT_HEADER, answer, responses
from app.wire.body import documented_body, json_body
from app.wire.dependencies import TheClock, TheCursors
from app.wire.lists import Cursor, Limit, Period, When, link
from app.wire.pages import DEFAULT_LIMIT

Quoter = Annotated[Caller, Depends(require_permission(Operation.GIVE_QUOTE))]

router = APIRouter(tags=["market data"])

EXAMPLE: dict[str, Any] = {"bid": "99", "ask": "101", "last": "100", "bid_size": None, "ask_size": None}


class BarQuery(Period):
    """Filters and cursor of the list of bars."""

    model_config = ConfigDict(extra="forbid")

    interval: Interval = Interval.MINUTE
    since: When | None = Field(None, alias="from", description="Bars that begin at this instant or later")
    until: When | None = Field(None, alias="to", description="Bars that begin before this instant")
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get(
    "/quotes/{symbol:path}",
    summary="Get the latest quote",
    responses=responses(200, {"model": QuoteOut}, 404),
)
async def get_quote(
    caller: Reader, symbol: Annotated[Symbol, Path()], market: TheMarket, now: TheClock
) -> Response:
    """Get the latest quote: the one that was set manually, or else that of the price source."""
    moment = now()
    return answer(serialize_quote(await market.quote(caller.tenant_id, symbol, moment), now()))


@router.put(
    "/quotes/{symbol:path}",
    summary="Publish a quote",
    responses=responses(200, {"model": QuoteOut}, 404, 413, 415),
    openapi_extra=documented_body(QuoteIn, EXAMPLE),
)
async def put_quote(
    caller: Quoter, symbol: Annotated[Symbol, Path()],
    body: Annotated[QuoteIn, Depends(json_body(QuoteIn))], publish: ThePublisher, market: TheMarket,
    now: TheClock,
) -> Response:  # fmt: skip
    """Set a quote.

    It stays in force until the next one. Orders that it matches are filled before the response.
    """
    quote = body.quote(await market.symbol(caller.tenant_id, symbol), now())
    await publish(caller.tenant_id, quote)
    return answer(serialize_quote(quote, now()))


@router.get(
    "/bars/{symbol:path}",
    summary="List price bars",
    responses=responses(200, {"model": list[BarOut]}, 404, headers=NEXT_HEADER),
)
async def list_bars(
    caller: Reader, symbol: Annotated[Symbol, Path()], query: Annotated[BarQuery, Query()],
    market: TheMarket, cursors: TheCursors, now: TheClock, request: Request,
) -> Response:  # fmt: skip
    """List bars, newest first.

    The newest may still change. For manual quotes, bars are built as quotes arrive; for simulated prices they
    exist for any time.
    """
    tenant_id = caller.tenant_id
    symbol = await market.symbol(tenant_id, symbol)
    listed = f"bars {query.interval} {symbol}"
    end = min(query.until or now(), now())
    if query.cursor:
        end = min(end, datetime.fromisoformat(cursors.read(tenant_id, listed, query.cursor)))
    start = max(query.since or EPOCH, EPOCH)
    found = await market.bars(tenant_id, symbol, query.interval, start, end, query.limit + 1)
    page = found[-query.limit :]
    cursor = cursors.make(tenant_id, listed, iso(page[0].start)) if len(found) > query.limit else None
    return answer([serialize_bar(bar) for bar in reversed(page)], headers=link(request, cursor))
