"""Dependencies of the routes of background jobs."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.jobs.service import JobRunner

JOB_RUNNER = Component[JobRunner]("job_runner")
JobRunnerDep = Annotated[JobRunner, Depends(JOB_RUNNER)]
