"""Record actions in the transaction of the change, so that both are committed or neither."""

from collections.abc import Sequence

from sqlalchemy import Connection

from app.audit.queries import entries as queries
from app.audit.rules.aggregation import CountedEntry
from app.audit.rules.chain import ChainedEntry, EntryContent, Head, build_chained_entry
from app.audit.rules.entries import AuditEntry, serialize_values, truncate_entry
from app.timestamps import format_timestamp


def record_entries(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append entries to the audit logs of their tenants, in the given order.

    The logs stay locked until the transaction ends, so record last. The tenant scope must be set.
    """
    append_actions(connection, [CountedEntry(entry, 1) for entry in entries])


def append_actions(connection: Connection, actions: Sequence[CountedEntry]) -> None:
    """Append actions that may have been combined, like `record_entries`."""
    if not actions:
        return
    heads = queries.lock_heads(connection, [action.entry.tenant_id for action in actions])
    rows: list[ChainedEntry] = []
    for action in actions:
        tenant_id = action.entry.tenant_id
        row = build_chained_entry(heads[tenant_id], tenant_id, _build_content(action))
        heads[tenant_id] = Head(row.sequence, row.hash)
        rows.append(row)
    queries.append_rows(connection, rows, heads)


def _build_content(action: CountedEntry) -> EntryContent:
    entry = truncate_entry(action.entry)
    return EntryContent(
        format_timestamp(entry.at),
        entry.actor,
        entry.via,
        entry.action,
        entry.target,
        entry.address,
        entry.request_id,
        serialize_values(entry.before),
        serialize_values(entry.after),
        action.count,
    )
