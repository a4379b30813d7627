"""The result of an attempt to deliver an event, and the decision after it."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, NamedTuple

from app.timestamps import format_timestamp

MAX_ATTEMPTS = 10
GONE_STATUS = 410
_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
# The waits between ten attempts: 71 hours in total, so that an endpoint may be down for a weekend.
_RETRY_DELAYS = (
    5 * _SECOND, 30 * _SECOND, 2 * _MINUTE, 10 * _MINUTE,
    _HOUR, 4 * _HOUR, 10 * _HOUR, 24 * _HOUR, 32 * _HOUR,
)  # fmt: skip
_JITTER_SHARE = 0.1
_MAX_RETRY_AFTER = timedelta(hours=24)
_MAX_PAUSE_SECONDS = 60.0


class DeliveryStatus(StrEnum):
    """The progress of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class AttemptResult(NamedTuple):
    """The answer of an endpoint. `status` is None if there was none; then `error` states why."""

    status: int | None
    latency_ms: int
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        """Whether the endpoint accepted the event."""
        return self.status is not None and 200 <= self.status < 300


class Decision(NamedTuple):
    """The status of a delivery after an attempt.

    `next_attempt_at` is set if it is pending. `disable_reason` is set if the webhook must be disabled.
    """

    status: DeliveryStatus
    next_attempt_at: datetime | None = None
    disable_reason: str | None = None


def decide_next_attempt(attempt: int, result: AttemptResult, now: datetime, random_share: float) -> Decision:
    """Return the decision after attempt number `attempt`. `random_share` from 0 to 1 spreads the retries."""
    if result.is_success:
        return Decision(DeliveryStatus.DELIVERED)
    if result.status == GONE_STATUS:
        return Decision(DeliveryStatus.FAILED, disable_reason="The endpoint answered 410 Gone.")
    if attempt >= MAX_ATTEMPTS:
        return Decision(DeliveryStatus.FAILED, disable_reason=f"{MAX_ATTEMPTS} attempts failed.")
    wait = _RETRY_DELAYS[attempt - 1] * (1 + _JITTER_SHARE * (2 * random_share - 1))
    if result.retry_after is not None:
        wait = max(wait, min(result.retry_after, _MAX_RETRY_AFTER))
    return Decision(DeliveryStatus.PENDING, now + wait)


def describe_attempt(number: int, at: datetime, result: AttemptResult) -> dict[str, Any]:
    """Return an attempt as the list of deliveries shows it."""
    return {
        "attempt": number,
        "at": format_timestamp(at),
        "response_status": result.status,
        "latency_ms": result.latency_ms,
        "error": result.error,
    }


def compute_pause_seconds(failures: int, retry_after: timedelta | None) -> float:
    """Return how long to send nothing to an endpoint after so many failures in a row."""
    pause = min(2.0 ** min(failures - 1, 10), _MAX_PAUSE_SECONDS)
    requested = 0.0 if retry_after is None else min(retry_after, _MAX_RETRY_AFTER).total_seconds()
    return max(pause, requested)


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Return the wait of a header Retry-After: seconds or a date. None if it is neither."""
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year that `datetime` cannot represent
        return None
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta(0))
