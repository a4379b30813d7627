"""The circuit breaker of a broker connection.

Closed: requests go out. Failures in a row open it: one failure which proves that the broker is not reached,
or several requests without an answer. Open: nothing is sent for an interval, which grows with each attempt
that failed. Half-open: one attempt to log in decides. A request that the rate limit held back is not a
failure, nor is a rejection by the broker.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

FIRST_INTERVAL = timedelta(seconds=1)
MAX_INTERVAL = timedelta(seconds=15)
QUICK_ATTEMPTS = 3  # before the interval grows, because most outages are short
_MAX_DOUBLINGS = 10


class CircuitState(StrEnum):
    """The state that determines whether requests are sent."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class FailureKind(StrEnum):
    """The failures that count."""

    NOT_REACHED = "not_reached"  # no connection, or a query without a usable answer
    STREAM_DOWN = "stream_down"  # the stream of the broker's events is not logged in
    NO_ANSWER = "no_answer"  # a request was sent, and its answer is missing


MAX_FAILURES = {FailureKind.NOT_REACHED: 1, FailureKind.STREAM_DOWN: 1, FailureKind.NO_ANSWER: 3}  # in a row


class Circuit(NamedTuple):
    """The state of a circuit breaker.

    `failures` counts consecutive failures, `attempts` the attempts since it opened.
    """

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    kind: FailureKind | None = None
    opened_at: datetime | None = None
    next_attempt_at: datetime | None = None
    attempts: int = 0


def record_failure(circuit: Circuit, kind: FailureKind, now: datetime) -> Circuit:
    """Return the circuit after a failure."""
    failures = circuit.failures + 1
    if circuit.state is CircuitState.CLOSED and failures < MAX_FAILURES[kind]:
        return circuit._replace(failures=failures, kind=kind)
    doublings = min(max(circuit.attempts - QUICK_ATTEMPTS, 0), _MAX_DOUBLINGS)
    interval: timedelta = min(FIRST_INTERVAL * 2**doublings, MAX_INTERVAL)
    opened_at = circuit.opened_at or now
    return Circuit(CircuitState.OPEN, failures, kind, opened_at, now + interval, circuit.attempts + 1)


def begin_attempt(circuit: Circuit, now: datetime) -> Circuit:
    """Return the circuit, half-open if it is open and an attempt is due."""
    is_due = circuit.next_attempt_at is not None and circuit.next_attempt_at <= now
    if circuit.state is CircuitState.OPEN and is_due:
        return circuit._replace(state=CircuitState.HALF_OPEN, next_attempt_at=None)
    return circuit
