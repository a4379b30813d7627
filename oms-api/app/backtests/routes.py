"""Routes of backtests."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import Connection

from app.backtests.dependencies import CodePreparationDep
from app.backtests.errors import NoSuchBacktest
from app.backtests.queries import delete_backtest, list_backtests
from app.backtests.schemas import (
    EXAMPLE,
    MAX_COMPARED,
    BacktestFillOut,
    BacktestIn,
    BacktestOrderOut,
    BacktestOut,
    ComparisonOut,
    ComparisonQuery,
    EquityPointOut,
    serialize_backtest,
    serialize_comparison,
)
from app.backtests.service.jobs import REPORT_NAME
from app.backtests.service.requests import create_backtest, read_file, read_rows, require_backtest
from app.database import Readers
from app.errors import FieldError, Invalid
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ReadersDep
from app.http.fields import SearchText
from app.http.list_pages import ListPages, PagesDep
from app.http.lists import PageQuery
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeRequest, ChangeResult

router = APIRouter(prefix="/backtests", tags=["backtests"])

RunBacktestCaller = Annotated[Caller, Depends(require_permission(Operation.RUN_BACKTEST))]
BacktestIdPath = Annotated[SearchText, Path(max_length=32, description="ID of the backtest")]
PageQueryDep = Annotated[PageQuery, Query()]
_LIST = "backtests"
_HTML_RESPONSE = {"description": "The report", "content": {"text/html": {"schema": {"type": "string"}}}}
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@router.post("", summary="Request a backtest", **document_responses(202, BacktestOut, 409))
async def post_backtest(
    caller: RunBacktestCaller, body: Annotated[BacktestIn, Depends(json_body(BacktestIn, EXAMPLE))],
    prepare_code: CodePreparationDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Queue a backtest of a strategy on the service's own bars. A background process runs it."""
    backtest_request = body.build()
    find_code = await prepare_code(caller, backtest_request.strategy)

    def create(connection: Connection, request: ChangeRequest, now: datetime) -> ChangeResult:
        backtest = create_backtest(connection, caller, backtest_request, find_code, now)
        fields = {"strategy": backtest.strategy, "symbols": backtest.symbols, "interval": backtest.interval}
        entry = request.build_audit_entry(now, "backtest.created", f"backtest:{backtest.id}", None, fields)
        return ChangeResult(serialize_backtest(backtest), [entry], 202)

    return await change_requests.execute(caller, body, create)


@router.get("", summary="List backtests", **document_responses(200, list[BacktestOut]))
async def get_backtests(
    caller: ReadBooksCaller, query: PageQueryDep, readers: ReadersDep, pages: PagesDep
) -> Response:
    """List the backtests of the tenant, newest first."""
    page = pages.open(caller.tenant_id, _LIST, query)
    backtests = await readers.read(caller.tenant_id, list_backtests, page.count, page.start)
    return page.build_response(backtests, serialize_backtest, lambda last: last.id)


@router.get("/compare", summary="Compare backtests", **document_responses(200, ComparisonOut, 404))
async def compare_backtests(
    caller: ReadBooksCaller, query: Annotated[ComparisonQuery, Query()], readers: ReadersDep
) -> Response:
    """Compare backtests: the statistics that differ, and whether code and data are equal."""
    ids = [part.strip() for part in query.ids.split(",") if part.strip()]
    if not 2 <= len(ids) <= MAX_COMPARED:
        message = f"Send two to {MAX_COMPARED} IDs, separated by commas."
        raise Invalid("1 field is not valid; see `errors`.", [FieldError("ids", message, "count")])
    tenant_id = caller.tenant_id
    backtests = await readers.run(
        lambda connection: [require_backtest(connection, tenant_id, backtest_id) for backtest_id in ids],
        tenant_id,
    )
    return build_json_response(serialize_comparison(backtests))


