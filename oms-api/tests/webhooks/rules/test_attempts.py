"""The next step after each result of an attempt."""

from datetime import timedelta

import pytest

from app.webhooks.rules.attempts import (
    MAX_ATTEMPTS,
    AttemptResult,
    DeliveryStatus,
    compute_pause_seconds,
    decide_next_attempt,
    parse_retry_after,
)
from tests.factories import NOON

FAILED = AttemptResult(500, 3)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_success_completes_the_delivery(status):
    assert decide_next_attempt(1, AttemptResult(status, 3), NOON, 0.5) == (
        DeliveryStatus.DELIVERED,
        None,
        None,
    )


@pytest.mark.parametrize("status", [None, 301, 302, 307, 400, 404, 429, 500, 503])
def test_other_answers_are_retried(status):
    decision = decide_next_attempt(1, AttemptResult(status, 3), NOON, 0.5)
    assert decision == (DeliveryStatus.PENDING, NOON + 5 * SECOND, None)


def test_410_ends_at_once():
    decision = decide_next_attempt(1, AttemptResult(410, 3), NOON, 0.5)
    assert (decision.status, decision.next_attempt_at) == (DeliveryStatus.FAILED, None)
    assert decision.disable_reason == "The endpoint answered 410 Gone."


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 62, 66), (0.5, 70, 72), (1.0, 76, 80)])
def test_ten_attempts_take_about_three_days_with_growing_waits(share, least, most):
    at, waits = NOON, []
    for attempt in range(1, MAX_ATTEMPTS):
        decision = decide_next_attempt(attempt, FAILED, at, share)
        assert decision.next_attempt_at is not None
        waits.append(decision.next_attempt_at - at)
        at = decision.next_attempt_at
    assert waits == sorted(waits)
    assert least * HOUR < at - NOON < most * HOUR
    last = decide_next_attempt(MAX_ATTEMPTS, FAILED, at, share)
    assert (last.status, last.disable_reason) == (DeliveryStatus.FAILED, "10 attempts failed.")


def test_retry_after_lengthens_the_wait_up_to_a_day():
    def wait(seconds, attempt=1):
        result = AttemptResult(429, 3, None, timedelta(seconds=seconds))
        decision = decide_next_attempt(attempt, result, NOON, 0.5)
        assert decision.next_attempt_at is not None
        return decision.next_attempt_at - NOON

    assert wait(1) == 5 * SECOND
    assert wait(90) == 90 * SECOND
    assert wait(10**8) == 24 * HOUR


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120 * SECOND),
        ("0", 0 * SECOND),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("١٢", None),
        ((NOON + HOUR).strftime("%a, %d %b %Y %H:%M:%S GMT"), HOUR),
        ((NOON - HOUR).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0 * SECOND),
        ((NOON + HOUR).strftime("%a, %d %b %Y %H:%M:%S -0000"), HOUR),
        ("9" * 400, timedelta(seconds=999_999_999)),
        (f"Mon, {'9' * 20} Jan 2024 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, expected):
    assert parse_retry_after(text, NOON) == expected


def test_pauses_of_an_endpoint_grow_to_a_minute_or_to_its_retry_after():
    assert [compute_pause_seconds(failures, None) for failures in (1, 2, 5, 9, 10**6)] == [1, 2, 16, 60, 60]
    assert compute_pause_seconds(1, timedelta(seconds=300)) == 300
    assert compute_pause_seconds(1, timedelta(days=30)) == 86_400
