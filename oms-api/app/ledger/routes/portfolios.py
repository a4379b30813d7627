"""Routes that list portfolios, and get one with its positions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers, set_tenant_scope
from app.database.group_read import GroupRead
from app.errors import FieldError, Invalid
from app.http.dependencies import ClockDep, ReadersDep
from app.http.direct_routes import WILDCARD_SEGMENT, AsyncDirectRoute, JsonResponse, RequestInfo
from app.http.fields import SearchText
from app.http.list_pages import PagesDep
from app.http.lists import Cursor, PageLimit, is_plain_integer, parse_instant
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import Authentication, ReadBooksCaller
from app.identity.rules.access import Operation
from app.ledger.dependencies import CashReaderDep, ValuerDep
from app.ledger.errors import NoSuchPortfolio
from app.ledger.queries import portfolios as queries
from app.ledger.rules.equity import PortfolioValue
from app.ledger.rules.keys import PortfolioNameKey
from app.ledger.schemas import (
    PortfolioOut,
    SummaryOut,
    serialize_position,
    serialize_value,
)
from app.ledger.service import portfolio_statements as service
from app.ledger.service.cash_figures import CashFigures, CashReader
from app.ledger.service.portfolio_statements import AsOf, PortfolioStatement
from app.ledger.service.valuation import Valuer, value_statements
from app.money import format_fixed, shorten_amount
from app.text import clean_text, name_key

router = APIRouter()
PORTFOLIO_PATH = f"/api/v1/portfolio/{WILDCARD_SEGMENT}"
MAX_NAME_LENGTH = 400
_LIST = "portfolios"  # in cursors


class MomentQuery(RequestModel):
    """The time of a statement."""

    as_of: str | None = Field(
        None, max_length=40, description="An instant (RFC 3339, with offset) or a sequence number"
    )


class PortfolioQuery(RequestModel):
    """Filters of the list of portfolios, its detail, and its page."""

    q: SearchText | None = Field(None, description="Part of the name, in any letter case")
    detail: bool = False
    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get(
    "/portfolio/{name}",
    summary="Get a portfolio with its positions",
    tags=["portfolios"],
    **document_responses(200, PortfolioOut, 404),
)
async def get_portfolio(
    caller: ReadBooksCaller,
    name: Annotated[str, Path(json_schema_extra={"maxLength": MAX_NAME_LENGTH})],
    readers: ReadersDep,
    query: Annotated[MomentQuery, Query()],
    valuer: ValuerDep,
    now: ClockDep,
    cash_reader: CashReaderDep,
) -> Response:
    """Get a portfolio with its positions, now or as of an earlier time.

    Positions are valued at the current marks. As of an earlier time they are not valued.
    """
    at = now()
    portfolio_name, as_of = parse_portfolio_name(name), _parse_as_of(query.as_of, at)
    if not caller.can_see(name_key(portfolio_name)):
        as_of = None  # takes as long as for a visible portfolio, and does not reveal its last sequence

    def read(connection: Connection) -> tuple[PortfolioStatement, PortfolioValue | None]:
        portfolio_statement = service.load_statement(
            connection, caller.tenant_id, portfolio_name, cash_reader, at, as_of
        )
        if as_of is not None:
            return portfolio_statement, None
        values = value_statements(
            connection, valuer, caller.tenant_id, {portfolio_name: portfolio_statement}, at
        )
        return portfolio_statement, values[portfolio_name]

    statement, value = await readers.run(read, caller.tenant_id)
    if not caller.can_see(name_key(portfolio_name)):
        raise NoSuchPortfolio(portfolio_name)
    return build_json_response(_serialize_statement(statement, value))


@router.get(
    "/portfolios",
    summary="List portfolios",
    tags=["portfolios"],
    **document_responses(200, list[str] | list[SummaryOut]),
)
async def list_portfolios(
    caller: ReadBooksCaller, query: Annotated[PortfolioQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List the names of portfolios, or with `detail=true` a summary of each, in alphabetical order."""
    tenant_id, part = caller.tenant_id, name_key(query.q.strip()) if query.q else None
    page = pages.open(tenant_id, _LIST, query)
    summaries = await readers.read(
        tenant_id, queries.list_portfolio_summaries, part, page.count, page.start, caller.portfolios
    )
    return page.build_response(
        summaries,
        lambda summary: service.build_summary(summary) if query.detail else summary.name,
        lambda last: name_key(last.name),
    )


