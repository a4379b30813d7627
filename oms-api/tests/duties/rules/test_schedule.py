"""A duty runs once in each slot of its period."""

from datetime import UTC, datetime, timedelta

import pytest

from app.duties.rules.schedule import DutyState, compute_lag, get_slot, is_due

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
NEVER = DutyState("x", None, None, None, None, None, None)


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
def test_duty_is_due_once_in_a_slot_unless_leased(state, expected):
    assert is_due(state, MINUTE, NOON + SECOND) is expected


def test_lag_is_measured_from_the_last_success():
    assert compute_lag(NEVER, MINUTE, NOON) == timedelta(0)
    assert compute_lag(NEVER._replace(started_at=NOON), MINUTE, NOON + SECOND) == SECOND
    done = NEVER._replace(started_at=NOON, finished_at=NOON)
    assert compute_lag(done, MINUTE, NOON + SECOND) == timedelta(0)
    failing = done._replace(started_at=NOON + MINUTE, error="no")
    assert compute_lag(failing, MINUTE, NOON + 3 * MINUTE) == 2 * MINUTE
