"""The schedule of jobs. Time is divided into slots of its period, and a job runs once in each slot."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_DURATION = timedelta(0)


class JobState(NamedTuple):
    """The lease and the last run of a job.

    `finished_at` is the end of the last run that succeeded. `error` states why the last run failed, or is
    None. `requested_at` is when a run was requested that has not started yet.
    """

    name: str
    holder: str | None
    leased_until: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: int | None
    error: str | None
    requested_at: datetime | None = None


class JobReport(NamedTuple):
    """A job for health checks and metrics. The lag is 0 while it runs on time."""

    state: JobState
    lag_seconds: float


def get_slot(period: timedelta, at: datetime) -> datetime:
    """Return the start of the slot that contains `at`. Slots are multiples of the period since 1970."""
    return _EPOCH + (at - _EPOCH) // period * period


def is_due(state: JobState | None, period: timedelta, now: datetime) -> bool:
    """Return whether the job is due: not started in this slot or requested, and run by no process."""
    if state is None:
        return True
    if state.leased_until is not None and state.leased_until > now:
        return False
    if state.requested_at is not None:
        return True
    return state.started_at is None or state.started_at < get_slot(period, now)


def compute_lag(state: JobState, period: timedelta, now: datetime) -> timedelta:
    """Return how much later than planned the job is: the time since its last success, less its period.

    If it never succeeded, it is the time since it started last.
    """
    if state.finished_at is not None:
        return max(now - state.finished_at - period, _ZERO_DURATION)
    return _ZERO_DURATION if state.started_at is None else max(now - state.started_at, _ZERO_DURATION)


def compute_next_run(state: JobState | None, period: timedelta, now: datetime) -> datetime:
    """Return when the job runs next: now if it is due, else at the start of the next slot."""
    return now if is_due(state, period, now) else get_slot(period, now) + period


def describe_period(period: timedelta) -> str:
    """Return a schedule in words, such as "every 10 s"."""
    seconds = int(period.total_seconds())
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % length == 0:
            return f"every {seconds // length} {unit}"
    return f"every {seconds} s"