def build_portfolio_route(
    authentication: Authentication, readers: Readers, cash_reader: CashReader, valuer: Valuer, now: Now
) -> AsyncDirectRoute:
    """Return `get_portfolio` without `as_of` as a route that the middleware calls directly."""

    def read_bodies(
        connection: Connection, keys: Sequence[PortfolioNameKey]
    ) -> dict[PortfolioNameKey, bytes]:
        at = now()
        statements = service.load_statements(connection, keys, cash_reader, at)
        values = {
            key: value
            for tenant_id in {key.tenant_id for key in statements}
            for key, value in _value_tenant(connection, valuer, tenant_id, statements, at).items()
        }
        return {
            key: orjson.dumps(_serialize_statement(statement, values[key]))
            for key, statement in statements.items()
        }

    bodies: GroupRead[PortfolioNameKey, bytes] = GroupRead(readers, read_bodies)

    async def serve(request: RequestInfo) -> JsonResponse:
        caller = await authentication.authorize(request, Operation.READ_BOOKS)
        name = parse_portfolio_name(request.last_segment)
        body = await bodies.get(PortfolioNameKey(caller.tenant_id, name_key(name)))
        if body is None or not caller.can_see(name_key(name)):
            raise NoSuchPortfolio(name)
        return JsonResponse(200, body)

    return serve


def _value_tenant(
    connection: Connection,
    valuer: Valuer,
    tenant_id: int,
    statements: Mapping[PortfolioNameKey, PortfolioStatement],
    at: datetime,
) -> dict[PortfolioNameKey, PortfolioValue]:
    tenant_statements = {
        key: statement for key, statement in statements.items() if key.tenant_id == tenant_id
    }
    return value_statements(
        set_tenant_scope(connection, [tenant_id]), valuer, tenant_id, tenant_statements, at
    )


def parse_portfolio_name(text: str) -> str:
    """Return the cleaned portfolio name of a path. Raises Invalid if no portfolio can have that name."""
    name = clean_text(text[: MAX_NAME_LENGTH + 1])
    if name is None or len(name) > MAX_NAME_LENGTH:
        message = f"At most {MAX_NAME_LENGTH} characters, none of them control or formatting characters."
        raise Invalid("The name is not valid; see `errors`.", [FieldError("name", message, "text")])
    return name


def _serialize_statement(statement: PortfolioStatement, value: PortfolioValue | None) -> dict[str, Any]:
    positions = {
        _format_position_name(position.symbol, position.product): _serialize_amounts(
            position.quantity, position.cost, position.realized_pnl
        )
        for position in statement.positions
    }
    charges = service.compute_total_charges(statement)
    net = Decimal(statement.summary.realized_pnl) - charges
    return {
        **service.build_summary(statement.summary),
        "charges": shorten_amount(format_fixed(charges)),
        "net_realized_pnl": shorten_amount(format_fixed(net)),
        **serialize_value(value),
        **_serialize_cash_figures(statement.figures),
        "positions": positions,
    }


def _serialize_cash_figures(figures: CashFigures | None) -> dict[str, str | None]:
    """Return the figures that only the present has; None for an earlier time."""
    if figures is None:
        return dict.fromkeys(("buying_power", "settled_cash", "unsettled_cash"))
    return {
        "buying_power": shorten_amount(format_fixed(figures.buying_power)),
        "settled_cash": shorten_amount(format_fixed(figures.settled)),
        "unsettled_cash": shorten_amount(format_fixed(figures.unsettled)),
    }


@lru_cache(maxsize=8192)
def _serialize_amounts(quantity: str, cost: str, realized_pnl: str) -> dict[str, str]:
    """Return the position's response body.

    It is cached, because positions are read far more often than they change.
    """
    return serialize_position(quantity, cost, realized_pnl)


def _format_position_name(symbol: str, product: str) -> str:
    return f"{symbol} {product}" if product else symbol


def _parse_as_of(text: str | None, now: datetime) -> AsOf | None:
    if text is None:
        return None
    if is_plain_integer(text):
        return int(text)
    try:
        instant = parse_instant(text)
    except ValueError:
        message = "Give a sequence number, or an instant with its offset such as 2026-11-20T16:00:00Z."
        raise Invalid(
            "`as_of` is neither a sequence number nor an instant; see `errors`.",
            [FieldError("as_of", message, "as_of")],
        ) from None
    if instant > now:
        message = "Must not be in the future."
        raise Invalid("`as_of` must not be in the future.", [FieldError("as_of", message, "future")])
    return instant
