"""Audit entries and chains of them for tests, and functions that read the audit log.

An entry is valid unless a test changes it.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from app.audit.queries import entries as queries
from app.audit.rules.chain import COLUMNS, START, ChainedEntry, EntryContent, Head, build_chained_entry
from app.audit.rules.entries import AuditEntry
from app.audit.rules.export_verification import AUDIT_LOG, ExportChain, ExportVerifier, serialize_line
from app.database import set_tenant_scope
from app.timestamps import format_timestamp
from tests.factories import NOON


def build_entry(**changes: Any) -> AuditEntry:
    """Return an entry: an admin changes a person's role."""
    fields: dict[str, Any] = {
        "tenant_id": 1,
        "at": NOON,
        "actor": "slack:T1:U1",
        "via": "desk-bot",
        "action": "user.changed",
        "target": "user 7",
        "address": "192.0.2.7",
        "request_id": "r1",
        "before": {"role": "viewer"},
        "after": {"role": "trader"},
    }
    return AuditEntry(**(fields | changes))


def build_chain(count: int, tenant_id: int = 1) -> list[ChainedEntry]:
    """Return an audit log of that many rows."""
    head, rows = START, []
    for number in range(count):
        entry_content = EntryContent(
            at=format_timestamp(NOON + timedelta(seconds=number)),
            actor="alice@desk.example",
            via="session",
            action="user.changed",
            target=f"user {number}",
            address=None,
            request_id=f"r{number}",
            before=None,
            after='{"role":"trader"}',
            count=1,
        )
        rows.append(build_chained_entry(head, tenant_id, entry_content))
        head = Head(rows[-1].sequence, rows[-1].hash)
    return rows


def serialize_rows(rows: list[ChainedEntry]) -> list[bytes]:
    """Return the rows as the lines of an export."""
    return [serialize_line(COLUMNS, row) for row in rows]


def read_audit_log(engine: Engine, tenant_id: int = 1) -> tuple[list[ChainedEntry], Head]:
    """Return a tenant's audit log, and its head."""
    with engine.connect() as connection:
        set_tenant_scope(connection, [tenant_id])
        head = queries.get_head(connection, tenant_id)
        return queries.list_entries_between(connection, tenant_id, 0, head.sequence, 100_000), head


def assert_unbroken(rows: list[ChainedEntry], head: Head) -> None:
    """Check that the rows prove themselves, up to that head."""
    verifier = ExportVerifier([AUDIT_LOG], {ExportChain(rows[0].tenant_id): head})
    assert [verifier.verify_line(serialize_line(COLUMNS, row)) for row in rows] == [None] * len(rows)
    assert verifier.verify_end() is None
