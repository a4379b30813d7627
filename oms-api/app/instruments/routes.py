"""Routes of instruments."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from app.audit.service import AuditEntry, record_entries
from app.identity.dependencies import Reader, require_permission
from app.identity.rules.access import Caller, Operation
from app.instruments import queries, service
from app.instruments.dependencies import CurrenciesInUseDep, IsSymbolInUseDep
from app.instruments.rules import InstrumentKey
from app.instruments.schemas import InstrumentIn, InstrumentOut, Symbol, serialize_instrument
from app.instruments.service import Listing
from app.wire.app_state import get_request_info
from app.wire.body import documented_body, json_body
from app.wire.dependencies import ChangesDep, ClockDep, CursorsDep, ReadersDep
from app.wire.fields import SearchText
from app.wire.lists import Cursor, Limit, build_link_header
from app.wire.pages import DEFAULT_LIMIT
from app.wire.responses import NEXT_HEADER, build_json_response, document_responses

Lister = Annotated[Caller, Depends(require_permission(Operation.LIST_INSTRUMENT))]

router = APIRouter(tags=["instruments"])

_LISTED = "instruments"
EXAMPLE: dict[str, Any] = {
    "name": "Reliance Industries",
    "exchange": "NSE",
    "asset_class": "equity",
    "currency": "INR",
    "tick_size": "0.05",
    "lot_size": "1",
}


class InstrumentQuery(BaseModel):
    """Filters and cursor of the list of instruments."""

    model_config = ConfigDict(extra="forbid")

    q: SearchText | None = Field(
        None, description="Part of the symbol, of an alias or of the name, in any letter case"
    )
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get(
    "/instruments",
    summary="List instruments",
    responses=document_responses(200, {"model": list[InstrumentOut]}, headers=NEXT_HEADER),
)
async def list_instruments(
    caller: Reader, query: Annotated[InstrumentQuery, Query()], readers: ReadersDep, cursors: CursorsDep,
    request: Request,
) -> Response:  # fmt: skip
    """List the instruments whose terms are set, by symbol."""
    tenant_id, part = caller.tenant_id, (query.q or "").strip()
    after = cursors.read(tenant_id, _LISTED, query.cursor) if query.cursor else None

    def read(connection: Connection) -> list[Listing]:
        instruments = queries.list_instruments(connection, tenant_id, part, query.limit + 1, after)
        keys = [InstrumentKey(tenant_id, terms.symbol) for terms in instruments]
        aliases = queries.find_aliases(connection, keys)
        return [Listing(terms, aliases[key]) for key, terms in zip(keys, instruments, strict=True)]

    listings = await readers.run(read, tenant_id)
    page = listings[: query.limit]
    cursor = cursors.make(tenant_id, _LISTED, page[-1].terms.symbol) if len(listings) > query.limit else None
    return build_json_response(
        [serialize_instrument(*listing) for listing in page], headers=build_link_header(request, cursor)
    )


@router.get(
    "/instruments/{symbol:path}",
    summary="Get an instrument",
    responses=document_responses(200, {"model": InstrumentOut}, 404),
)
async def get_instrument(caller: Reader, symbol: Annotated[Symbol, Path()], readers: ReadersDep) -> Response:
    """Get one instrument. A symbol that is not listed can be traded, with the smallest tick and lot size."""
    tenant_id = caller.tenant_id
    listing = await readers.run(
        lambda connection: service.find_listing(connection, tenant_id, symbol), tenant_id
    )
    return build_json_response(serialize_instrument(*listing))


@router.put(
    "/instruments/{symbol:path}",
    summary="Set the terms of an instrument",
    responses=document_responses(200, {"model": InstrumentOut}, 404, 409, 413, 415),
    openapi_extra=documented_body(InstrumentIn, EXAMPLE),
)
async def put_instrument(
    caller: Lister, symbol: Annotated[Symbol, Path()],
    body: Annotated[InstrumentIn, Depends(json_body(InstrumentIn))], changes: ChangesDep,
    find_currencies: CurrenciesInUseDep, is_in_use: IsSymbolInUseDep, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """Set the terms of a symbol.

    A field that you leave out gets its default, except `aliases`, which are kept. The currency cannot change
    while positions or open orders exist. A symbol that is not listed is traded in the currency of each
    portfolio.

    Orders and trades sent under an alias are recorded under the instrument's symbol. Listing `BRK.B` for the
    first time also creates the alias `BRK-B`, and `BTC/USD` the aliases `BTC-USD` and `BTCUSD`.
    """
    tenant_id, at, terms = caller.tenant_id, now(), body.to_instrument(symbol)
    request_info = get_request_info(request)

    def write(connection: Connection) -> Listing:
        previous, updated = service.set_terms(
            connection, tenant_id, terms, body.aliases, find_currencies, is_in_use, at
        )
        before_and_after = (
            serialize_instrument(*previous) if previous.terms.is_listed else None,
            serialize_instrument(*updated),
        )
        who = (tenant_id, at, caller.actor, caller.name, "instrument.set", updated.terms.symbol)
        record_entries(
            connection, [AuditEntry(*who, request_info.address, request_info.request_id, *before_and_after)]
        )
        return updated

    return build_json_response(serialize_instrument(*await changes.run(write, tenant_id)))
