"""Dependencies of the routes of background jobs."""

from typing import Annotated

from fastapi import Depends

from app.duties.service import DutyRunner
from app.http.app_state import Component

DUTY_RUNNER = Component[DutyRunner]("duty_runner")
DutyRunnerDep = Annotated[DutyRunner, Depends(DUTY_RUNNER)]
