"""Dependencies of the routes of the day close."""

from typing import Annotated

from fastapi import Depends

from app.day_close.service.day_closer import DayCloser
from app.http.app_state import Component

DAY_CLOSER = Component[DayCloser]("day_closer")
DayCloserDep = Annotated[DayCloser, Depends(DAY_CLOSER)]
