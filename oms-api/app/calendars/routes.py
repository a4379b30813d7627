"""Routes of trading calendars and market clocks."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.calendars.dependencies import TheCalendars
from app.calendars.schemas import (
    CalendarQuery,
    ClockOut,
    ClockQuery,
    DayOut,
    serialize_clock,
    serialize_day,
)
from app.identity.dependencies import Reader
from app.wire.answers import answer, responses
from app.wire.dependencies import TheClock

router = APIRouter(tags=["calendars"])


@router.get("/calendar", summary="List trading sessions", responses=responses(200, {"model": list[DayOut]}))
async def list_calendar(
    _: Reader, query: Annotated[CalendarQuery, Query()], calendars: TheCalendars
) -> Response:
    """List the sessions and holidays of a market in time order.

    Weekends without a session are left out. Dates that the tables do not cover are rejected.
    """
    days = calendars.list_days(query.market, query.segment, query.since, query.until)
    return answer(list(map(serialize_day, days)))


@router.get("/clock", summary="Get the state of a market", responses=responses(200, {"model": ClockOut}))
async def get_clock(
    _: Reader, query: Annotated[ClockQuery, Query()], calendars: TheCalendars, now: TheClock
) -> Response:
    """Get whether a market is open now, and when it opens and closes next."""
    clock = calendars.read_clock(query.market, query.segment, now())
    return answer(serialize_clock(query.market, query.segment, clock))
