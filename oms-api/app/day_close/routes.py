"""Routes of the day close."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from app.calendars.schemas import LocalDate
from app.day_close.dependencies import DayCloserDep
from app.day_close.errors import NoSuchDayClose
from app.day_close.rules.serialization import serialize_day
from app.day_close.rules.statements import DayStatement, format_html, list_csv_rows
from app.day_close.schemas import DayCloseIn, DayCloseOut
from app.day_close.service.statements import load_signed_day, read_statement
from app.http.body import json_body
from app.http.csv_format import CSV, CSV_UTF8, format_rows, guard_text
from app.http.dependencies import ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.ledger.routes.portfolios import MAX_NAME_LENGTH, parse_portfolio_name

router = APIRouter(prefix="/day-close", tags=["reports"])

CloseDayCaller = Annotated[Caller, Depends(require_permission(Operation.CLOSE_DAY))]
PortfolioNamePath = Annotated[str, Path(json_schema_extra={"maxLength": MAX_NAME_LENGTH})]
HTML = "text/html"
_DAY, _DATE = "A P&L day", "2026-11-20"
# A page of text and tables: it loads nothing and runs nothing.
_PAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_SUFFIXES = {".html": HTML, ".csv": CSV}
_STATEMENT = {
    "description": "The statement",
    "content": {
        HTML: {"schema": {"type": "string"}, "example": "<!DOCTYPE html>…"},
        CSV: {"schema": {"type": "string"}, "example": "Statement,Growth: 2026-11-20"},
    },
}
DayCloseBody = Annotated[DayCloseIn, Depends(json_body(DayCloseIn, {"note": "Figures match the broker's"}))]


@router.post("/{date}", summary="Close a day", **document_responses(201, DayCloseOut, 404, 409))
async def close_day(
    caller: CloseDayCaller, day: Annotated[LocalDate, Path(alias="date", description=_DAY, examples=[_DATE])],
    body: DayCloseBody, closer: DayCloserDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Sign off a day that has ended. Its figures by portfolio, and what is open now, are stored permanently.

    A day can be signed off once.
    """
    return await change_requests.execute(caller, body, closer.close_day, day, body.note)


@router.get("/{date}", summary="Get a day close", **document_responses(200, DayCloseOut, 404))
async def get_day_close(
    caller: ReadBooksCaller,
    day: Annotated[LocalDate, Path(alias="date", description=_DAY, examples=[_DATE])],
    readers: ReadersDep,
) -> Response:
    """Get the figures of a day, and what was open, as they were signed off."""

    def read(connection: Connection) -> dict[str, Any]:
        return serialize_day(*load_signed_day(connection, caller, day))

    return build_json_response(await readers.run(read, caller.tenant_id))


@router.get(
    "/{date}/statements/{portfolio}",
    summary="Get the daily statement of a portfolio",
    response_class=Response,
    **document_responses(200, _STATEMENT, 404),
)
async def get_statement(
    caller: ReadBooksCaller,
    day: Annotated[LocalDate, Path(alias="date", description=_DAY, examples=[_DATE])],
    portfolio: PortfolioNamePath,
    readers: ReadersDep,
    request: Request,
) -> Response:
    """Get the statement of a signed day as HTML, or as CSV.

    Choose the format with `Accept`, or with `.html` or `.csv` after the name. Figures are the signed ones.
    Trades, cash and positions are those of the ledger at the close.
    """
    name = parse_portfolio_name(portfolio)

    def read(connection: Connection) -> tuple[DayStatement, str | None]:
        try:
            return read_statement(connection, caller, day, name), None
        except NoSuchDayClose:
            stem, point, ending = name.rpartition(".")
            media_type = _SUFFIXES.get(f"{point}{ending.lower()}")
            if media_type is None:
                raise
            return read_statement(connection, caller, day, stem), media_type

    statement, media_type = await readers.run(read, caller.tenant_id)
    if (media_type or _find_accepted(request.headers.get("accept", ""))) == CSV:
        rows = ([guard_text(cell) for cell in row] for row in list_csv_rows(statement))
        return Response(format_rows(rows), media_type=CSV_UTF8)
    return Response(format_html(statement), media_type=HTML, headers=_PAGE_HEADERS)


def _find_accepted(accept: str) -> str:
    """Return the first of both formats that the header names, else HTML."""
    media_types = (part.partition(";")[0].strip().lower() for part in accept.split(","))
    return next((media_type for media_type in media_types if media_type in _SUFFIXES.values()), HTML)
