"""Dependencies of the routes of background jobs."""

from typing import Annotated

from app.duties.service import DutyRunner
from app.wire.dependencies import part

DutyRunnerDep = Annotated[DutyRunner, part("duty_runner")]
