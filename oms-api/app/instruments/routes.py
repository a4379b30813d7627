"""Routes of instruments."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Connection

from app.audit.service import record_entries
from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ClockDep, ReadersDep
from app.http.fields import SearchText
from app.http.list_pages import PagesDep
from app.http.lists import Cursor, Limit
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies import Reader, require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.service.caller_entries import build_caller_entry
from app.instruments import queries, service
from app.instruments.dependencies import CurrenciesInUseDep, IsSymbolInUseDep
from app.instruments.rules import InstrumentKey
from app.instruments.schemas import InstrumentIn, InstrumentOut, Symbol, serialize_instrument
from app.instruments.service import Listing

InstrumentLister = Annotated[Caller, Depends(require_permission(Operation.LIST_INSTRUMENT))]

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


class InstrumentQuery(RequestModel):
    """Filters and cursor of the list of instruments."""

    q: SearchText | None = Field(
        None, description="Part of the symbol, of an alias or of the name, in any letter case"
    )
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.get("/instruments", summary="List instruments", **document_responses(200, list[InstrumentOut]))
async def list_instruments(
    caller: Reader, query: Annotated[InstrumentQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List the instruments whose terms are set, by symbol."""
    tenant_id, part = caller.tenant_id, (query.q or "").strip()
    page = pages.open(tenant_id, _LISTED, query)

    def read(connection: Connection) -> list[Listing]:
        instruments = queries.list_instruments(connection, tenant_id, part, page.count, page.start)
        keys = [InstrumentKey(tenant_id, terms.symbol) for terms in instruments]
        aliases = queries.load_aliases(connection, keys)
        return [Listing(terms, aliases[key]) for key, terms in zip(keys, instruments, strict=True)]

    return page.build_response(
        await readers.run(read, tenant_id),
        lambda listing: serialize_instrument(*listing),
        lambda last: last.terms.symbol,
    )


@router.get(
    "/instruments/{symbol:path}", summary="Get an instrument", **document_responses(200, InstrumentOut, 404)
)
async def get_instrument(caller: Reader, symbol: Annotated[Symbol, Path()], readers: ReadersDep) -> Response:
    """Get one instrument. A symbol that is not listed can be traded, with the smallest tick and lot size."""
    tenant_id = caller.tenant_id
    listing = await readers.read(tenant_id, service.load_listing, symbol)
    return build_json_response(serialize_instrument(*listing))


@router.put(
    "/instruments/{symbol:path}",
    summary="Set the terms of an instrument",
    **document_responses(200, InstrumentOut, 404, 409),
)
async def put_instrument(
    caller: InstrumentLister, symbol: Annotated[Symbol, Path()],
    body: Annotated[InstrumentIn, Depends(json_body(InstrumentIn, EXAMPLE))], changes: ChangesDep,
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
            connection,
            tenant_id,
            terms=terms,
            aliases=body.aliases,
            find_currencies=find_currencies,
            is_in_use=is_in_use,
            at=at,
        )
        before = serialize_instrument(*previous) if previous.terms.is_listed else None
        change = ("instrument.set", updated.terms.symbol, before, serialize_instrument(*updated))
        record_entries(connection, [build_caller_entry(caller, request_info, at, *change)])
        return updated

    return build_json_response(serialize_instrument(*await changes.run(write, tenant_id)))
