"""Export a tenant's audit log as JSON Lines, oldest first."""

from sqlalchemy import Connection

from app.audit.queries import entries as queries
from app.audit.rules.chain import COLUMNS, Head
from app.audit.rules.export_verification import serialize_line

ENTRIES_PER_READ = 1_000  # about 400 KB


class AuditLogExport:
    """Reads an audit log in chunks up to `head`. Rows never change, so the chunks form a snapshot."""

    def __init__(self, tenant_id: int, head: Head, chunk: int = ENTRIES_PER_READ) -> None:
        self._tenant_id = tenant_id
        self._until = head.sequence
        self._chunk = chunk
        self._after = 0

    def read(self, connection: Connection) -> bytes:
        """Return the next lines, or nothing after the last one."""
        rows = queries.list_entries_between(
            connection, self._tenant_id, self._after, self._until, self._chunk
        )
        lines = b"".join(serialize_line(COLUMNS, row) for row in rows)
        self._after = rows[-1].sequence if rows else self._after
        return lines
