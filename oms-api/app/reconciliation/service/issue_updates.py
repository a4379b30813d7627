"""Insert, update and resolve the issues of a connection."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.brokers.queries import StoredConnection
from app.reconciliation import queries
from app.reconciliation.queries import ComparedPortfolio, Issue
from app.reconciliation.rules.differences import Difference, get_subject

RECONCILIATION_ACTOR = "reconciliation"  # resolves issues whose difference has disappeared
Figures = tuple[str | None, ...]


def update_issues(
    connection: Connection,
    stored: StoredConnection,
    portfolio: ComparedPortfolio,
    differences: Sequence[Difference],
    confirmed: Sequence[Difference],
    now: datetime,
) -> None:
    """Update the open issues from the differences, and insert issues for the confirmed differences.

    An open issue whose difference was not found again is resolved. For an ignored issue, a new issue is
    inserted only if the figures differ.
    """
    unresolved = queries.list_open_or_ignored_issues(connection, stored.tenant_id, stored.name)
    open_issues = [issue for issue in unresolved if issue.status == "open"]
    ignored = {get_figures(issue) for issue in unresolved if issue.status != "open"}
    differences_by_subject = {_get_subject(difference): difference for difference in differences}
    open_subjects = set()
    for issue in open_issues:
        repeated_difference = (
            differences_by_subject.get(_get_subject(issue)) if issue.portfolio_id == portfolio.id else None
        )
        updated = queries.update_issue(connection, issue, _build_changes(repeated_difference, now))
        if repeated_difference is None:
            queries.publish_issue(connection, updated, "resolved", now)
            continue
        open_subjects.add(_get_subject(issue))
        if get_figures(updated) != get_figures(issue):
            queries.publish_issue(connection, updated, "changed", now)
    for difference in confirmed:
        if _get_subject(difference) not in open_subjects and get_figures(difference) not in ignored:
            issue = build_issue(stored, portfolio, difference, now)
            queries.insert_issue(connection, issue)
            queries.publish_issue(connection, issue, "opened", now)
    queries.update_critical_issue_count(connection, stored.tenant_id, stored.name)


def resolve_all_issues(connection: Connection, stored: StoredConnection, now: datetime) -> None:
    """Resolve the open issues of a connection that no portfolio trades over any more."""
    for issue in queries.list_open_or_ignored_issues(connection, stored.tenant_id, stored.name):
        if issue.status == "open":
            reason = "No portfolio trades over the connection."
            updated = queries.update_issue(
                connection, issue, build_resolution(now, RECONCILIATION_ACTOR, "gone", reason)
            )
            queries.publish_issue(connection, updated, "resolved", now)
    queries.update_critical_issue_count(connection, stored.tenant_id, stored.name)


def insert_resolved_issues(
    connection: Connection,
    stored: StoredConnection,
    portfolio: ComparedPortfolio,
    differences: Sequence[Difference],
    now: datetime,
) -> None:
    """Insert a resolved issue for each missed execution that was booked."""
    fields = build_resolution(now, RECONCILIATION_ACTOR, "book_missing", "The execution was booked once.")
    for difference in differences:
        issue = build_issue(stored, portfolio, difference, now)
        queries.insert_issue(connection, issue._replace(**fields))


def build_issue(
    stored: StoredConnection, portfolio: ComparedPortfolio, difference: Difference, now: datetime
) -> Issue:
    """Return an open issue."""
    nothing: dict[str, Any] = dict.fromkeys(("owner", "action", "reason", "resolved_at", "resolved_by"))
    return Issue(
        tenant_id=stored.tenant_id, id=f"ri_{secrets.token_hex(12)}", connection=stored.name,
        portfolio_id=portfolio.id, type=difference.type.value, severity=difference.severity.value,
        symbol=difference.symbol, order_id=difference.order_id, ours=difference.ours,
        theirs=difference.theirs, status="open", detected_at=now, seen_at=now, details=difference.details,
        portfolio_name=portfolio.name, **nothing,
    )  # fmt: skip


def build_resolution(now: datetime, actor: str, action: str, reason: str) -> dict[str, Any]:
    """Return the columns of a resolved issue."""
    return {
        "status": "resolved",
        "action": action,
        "reason": reason,
        "resolved_at": now,
        "resolved_by": actor,
    }


def get_figures(issue: Issue | Difference) -> Figures:
    """Return the key of an ignored difference. A difference with other figures is not ignored."""
    return (str(issue.type), issue.symbol, issue.order_id, issue.ours, issue.theirs)


def _get_subject(issue: Issue | Difference) -> Figures:
    return get_subject(issue.type, issue.symbol, issue.order_id, issue.theirs)


def _build_changes(current: Difference | None, now: datetime) -> dict[str, Any]:
    """Return the changes of an open issue: its present figures, or its resolution if both sides agree."""
    if current is None:
        return build_resolution(now, RECONCILIATION_ACTOR, "gone", "Both sides agree again.")
    return {"seen_at": now, "ours": current.ours, "theirs": current.theirs, "details": current.details}
