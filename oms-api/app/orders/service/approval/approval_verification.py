"""Verify approvals: requests and decisions against orders, events and the audit log."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.service import mask_secrets
from app.ledger.rules.verification import Finding
from app.ledger.service.verification_result import VerificationResult
from app.orders.queries import approvals as queries
from app.orders.rules.approvals import (
    GRANTED,
    REJECTED,
    REQUESTED,
    ApprovalRequest,
    build_request_payload,
    find_approval_event_type,
)
from app.orders.rules.verification import OrderCheck
from app.risk.queries.audit import list_risk_events
from app.risk.rules.verification import RiskEvent, find_unmatched
from app.timestamps import Timestamp

_DECISION_EVENT_TYPES = {GRANTED, REJECTED}


class _PublishedStep(NamedTuple):
    """A request or a decision with its whole payload as JSON text."""

    tenant_id: int
    event_type: str
    at: Timestamp
    payload: str


class _DecidedStep(NamedTuple):
    """A request or a decision with the person who made it, as events and histories contain it."""

    tenant_id: int
    event_type: str
    at: Timestamp
    order_id: Any
    portfolio_id: Any
    person: Any


def verify_approvals(connection: Connection, result: VerificationResult) -> None:
    """Check the requests and the decisions. `connection` must read one consistent snapshot."""
    requests = list(queries.iterate_requests(connection))
    events = list_risk_events(connection, "approval.")
    result.checked[OrderCheck.APPROVAL] += len(events)
    stored = [
        _build_published_step(
            request.tenant_id, REQUESTED, request.requested_at, build_request_payload(request)
        )
        for request in requests
    ]
    published = [
        _build_published_step(event.tenant_id, event.type, event.at, event.payload)
        for event in events
        if event.type == REQUESTED
    ]
    _add_findings(result, "request", find_unmatched(OrderCheck.APPROVAL, "request", stored, published))
    audited = [
        _build_published_step(
            entry.tenant_id, entry.action, entry.at, {"order_id": entry.target} | dict(entry.after or {})
        )
        for entry in list_actions(connection, "approval.")
    ]
    masked = [
        _build_published_step(event.tenant_id, event.type, event.at, mask_secrets(event.payload))
        for event in events
    ]
    _add_findings(result, "event", find_unmatched(OrderCheck.APPROVAL, "event", masked, audited))
    expected = list(
        _iterate_expected_steps(
            connection, {(request.tenant_id, request.order_id): request for request in requests}
        )
    )
    decided = [_build_decided_step(event) for event in events]
    _add_findings(result, "decision", find_unmatched(OrderCheck.APPROVAL, "decision", decided, expected))


def _iterate_expected_steps(
    connection: Connection, requests: dict[tuple[int, str], ApprovalRequest]
) -> Iterator[_DecidedStep]:
    """Yield the expected content of the events, from the histories of the orders."""
    for portfolio_id, event in queries.iterate_approval_history(connection):
        kind = find_approval_event_type(event.from_status, event.to_status, event.actor)
        if kind is None:
            continue
        person: str | None = event.actor if kind in {*_DECISION_EVENT_TYPES, REQUESTED} else None
        request = requests.get((event.tenant_id, event.order_id))
        if request is None or request.requested_at > event.at:
            person = "nobody: there was no request"
        yield _DecidedStep(event.tenant_id, kind, event.at, event.order_id, portfolio_id, person)


def _build_decided_step(event: RiskEvent) -> _DecidedStep:
    payload = event.payload
    person = payload.get("requested_by" if event.type == REQUESTED else "decided_by")
    return _DecidedStep(
        event.tenant_id,
        event.type,
        event.at,
        payload.get("order_id"),
        payload.get("portfolio_id"),
        person,
    )


def _build_published_step(
    tenant_id: int, event_type: str, at: Timestamp, payload: dict[str, Any]
) -> _PublishedStep:
    text = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS).decode()
    return _PublishedStep(tenant_id, event_type, at, text)


def _add_findings(result: VerificationResult, location: str, findings: Iterable[Finding]) -> None:
    for finding in findings:
        result.add_findings(f"approval {location}", [finding])
