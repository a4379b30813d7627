"""Dependencies of the routes of calendars."""

from typing import Annotated

from fastapi import Depends

from app.calendars.service import Calendars
from app.http.app_state import Component

CALENDARS = Component[Calendars]("calendars")
CalendarsDep = Annotated[Calendars, Depends(CALENDARS)]
