"""Verify day closes: their rows against their digest, the audit log and their events."""

from collections.abc import Iterator

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.audit.rules.entries import AuditValues
from app.day_close import queries
from app.day_close.rules.values import build_closed_values, compute_digest
from app.day_close.service.day_closer import DAY_CLOSED
from app.risk.queries.audit import list_risk_events


def verify_day_closes(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each day close that differs from its digest, from the audit log or from its event."""
    stored = {
        (signed_day.day.tenant_id, signed_day.day.date): signed_day
        for signed_day in queries.list_signed_days(connection)
    }
    entries = {(entry.tenant_id, entry.target): entry for entry in list_actions(connection, DAY_CLOSED)}
    events: dict[tuple[int, str], list[AuditValues]] = {}
    for event in list_risk_events(connection, "day."):
        fields = event.payload | {"at": event.at}
        events.setdefault((event.tenant_id, str(event.payload.get("date"))), []).append(fields)
    for key in sorted(stored.keys() | entries.keys() | events.keys()):
        tenant_id, date = key
        location = f"day close {date} of tenant {tenant_id}"
        if key not in stored or key not in entries:
            missing = "row" if key not in stored else "audit entry"
            yield ActionDifference(location, missing, "none", "one")
            continue
        signed, entry = stored[key], entries[key]
        day, fields = signed.day, build_closed_values(signed)
        stored_fields = day._asdict() | fields | {"digest of the rows": compute_digest(*signed)}
        expected = entry.after | {"signed_by": entry.actor, "source": entry.via, "signed_at": entry.at}
        digest = entry.after["digest"]
        yield from find_differences(location, stored_fields, expected | {"digest of the rows": digest})
        published = fields | {"signed_by": day.signed_by, "at": day.signed_at}
        if events.get(key) != [published]:
            yield ActionDifference(location, "event", str(events.get(key)), str(published))
