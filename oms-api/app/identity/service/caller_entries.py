"""Audit entries of the actions of a request's caller."""

from datetime import datetime

from app.audit.rules.entries import AuditValues
from app.audit.service import AuditEntry
from app.http.direct_routes import RequestInfo
from app.identity.rules.access import Caller


def build_caller_entry(
    caller: Caller, request: RequestInfo, at: datetime, action: str, target: str,
    before: AuditValues | None = None, after: AuditValues | None = None,
) -> AuditEntry:  # fmt: skip
    """Build an entry for the caller's own audit log, with the address and the ID of the request."""
    return AuditEntry(
        caller.tenant_id,
        at=at,
        actor=caller.actor,
        via=caller.name,
        action=action,
        target=target,
        address=request.address,
        request_id=request.request_id,
        before=before,
        after=after,
    )
