"""A job runs once in each slot of its period."""

from datetime import UTC, datetime, timedelta

import pytest

from app.jobs.rules.schedule import (
    JobState,
    compute_lag,
    compute_next_run,
    describe_period,
    get_slot,
    is_due,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
NEVER = JobState("x", None, None, None, None, None, None)


def test_slots_are_multiples_of_the_period():
    assert get_slot(MINUTE, NOON + 59 * SECOND) == NOON
    assert get_slot(MINUTE, NOON + MINUTE) == NOON + MINUTE


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, True),
        (NEVER, True),
        (NEVER._replace(started_at=NOON), False),
        (NEVER._replace(started_at=NOON - SECOND), True),
        (NEVER._replace(started_at=NOON - MINUTE, leased_until=NOON + MINUTE), False),
        (NEVER._replace(started_at=NOON - MINUTE, leased_until=NOON + SECOND), True),
    ],
)
def test_job_is_due_once_in_a_slot_unless_leased(state, expected):
    assert is_due(state, MINUTE, NOON + SECOND) is expected


def test_lag_is_measured_from_the_last_success():
    assert compute_lag(NEVER, MINUTE, NOON) == timedelta(0)
    assert compute_lag(NEVER._replace(started_at=NOON), MINUTE, NOON + SECOND) == SECOND
    job_state = NEVER._replace(started_at=NOON, finished_at=NOON)
    assert compute_lag(job_state, MINUTE, NOON + SECOND) == timedelta(0)
    failing = job_state._replace(started_at=NOON + MINUTE, error="no")
    assert compute_lag(failing, MINUTE, NOON + 3 * MINUTE) == 2 * MINUTE


def test_next_run_is_now_if_due_or_requested_and_otherwise_the_next_slot():
    started = NEVER._replace(started_at=NOON)
    assert compute_next_run(None, MINUTE, NOON) == NOON
    assert compute_next_run(started, MINUTE, NOON) == NOON + MINUTE
    assert compute_next_run(started._replace(requested_at=NOON), MINUTE, NOON) == NOON
    running = started._replace(requested_at=NOON, leased_until=NOON + MINUTE)
    assert compute_next_run(running, MINUTE, NOON) == NOON + MINUTE


@pytest.mark.parametrize(
    ("seconds", "description"),
    [(2, "every 2 s"), (60, "every 1 min"), (90, "every 90 s"), (3600, "every 1 h"), (86400, "every 1 d")],
)
def test_schedule_is_described_in_words(seconds, description):
    assert describe_period(timedelta(seconds=seconds)) == description