@router.get("/{backtest_id}", summary="Get a backtest", **document_responses(200, BacktestOut, 404))
async def get_backtest(caller: ReadBooksCaller, backtest_id: BacktestIdPath, readers: ReadersDep) -> Response:
    """Get a backtest with its progress and, once it is done, its statistics and hashes."""
    tenant_id = caller.tenant_id
    backtest = await readers.read(tenant_id, require_backtest, backtest_id)
    return build_json_response(serialize_backtest(backtest))


@router.delete("/{backtest_id}", summary="Delete a backtest", **document_responses(204, "Deleted", 404))
async def remove_backtest(
    caller: RunBacktestCaller, backtest_id: BacktestIdPath, changes: ChangesDep
) -> Response:
    """Delete a backtest with its result. If it waits or runs, it is canceled."""
    tenant_id = caller.tenant_id
    is_deleted = await changes.run(
        lambda connection: delete_backtest(connection, tenant_id, backtest_id), tenant_id
    )
    if not is_deleted:
        raise NoSuchBacktest(backtest_id)
    return Response(status_code=204)


@router.get(
    "/{backtest_id}/orders",
    summary="List orders of a backtest",
    **document_responses(200, list[BacktestOrderOut], 404, 409),
)
async def get_backtest_orders(
    caller: ReadBooksCaller,
    backtest_id: BacktestIdPath,
    query: PageQueryDep,
    readers: ReadersDep,
    pages: PagesDep,
) -> Response:
    """List the orders of a finished backtest in the order in which they became final."""
    return await _FileList(backtest_id, "orders.csv", readers, pages).respond(caller, query)


@router.get(
    "/{backtest_id}/fills",
    summary="List fills of a backtest",
    **document_responses(200, list[BacktestFillOut], 404, 409),
)
async def get_backtest_fills(
    caller: ReadBooksCaller,
    backtest_id: BacktestIdPath,
    query: PageQueryDep,
    readers: ReadersDep,
    pages: PagesDep,
) -> Response:
    """List the fills of a finished backtest in time order."""
    return await _FileList(backtest_id, "fills.csv", readers, pages).respond(caller, query)


@router.get(
    "/{backtest_id}/equity",
    summary="List the equity of a backtest",
    **document_responses(200, list[EquityPointOut], 404, 409),
)
async def get_backtest_equity(
    caller: ReadBooksCaller,
    backtest_id: BacktestIdPath,
    query: PageQueryDep,
    readers: ReadersDep,
    pages: PagesDep,
) -> Response:
    """List the points of the equity curve of a finished backtest in time order."""
    return await _FileList(backtest_id, "equity.csv", readers, pages).respond(caller, query)


@router.get(
    "/{backtest_id}/report.html",
    summary="Get the report of a backtest",
    response_class=Response,
    **document_responses(200, _HTML_RESPONSE, 404, 409),
)
async def get_backtest_report(
    caller: ReadBooksCaller, backtest_id: BacktestIdPath, readers: ReadersDep
) -> Response:
    """Get the report with charts as one HTML file."""
    tenant_id = caller.tenant_id
    content = await readers.read(tenant_id, read_file, backtest_id, REPORT_NAME)
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return Response(content, 200, headers, media_type="text/html; charset=utf-8")


class _FileList:
    """The rows of a file of a backtest, as a list in pages."""

    def __init__(self, backtest_id: str, name: str, readers: Readers, pages: ListPages) -> None:
        self._id, self._name, self._readers, self._pages = backtest_id, name, readers, pages

    async def respond(self, caller: Caller, query: PageQuery) -> Response:
        """Return a page of the rows."""
        page = self._pages.open(caller.tenant_id, f"{self._id}/{self._name}", query)
        first = int(page.start or 0)

        def read(connection: Connection) -> list[dict[str, Any]]:
            content = read_file(connection, caller.tenant_id, self._id, self._name)
            return list(read_rows(content, first, page.count))

        rows = await self._readers.run(read, caller.tenant_id)
        return page.build_response(rows, lambda row: row, lambda _: str(first + query.limit))
