"""Response bodies of background jobs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.jobs.queries import JobRun
from app.timestamps import format_timestamp

_EXAMPLE_TIME = "2026-11-20T15:04:05.123456Z"


class JobRunOut(BaseModel):
    """A run of a job."""

    slot: str = Field(
        description="Start of its slot, or the time of the request, in UTC", examples=[_EXAMPLE_TIME]
    )
    started_at: str = Field(
        description="Start of the run in UTC; of a queued run, when it was sent", examples=[_EXAMPLE_TIME]
    )
    duration_ms: int | None = Field(description="Milliseconds; null: not finished", examples=[12])
    status: Literal["running", "succeeded", "failed"] = Field(
        description="Result; `running` also of a queued run, and if the process ended", examples=["succeeded"]
    )
    error: str | None = Field(description="Why it failed; null: it did not fail", examples=[None])
    process: str = Field(
        description="Host and process ID of the process that ran it, or `queue` before it starts",
        examples=["worker-1:4711"],
    )


class JobOut(BaseModel):
    """A background job with its last runs."""

    name: str = Field(description="Name of the job", examples=["equity snapshots"])
    schedule: str = Field(description="How often it runs", examples=["every 1 min"])
    next_run_at: str = Field(description="Time of its next run, in UTC", examples=[_EXAMPLE_TIME])
    last_run: JobRunOut | None = Field(description="Its last run; null: it never ran")
    runs: list[JobRunOut] = Field(description="Its last runs, newest first")


class JobsOut(BaseModel):
    """All background jobs."""

    items: list[JobOut] = Field(description="Jobs in the order in which they run")


class JobRequestOut(BaseModel):
    """A requested run of a job."""

    name: str = Field(description="Name of the job", examples=["equity snapshots"])
    requested_at: str = Field(description="Time of the request, in UTC", examples=[_EXAMPLE_TIME])


def serialize_run(run: JobRun) -> dict[str, Any]:
    """Return a run as `JobRunOut` describes it."""
    fields = run._asdict()
    fields["process"] = ":".join(fields.pop("holder").split(":")[:2])
    return fields | {"slot": format_timestamp(run.slot), "started_at": format_timestamp(run.started_at)}


def serialize_job(name: str, schedule: str, next_run_at: datetime, runs: list[JobRun]) -> dict[str, Any]:
    """Return a job as `JobOut` describes it."""
    serialized_runs = list(map(serialize_run, runs))
    fields = {"name": name, "schedule": schedule, "next_run_at": format_timestamp(next_run_at)}
    return fields | {"last_run": next(iter(serialized_runs), None), "runs": serialized_runs}
