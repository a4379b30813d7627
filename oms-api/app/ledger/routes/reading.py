"""Trades and portfolios, read."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.errors import FieldError, Invalid
from app.identity.dependencies import Reader
from app.ledger.dependencies import TheCursors, TheReaders
from app.ledger.queries import reading as queries
from app.ledger.queries.reading import Book, ListedTrade, TradeFilter
from app.ledger.rules.tickets import name_key
from app.ledger.schemas import PortfolioOut, SummaryOut, Symbol, TradeOut, Wanted, position_out, trade_out
from app.ledger.service import reading
from app.ledger.service.reading import AsOf, Statement
from app.money import fixed, money_text
from app.wire.answers import NEXT_HEADER, answer, responses
from app.wire.pages import DEFAULT_LIMIT, MOST_LIMIT, MOST_SKIP

router = APIRouter()

_SEQUENCE = re.compile(r"[0-9]{1,15}", re.ASCII)
# The lists that a cursor goes on with; within a portfolio, trades are listed by sequence.
_BY_TRADE_ID, _BY_SEQUENCE, _PORTFOLIOS = "trades", "trades of a portfolio", "portfolios"

Limit = Annotated[int, Field(ge=1, le=MOST_LIMIT)]
Cursor = Annotated[str, Field(max_length=2000, description="From the `Link` header of the page before")]


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign in a query reads as a blank
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an instant with its offset, such as 2026-11-20T16:00:00Z")


When = Annotated[datetime, BeforeValidator(_instant)]


class TradeQuery(BaseModel):
    """Which trades, and where the page begins."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    skip: Annotated[
        int, Field(ge=0, le=MOST_SKIP, description="For shallow pages; further on use `cursor`")
    ] = 0
    cursor: Cursor | None = None
    symbol: Symbol | None = None
    portfolio: Wanted | None = None
    side: Literal["BUY", "SELL"] | None = None
    user: Wanted | None = None
    since: When | None = Field(None, alias="from", description="Recorded at this instant or later")
    until: When | None = Field(None, alias="to", description="Recorded before this instant")
    idempotency_key: Wanted | None = None

    def filter(self) -> TradeFilter:
        """Return the conditions, without the page."""
        return TradeFilter(
            symbol=self.symbol,
            portfolio_key=None if self.portfolio is None else name_key(self.portfolio.strip()),
            side=self.side,
            user_id=self.user,
            since=self.since,
            until=self.until,
            idempotency_key=self.idempotency_key,
        )


class PortfolioQuery(BaseModel):
    """Which portfolios, how much of each, and where the page begins."""

    model_config = ConfigDict(extra="forbid")

    q: Wanted | None = Field(None, description="A part of the name, in any case")
    detail: bool = False
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get(
    "/trades",
    tags=["trades"],
    responses=responses(200, {"model": list[TradeOut]}, headers=NEXT_HEADER),
)
async def list_trades(
    caller: Reader,
    query: Annotated[TradeQuery, Query()],
    readers: TheReaders,
    cursors: TheCursors,
    request: Request,
) -> Response:
    """Trades, newest first."""
    tenant_id, wanted = caller.tenant_id, query.filter()
    listed = _BY_SEQUENCE if query.portfolio is not None else _BY_TRADE_ID
    after = cursors.read(tenant_id, listed, query.cursor) if query.cursor else None
    found = await readers.run(
        lambda connection: queries.list_trades(
            connection, tenant_id, wanted, query.limit + 1, query.skip, after
        )
    )
    page = found[: query.limit]
    position = queries.position_of(page[-1], wanted) if len(found) > query.limit else None
    cursor = cursors.make(tenant_id, listed, position) if position is not None else None
    return answer(list(map(_listed, page)), headers=_link(request, cursor))


@router.get("/trades/{trade_id}", tags=["trades"], responses=responses(200, {"model": TradeOut}, 404))
async def get_trade(caller: Reader, trade_id: Annotated[Wanted, Path()], readers: TheReaders) -> Response:
    """One trade."""
    return answer(
        _listed(await readers.run(lambda connection: reading.trade(connection, caller.tenant_id, trade_id)))
    )


@router.get("/portfolio/{name}", tags=["portfolios"], responses=responses(200, {"model": PortfolioOut}, 404))
async def get_portfolio(
    caller: Reader,
    name: Annotated[Wanted, Path()],
    readers: TheReaders,
    as_of: Annotated[
        str | None,
        Query(max_length=40, description="An instant (RFC 3339, with offset) or a sequence number"),
    ] = None,
) -> Response:
    """A portfolio with its positions, now or exactly as it stood."""
    moment = _as_of(as_of)
    found = await readers.run(
        lambda connection: reading.statement(connection, caller.tenant_id, name.strip(), moment)
    )
    return answer(_statement(found))


@router.get(
    "/portfolios",
    tags=["portfolios"],
    responses=responses(200, {"model": list[str] | list[SummaryOut]}, headers=NEXT_HEADER),
)
async def list_portfolios(
    caller: Reader, query: Annotated[PortfolioQuery, Query()], readers: TheReaders, cursors: TheCursors,
    request: Request,
) -> Response:  # fmt: skip
    """Names of portfolios, or with `detail=true` a summary of each, in alphabetical order."""
    tenant_id, part = caller.tenant_id, name_key(query.q.strip()) if query.q else None
    after = cursors.read(tenant_id, _PORTFOLIOS, query.cursor) if query.cursor else None
    found = await readers.run(
        lambda connection: queries.list_books(connection, tenant_id, part, query.limit + 1, after)
    )
    page = found[: query.limit]
    more = len(found) > query.limit
    cursor = cursors.make(tenant_id, _PORTFOLIOS, name_key(page[-1].name)) if more else None
    content = [_summary(book) if query.detail else book.name for book in page]
    return answer(content, headers=_link(request, cursor))


def _listed(trade: ListedTrade) -> dict[str, Any]:
    return trade_out(trade.row, trade.portfolio_name, trade.reversed_by)


def _summary(book: Book) -> dict[str, Any]:
    return {
        "portfolio_name": book.name,
        "base_currency": book.base_currency,
        "total_trades": book.total_trades,
        "total_buys": book.total_buys,
        "total_sells": book.total_trades - book.total_buys,
        "realized_pnl": money_text(fixed(book.realized_pnl)),
        "cash": money_text(fixed(book.cash)),
        "last_sequence": book.last_sequence,
    }


def _statement(statement: Statement) -> dict[str, Any]:
    positions = {
        _position_name(held.symbol, held.product): position_out(
            fixed(held.quantity), fixed(held.cost), fixed(held.realized_pnl)
        )
        for held in statement.holdings
    }
    return {**_summary(statement.book), "positions": positions}


def _position_name(symbol: str, product: str) -> str:
    return f"{symbol} {product}" if product else symbol


def _as_of(text: str | None) -> AsOf | None:
    if text is None:
        return None
    if _SEQUENCE.fullmatch(text):
        return int(text)
    try:
        return _instant(text)
    except ValueError:
        message = "Give a sequence number, or an instant with its offset such as 2026-11-20T16:00:00Z."
        raise Invalid("as_of cannot be read.", [FieldError("as_of", message, "as_of")]) from None


def _link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the header that leads to the next page: the same question from `cursor` on."""
    if cursor is None:
        return {}
    kept = [
        (name, value) for name, value in request.query_params.multi_items() if name not in {"cursor", "skip"}
    ]
    query = urlencode([*kept, ("cursor", cursor)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
