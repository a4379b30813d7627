"""Routes that read positions at their marks."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BeforeValidator, Field
from sqlalchemy import Connection
from starlette.convertors import PathConvertor, register_url_convertor

from app.http.dependencies import ClockDep, ReadersDep
from app.http.fields import SearchText, to_lower_case, to_upper_case
from app.http.list_pages import PagesDep
from app.http.lists import Cursor, PageLimit
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller
from app.identity.rules.access import Caller
from app.instruments.schemas import Symbol
from app.ledger.dependencies import ExitsDep
from app.ledger.queries.positions import PositionFilter
from app.ledger.routes.marked_positions import HeldPositionOut, serialize_marked_position
from app.ledger.rules.marks import MarkedPosition
from app.ledger.service.position_records import add_records
from app.ledger.service.positions import add_exit_prices, list_positions_at_marks, load_marked_position
from app.market_data.dependencies import MarketDep
from app.text import name_key

router = APIRouter(tags=["positions"])


class _PositionSymbolConvertor(PathConvertor):
    """Matches a symbol, which may have slashes, but not the path of the position's exits."""

    regex = "(?!.*/exits$).*"


register_url_convertor("position_symbol", _PositionSymbolConvertor())

_LISTED = "positions"
_SEPARATOR = "\n"  # between the parts of a cursor; no name, symbol or product contains it
PositionSide = Annotated[Literal["long", "short"], BeforeValidator(to_lower_case)]
ProductFilter = Annotated[str, BeforeValidator(to_upper_case), Field(max_length=8, pattern=r"^[A-Z0-9_-]*$")]


class PositionsQuery(RequestModel):
    """Filters of the list of positions, and its page."""

    portfolio: SearchText | None = None
    symbol: Symbol | None = None
    product: ProductFilter | None = None
    side: PositionSide | None = None
    include_closed: bool = Field(
        False, description="`true`: include closed positions, which keep their realized P&L"
    )
    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None

    def filter(self, caller: Caller) -> PositionFilter:
        """Return the filter without the page, limited to the portfolios that the caller may see."""
        portfolio_name_key = None if self.portfolio is None else name_key(self.portfolio.strip())
        values = (portfolio_name_key, self.symbol, self.product, self.side, self.include_closed)
        return PositionFilter(*values, caller.portfolios)


class ProductQuery(RequestModel):
    """The product of a position."""

    product: ProductFilter | None = None


@router.get("/positions", summary="List positions", **document_responses(200, list[HeldPositionOut]))
async def list_positions(
    caller: ReadBooksCaller, query: Annotated[PositionsQuery, Query()], readers: ReadersDep,
    market: MarketDep, pages: PagesDep, now: ClockDep, exits: ExitsDep,
) -> Response:  # fmt: skip
    """List the positions of all portfolios at their marks, by portfolio and symbol."""
    tenant_id, at, filters = caller.tenant_id, now(), query.filter(caller)
    page = pages.open(tenant_id, _LISTED, query)
    after = None if page.start is None else _parse_cursor(page.start)

    def read(connection: Connection) -> list[MarkedPosition]:
        marked = list_positions_at_marks(
            connection, market, tenant_id, filters=filters, now=at, limit=page.count, after=after
        )
        positions = add_records(connection, market, tenant_id, marked, at)
        return add_exit_prices(connection, tenant_id, positions, exits)

    marked_positions = await readers.run(read, tenant_id)
    return page.build_response(
        marked_positions, serialize_marked_position, lambda last: _SEPARATOR.join(last.position.name_key)
    )


@router.get(
    "/positions/{portfolio}/{symbol:position_symbol}",
    summary="Get a position",
    **document_responses(200, HeldPositionOut, 404),
)
async def get_position(
    caller: ReadBooksCaller, portfolio: Annotated[SearchText, Path()], symbol: Annotated[Symbol, Path()],
    query: Annotated[ProductQuery, Query()], readers: ReadersDep, market: MarketDep, now: ClockDep,
    exits: ExitsDep,
) -> Response:  # fmt: skip
    """Get one position, valued at its mark. A closed position has the quantity 0."""
    at, name = now(), portfolio.strip()

    def read(connection: Connection) -> MarkedPosition:
        marked = load_marked_position(
            connection, market, caller, portfolio=name, symbol=symbol, product=query.product, now=at
        )
        positions = add_records(connection, market, caller.tenant_id, [marked], at)
        return add_exit_prices(connection, caller.tenant_id, positions, exits)[0]

    return build_json_response(serialize_marked_position(await readers.run(read, caller.tenant_id)))


def _parse_cursor(text: str) -> tuple[str, str, str]:
    portfolio_name_key, symbol, product = text.split(_SEPARATOR)
    return portfolio_name_key, symbol, product
