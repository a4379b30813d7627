"""List and resolve issues, and ask for a comparison."""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.identity.service.idempotent_operations import Change, OperationContext
from app.reconciliation import queries
from app.reconciliation.errors import IssueResolved, NoSuchIssue
from app.reconciliation.queries import Issue
from app.reconciliation.rules.differences import IssueType, get_proposed_action
from app.reconciliation.service.reconciler import build_resolution
from app.timestamps import iso

_HOUR_SECONDS = 3600


def resolve_issue(
    connection: Connection, context: OperationContext, issue_id: str, action: str, reason: str, now: datetime
) -> Change:
    """Ignore an issue, which resolves it, or assign it to the caller, which leaves it open."""
    caller = context.caller
    issue = queries.find_issue(connection, caller.tenant_id, issue_id)
    if issue is None:
        raise NoSuchIssue(issue_id)
    if issue.status == "resolved":
        raise IssueResolved(issue_id)
    changes: dict[str, Any] = {"owner": caller.actor, "reason": reason}
    if action == "ignore":
        changes |= build_resolution(now, caller.actor, action, reason)
    queries.update_issue(connection, issue, changes)
    after = {"type": issue.type, "action": action, "reason": reason}
    entry = context.entry(now, f"reconciliation.{action}", f"reconciliation_issue:{issue_id}", None, after)
    return Change(serialize_issue(issue._replace(**changes), now), [entry])


def request_run(connection: Connection, context: OperationContext, now: datetime) -> Change:
    """Ask for a comparison of all accounts of the tenant. The sessions do it within a second."""
    count = queries.request_run(connection, context.caller.tenant_id, now)
    answer = {"run_id": f"rr_{secrets.token_hex(12)}", "connections": count, "requested_at": iso(now)}
    entry = context.entry(now, "reconciliation.requested", "reconciliation", None, {"connections": count})
    return Change(answer, [entry], 202)


def serialize_issue(issue: Issue, now: datetime) -> dict[str, Any]:
    """Serialize an issue. `hours_unresolved` is its age, until it was resolved."""
    end = issue.resolved_at or now
    return {
        "id": issue.id,
        "type": issue.type,
        "severity": issue.severity,
        "portfolio_name": issue.portfolio_name,
        "connection": issue.connection,
        "symbol": issue.symbol,
        "order_id": issue.order_id,
        "ours": issue.ours,
        "theirs": issue.theirs,
        "hours_unresolved": round((end - issue.detected_at).total_seconds() / _HOUR_SECONDS, 2),
        "owner": issue.owner,
        "status": issue.status,
        "proposed_action": get_proposed_action(IssueType(issue.type)),
        "action": issue.action,
        "reason": issue.reason,
        "detected_at": iso(issue.detected_at),
        "resolved_at": None if issue.resolved_at is None else iso(issue.resolved_at),
        "resolved_by": issue.resolved_by,
    }
