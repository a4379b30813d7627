"""Routes of trading calendars and market clocks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from app.audit.service import record_entries
from app.calendars.dependencies import CalendarsDep
from app.calendars.schemas import (
    CalendarDayIn,
    CalendarQuery,
    ClockOut,
    ClockQuery,
    DayOut,
    LocalDate,
    MarketCode,
    serialize_clock,
    serialize_day,
)
from app.calendars.service import serialize_override
from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.service.caller_entries import build_caller_entry

SetCalendarCaller = Annotated[Caller, Depends(require_permission(Operation.SET_CALENDAR))]
EXAMPLE: dict[str, Any] = {
    "kind": "half_day",
    "name": "Day after Thanksgiving",
    "sessions": [{"open": "09:30", "close": "13:00"}],
    "source": "NYSE release of 2024-11-08",
}

router = APIRouter(tags=["calendars"])


@router.get("/calendar", summary="List trading sessions", **document_responses(200, list[DayOut]))
async def list_calendar(
    _: ReadBooksCaller, query: Annotated[CalendarQuery, Query()], calendars: CalendarsDep, readers: ReadersDep
) -> Response:
    """List the sessions and holidays of a market in time order.

    Weekends without a session are left out. A date beyond the known calendar is rejected.
    """
    await readers.run_single(calendars.refresh)
    days = calendars.list_days(query.market, query.segment, query.since, query.until)
    return build_json_response(list(map(serialize_day, days)))


@router.get("/clock", summary="Get the state of a market", **document_responses(200, ClockOut))
async def get_clock(
    _: ReadBooksCaller, query: Annotated[ClockQuery, Query()], calendars: CalendarsDep, readers: ReadersDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Get whether a market is open now, and when it opens and closes next."""
    await readers.run_single(calendars.refresh)
    clock = calendars.compute_clock(query.market, query.segment, now())
    return build_json_response(serialize_clock(query.market, query.segment, clock))


@router.put(
    "/calendar/{market}/{date}", summary="Set the sessions of a date", **document_responses(200, DayOut, 404)
)
async def put_calendar_day(
    caller: SetCalendarCaller,
    market: Annotated[MarketCode, Path(description="Code of the market", examples=["XNYS"])],
    day: Annotated[LocalDate, Path(alias="date", description="Local date", examples=["2026-11-27"])],
    body: Annotated[CalendarDayIn, Depends(json_body(CalendarDayIn, EXAMPLE))], calendars: CalendarsDep,
    changes: ChangesDep, readers: ReadersDep, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """Set the sessions of a market on a date, for all tenants. Only the operator's key may call this.

    The date overrides the calendar of this release, or extends it beyond its last date. All processes use it
    from the next order on. The expiry of earlier orders does not change.
    """
    override, at = body.override(market, day), now()
    request_info = get_request_info(request)

    def write(connection: Connection) -> None:
        previous, updated = calendars.set_day(connection, override, caller.actor, at)
        before = previous and {name: previous[name] for name in ("kind", "sessions", "name", "source")}
        change = ("calendar.set", f"{market} {day}", before, serialize_override(updated))
        record_entries(connection, [build_caller_entry(caller, request_info, at, *change)])

    await changes.run(write, caller.tenant_id)
    await readers.run_single(calendars.refresh)
    return build_json_response(serialize_day(calendars.get_day(market, day)))
