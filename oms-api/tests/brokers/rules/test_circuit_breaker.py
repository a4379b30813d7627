"""The circuit breaker opens after failures that count, and one attempt closes it again."""

from datetime import UTC, datetime, timedelta

import pytest

from app.brokers.rules.circuit_breaker import (
    MAX_FAILURES,
    MAX_INTERVAL,
    QUICK_ATTEMPTS,
    Circuit,
    CircuitState,
    FailureKind,
    begin_attempt,
    record_failure,
)

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)


@pytest.mark.parametrize("kind", list(FailureKind))
def test_circuit_opens_after_as_many_failures_in_a_row_as_their_kind_needs(kind):
    circuit = Circuit()
    for number in range(1, MAX_FAILURES[kind]):
        circuit = record_failure(circuit, kind, NOW)
        assert (circuit.state, circuit.failures, circuit.next_attempt_at) == (
            CircuitState.CLOSED,
            number,
            None,
        )
    circuit = record_failure(circuit, kind, NOW)
    assert (circuit.state, circuit.kind, circuit.opened_at) == (CircuitState.OPEN, kind, NOW)


def test_open_circuit_is_half_open_once_an_attempt_is_due():
    circuit = record_failure(Circuit(), FailureKind.NOT_REACHED, NOW)
    next_attempt_at = circuit.next_attempt_at
    assert next_attempt_at is not None
    assert begin_attempt(circuit, next_attempt_at - timedelta(microseconds=1)) == circuit
    attempt = begin_attempt(circuit, next_attempt_at)
    assert (attempt.state, attempt.next_attempt_at) == (CircuitState.HALF_OPEN, None)
    assert begin_attempt(attempt, next_attempt_at) == attempt
    assert begin_attempt(Circuit(), next_attempt_at) == Circuit()


def test_failed_attempts_wait_longer_up_to_a_limit():
    circuit, now = Circuit(), NOW
    intervals: list[timedelta] = []
    for _ in range(20):
        circuit = record_failure(
            circuit, FailureKind.NO_ANSWER if intervals else FailureKind.NOT_REACHED, now
        )
        assert circuit.next_attempt_at is not None
        intervals.append(circuit.next_attempt_at - now)
        now = circuit.next_attempt_at
        circuit = begin_attempt(circuit, now)
    assert len(set(intervals[: QUICK_ATTEMPTS + 1])) == 1
    assert intervals == sorted(intervals)
    assert intervals[-1] == MAX_INTERVAL
    assert circuit.opened_at == NOW
