"""Dependencies of the routes of calendars."""

from typing import Annotated

from app.calendars.service import Calendars
from app.wire.dependencies import part

CalendarsDep = Annotated[Calendars, part("calendars")]
