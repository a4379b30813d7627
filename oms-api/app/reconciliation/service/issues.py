"""List and resolve issues, and request a comparison."""

import secrets
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.identity.rules.access import Caller
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.ids import SortableIds
from app.ledger.rules.cash import CashKind
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.cash import build_cash_origin
from app.ledger.service.portfolio_state import CashEntry
from app.reconciliation import queries
from app.reconciliation.errors import (
    ActionNotPossible,
    FiguresChanged,
    IssueResolved,
    NoSuchIssue,
    PersonNeeded,
)
from app.reconciliation.queries import Issue
from app.reconciliation.rules.differences import (
    IssueType,
    get_proposed_action,
    is_possible_action,
    needs_person,
)
from app.reconciliation.service.issue_updates import build_resolution
from app.timestamps import format_optional_timestamp, format_timestamp

_HOUR_SECONDS = 3600


def resolve_issue(
    connection: Connection,
    request: ChangeRequest,
    issue_id: str,
    action: str,
    reason: str,
    now: datetime,
) -> ChangeResult:
    """Apply an action to an issue in the transaction of a request. `adopt` was booked before: see `adoption`.

    `assign` and `watch` leave the issue open, and `book_missing` until the comparison that it requests.
    Raises NoSuchIssue, IssueResolved, ActionNotPossible, PersonNeeded and FiguresChanged.
    """
    caller = request.caller
    issue = load_resolvable_issue(connection, caller, issue_id, action)
    if issue.status == "resolved":
        raise IssueResolved(issue_id)
    changes: dict[str, Any] = {"owner": caller.actor, "reason": reason}
    match action:
        case "assign":
            pass
        case "watch":
            changes["action"] = action
        case "book_missing":
            queries.request_comparison(connection, caller.tenant_id, now)
        case "adjust_cash":
            _adjust_cash(connection, request, issue, reason, now)
            changes |= build_resolution(now, caller.actor, action, reason)
        case _:
            changes |= build_resolution(now, caller.actor, action, reason)
    updated = queries.update_issue(connection, issue, changes)
    queries.publish_issue(connection, updated, "changed" if updated.status == "open" else "resolved", now)
    queries.update_critical_issue_count(connection, issue.tenant_id, issue.connection)
    after = {"type": issue.type, "action": action, "reason": reason}
    entry = request.build_audit_entry(
        now, f"reconciliation.{action}", f"reconciliation_issue:{issue_id}", None, after
    )
    return ChangeResult(serialize_issue(updated, now), [entry])


def load_resolvable_issue(connection: Connection, caller: Caller, issue_id: str, action: str) -> Issue:
    """Return an issue of the caller's tenant on which the caller may take the action.

    Raises NoSuchIssue, ActionNotPossible, and PersonNeeded where a key acts for no person.
    """
    issue = queries.find_issue(connection, caller.tenant_id, issue_id)
    if issue is None:
        raise NoSuchIssue(issue_id)
    if not is_possible_action(IssueType(issue.type), action):
        raise ActionNotPossible(action, issue.type)
    if caller.person is None and needs_person(action, issue.severity):
        raise PersonNeeded(action)
    return issue


def _adjust_cash(
    connection: Connection, request: ChangeRequest, issue: Issue, reason: str, now: datetime
) -> None:
    """Book the difference of the cash, so that ours equals the broker's."""
    ledger, key = LedgerBatch(connection, SortableIds()), PortfolioKey(issue.tenant_id, issue.portfolio_id)
    ledger.lock([key])
    portfolio = ledger.get_portfolio(key)
    if f"{portfolio.cash:.2f}" != issue.ours:
        raise FiguresChanged(issue.id)
    amount = Decimal(issue.theirs or 0) - portfolio.cash
    entry = CashEntry(CashKind.ADJUSTMENT, amount, f"Reconciliation: {reason}")
    ledger.append_cash(portfolio, build_cash_origin(request, now), entry)
    ledger.flush()


def request_comparison(connection: Connection, request: ChangeRequest, now: datetime) -> ChangeResult:
    """Ask for a comparison of all accounts of the tenant. Connected sessions do it within about a second."""
    count = queries.request_comparison(connection, request.caller.tenant_id, now)
    answer = {
        "run_id": f"rr_{secrets.token_hex(12)}",
        "connections": count,
        "requested_at": format_timestamp(now),
    }
    entry = request.build_audit_entry(
        now, "reconciliation.requested", "reconciliation", None, {"connections": count}
    )
    return ChangeResult(answer, [entry], 202)


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
        "detected_at": format_timestamp(issue.detected_at),
        "resolved_at": format_optional_timestamp(issue.resolved_at),
        "resolved_by": issue.resolved_by,
    }
