"""Routes of background jobs, which belong to the installation and not to a tenant."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import Connection

from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.jobs import queries
from app.jobs.dependencies import JobRunnerDep
from app.jobs.errors import NoSuchJob
from app.jobs.rules.schedule import compute_next_run, describe_period
from app.jobs.schemas import JobRequestOut, JobsOut, serialize_job
from app.timestamps import format_timestamp

router = APIRouter(prefix="/jobs", tags=["jobs"])

ReadMetricsCaller = Annotated[Caller, Depends(require_permission(Operation.READ_METRICS))]
RunJobCaller = Annotated[Caller, Depends(require_permission(Operation.RUN_JOB))]
JobNamePath = Annotated[str, Path(max_length=40, description="Name of the job; hyphens may replace spaces")]
MAX_SHOWN_RUNS = 10


@router.get("", summary="List background jobs", **document_responses(200, JobsOut))
async def list_jobs(
    _: ReadMetricsCaller, runner: JobRunnerDep, readers: ReadersDep, now: ClockDep
) -> Response:
    """List the background jobs with their schedule, next run, last runs and errors.

    You need a key of the first tenant with the scope `read`, because the jobs work for all tenants.
    """
    at = now()

    def read(connection: Connection) -> list[dict[str, Any]]:
        states = {state.name: state for state in queries.list_jobs(connection)}
        return [
            serialize_job(
                job.name,
                describe_period(job.period),
                compute_next_run(states.get(job.name), job.period, at),
                queries.list_runs(connection, job.name, MAX_SHOWN_RUNS),
            )
            for job in runner.jobs
        ]

    return build_json_response({"items": await readers.run(read)})


@router.post(
    "/{job_name}:run", summary="Request a run of a job", **document_responses(202, JobRequestOut, 404, 409)
)
async def run_job(
    caller: RunJobCaller, job_name: JobNamePath, runner: JobRunnerDep, change_requests: ChangeRequestsDep
) -> Response:
    """Run a job as soon as possible. It replaces a scheduled run that is due. A running job runs again."""
    names = {job.name: job.name for job in runner.jobs}
    names |= {name.replace(" ", "-"): name for name in names}
    name = names.get(job_name)
    if name is None:
        raise NoSuchJob(job_name)

    def change(connection: Connection, request: ChangeRequest, now: datetime) -> ChangeResult:
        queries.request_run(connection, name, now)
        entry = request.build_audit_entry(now, "job.requested", f"job:{name}")
        return ChangeResult({"name": name, "requested_at": format_timestamp(now)}, [entry], 202)

    return await change_requests.execute(caller, None, change)
