"""Verify the audit logs of a live database: their hash chains and their stored heads."""

from typing import NamedTuple

from sqlalchemy import Connection

from app.audit.queries import entries as queries
from app.audit.rules.chain import COLUMNS, Head
from app.audit.rules.export_verification import AUDIT_LOG, ExportChain, ExportVerifier, serialize_line


class AuditLogResult(NamedTuple):
    """The number of audit logs and entries read, and the first error, if any."""

    logs: int
    entries: int
    problem: str | None


def check_audit_logs(connection: Connection) -> AuditLogResult:
    """Verify all audit logs that the connection may see, in bounded memory, up to the first error."""
    logs = entries = 0
    for tenant_id, head in queries.load_heads_by_tenant(connection).items():
        verifier, problem = _check_audit_log(connection, tenant_id, head)
        logs, entries = logs + 1, entries + verifier.lines
        if problem:
            return AuditLogResult(logs, entries, f"tenant {tenant_id}, entry {verifier.lines}: {problem}")
    return AuditLogResult(logs, entries, None)


def _check_audit_log(connection: Connection, tenant_id: int, head: Head) -> tuple[ExportVerifier, str | None]:
    verifier = ExportVerifier((AUDIT_LOG,), {ExportChain(tenant_id): head})
    for row in queries.iterate_entries(connection, tenant_id):
        finding = verifier.verify_line(serialize_line(COLUMNS, row))
        if finding:
            return verifier, finding.problem
    missing = verifier.verify_end()
    if missing:
        return verifier, missing.problem
    return verifier, "no head covers this entry" if verifier.uncovered_lines else None
