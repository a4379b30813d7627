"""Routes of the exports."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BeforeValidator, Field

from app.database import Readers
from app.errors import NotFound
from app.exports.queries import ExportFilter
from app.exports.service.csv_export import CsvExport, read_chunk
from app.exports.service.pages import ExportContext, ExportSource
from app.exports.service.sources import EXPORT_BUILDERS
from app.exports.service.xlsx_export import XLSX, XlsxExport, require_xlsx
from app.http.csv_format import CSV, CSV_UTF8
from app.http.csv_lists import is_preferred
from app.http.dependencies import ClockDep, ExportsDep, ReadersDep
from app.http.exports import ReadChunk
from app.http.fields import SearchText, to_lower_case
from app.http.lists import Period, QueryTime
from app.http.responses import document_responses
from app.identity.dependencies.authentication import get_rate_limit_key, require_permission
from app.identity.errors import NotAllowed
from app.identity.rules.access import Caller, Operation, Scope
from app.ledger.dependencies import CashReaderDep, ExitsDep, ValuerDep
from app.market_data.dependencies import MarketDep
from app.text import name_key

router = APIRouter(prefix="/exports", tags=["exports"])

ReadExportsCaller = Annotated[Caller, Depends(require_permission(Operation.READ_EXPORTS))]
Table = Annotated[
    str,
    Path(
        description="What to export", examples=["trades"], json_schema_extra={"enum": list(EXPORT_BUILDERS)}
    ),
]
_CSV_CONTENT = {"schema": {"type": "string"}, "example": "trade_id,sequence,kind,…\r\nT1763…,1,trade,…\r\n"}
_XLSX_CONTENT = {"schema": {"type": "string", "format": "binary"}}
_FILE_RESPONSE = {
    "description": "The file, as a download",
    "content": {CSV: _CSV_CONTENT, XLSX: _XLSX_CONTENT},
}


class ExportQuery(Period):
    """The filters and the format of an export."""

    portfolio: SearchText | None = Field(
        None, description="Name of a portfolio; letter case does not matter; null: all"
    )
    since: QueryTime | None = Field(None, alias="from", description="Recorded at or after this instant")
    until: QueryTime | None = Field(None, alias="to", description="Recorded before this instant")
    format: Annotated[Literal["csv", "xlsx"], BeforeValidator(to_lower_case)] | None = Field(
        None, description="`csv` or `xlsx`; null: the type in the header `Accept`, else CSV"
    )


@router.get(
    "/{table}",
    summary="Export a table",
    response_class=Response,
    **document_responses(200, _FILE_RESPONSE, 404, 501),
)
async def export_table(
    table: Table, caller: ReadExportsCaller, query: Annotated[ExportQuery, Query()], readers: ReadersDep,
    exports: ExportsDep, market: MarketDep, exits: ExitsDep, cash_reader: CashReaderDep, valuer: ValuerDep,
    now: ClockDep,
    accept: Annotated[str, Header(description=f"`{CSV}` or `{XLSX}`")] = CSV,
) -> Response:  # fmt: skip
    """Export all trades, orders, positions, P&L by day, cash, charges or risk that the caller may see.

    Rows have the order of the corresponding lists. Positions are the current ones whose last trade is in the
    period. Risk is always the current one.
    """
    if Scope.READ not in caller.scopes and not exports.is_for_bots:
        raise NotAllowed([Scope.READ], None)
    if table not in EXPORT_BUILDERS:
        raise NotFound(f"There is no such export. Use one of {', '.join(EXPORT_BUILDERS)}.")
    portfolio_name_key = None if query.portfolio is None else name_key(query.portfolio.strip())
    filters = ExportFilter(caller.tenant_id, portfolio_name_key, query.since, query.until, caller.portfolios)
    source = EXPORT_BUILDERS[table](ExportContext(caller, filters, market, exits, cash_reader, valuer, now()))
    slot = (caller.tenant_id, get_rate_limit_key(caller))
    if query.format == "xlsx" or (query.format is None and is_preferred(accept, XLSX, CSV)):
        require_xlsx()
        workbook = XlsxExport(source)
        begin = _write_workbook(workbook, readers, caller.tenant_id)
        return await exports.respond(*slot, begin, f"{table}.xlsx", XLSX, workbook.close)
    return await exports.respond(
        *slot, _create_csv_reader(source, readers, caller.tenant_id), f"{table}.csv", CSV_UTF8
    )


def _create_csv_reader(
    source: ExportSource, readers: Readers, tenant_id: int
) -> Callable[[], Awaitable[ReadChunk]]:
    export = CsvExport(source)

    async def begin() -> ReadChunk:
        return lambda: read_chunk(export, lambda: readers.run(export.read_page, tenant_id))

    return begin


def _write_workbook(
    workbook: XlsxExport, readers: Readers, tenant_id: int
) -> Callable[[], Awaitable[ReadChunk]]:
    async def begin() -> ReadChunk:
        while not await readers.run(workbook.write_page, tenant_id):
            pass
        await asyncio.to_thread(workbook.finish)

        async def read() -> bytes:
            return workbook.read()

        return read

    return begin
