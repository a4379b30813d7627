"""Dependencies of the routes of the day close."""

from typing import Annotated

from app.day_close.service.signing import DayCloser
from app.wire.dependencies import part

DayCloserDep = Annotated[DayCloser, part("day_closer")]
