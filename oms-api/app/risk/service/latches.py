"""Release latches."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.audit.service import mask_secrets
from app.events.service.outbox import publish_event
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.risk.errors import LatchIsReleased, NoSuchLatch
from app.risk.queries import latches as queries
from app.risk.rules.latches import Latch
from app.risk.service.audit_entries import serialize_latch_values
from app.timestamps import format_timestamp


def release_latch(
    connection: Connection, request: ChangeRequest, latch_id: str, reason: str | None, now: datetime
) -> ChangeResult:
    """Release a latch, publish an event, and return its audit entry. Raises NoSuchLatch, LatchIsReleased."""
    tenant_id, person, at = request.caller.tenant_id, request.caller.person or "", format_timestamp(now)
    active_latch = queries.find_latch(connection, tenant_id, latch_id)
    if active_latch is None:
        raise NoSuchLatch(latch_id)
    if active_latch.released_at is not None:
        raise LatchIsReleased(latch_id, active_latch.released_at, active_latch.released_by or "")
    latch = active_latch._replace(released_at=at, released_by=person, reason=reason)
    queries.release_latch(connection, tenant_id, latch)
    fields = serialize_latch_values(latch)
    payload = {"latch_id": latch.id, **fields, "reason": reason, "released_by": person}
    publish_event(connection, tenant_id, "latch.released", payload, now)
    entry = request.build_audit_entry(
        now, "latch.released", latch.id, mask_secrets({**fields}), {"reason": reason}
    )
    return ChangeResult(serialize_latch(latch), [entry])


def serialize_latch(latch: Latch) -> dict[str, Any]:
    """Return the latch as `LatchOut` describes it."""
    return {
        "id": latch.id,
        **latch.subject._asdict(),
        "executions": latch.executions,
        "limit": latch.max_executions,
        "set_at": latch.set_at,
        "released_at": latch.released_at,
        "released_by": latch.released_by,
        "reason": latch.reason,
    }
