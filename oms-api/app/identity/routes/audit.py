"""Routes that read and export the audit log."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.audit.queries import entries as queries
from app.audit.service.log_export import AuditLogExport
from app.http.dependencies import ClockDep, ExportsDep, ReadersDep
from app.http.exports import ReadChunk, describe_lines
from app.http.list_pages import PagesDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import get_rate_limit_key, require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.schemas.audit import AuditQuery, EntryOut, HeadOut, serialize_entry
from app.timestamps import format_timestamp

router = APIRouter(prefix="/audit", tags=["audit"])

ReadAuditCaller = Annotated[Caller, Depends(require_permission(Operation.READ_AUDIT))]
_ENTRIES = "audit"  # the name of the list in cursors


@router.get("", summary="List audit log entries", **document_responses(200, list[EntryOut]))
async def list_entries(
    caller: ReadAuditCaller, query: Annotated[AuditQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List the recorded actions, newest first."""
    tenant_id, filters = caller.tenant_id, query.filter()
    page = pages.open(tenant_id, _ENTRIES, query)
    before = None if page.start is None else int(page.start)
    chained_entries = await readers.read(tenant_id, queries.list_entries, filters, page.count, before)
    return page.build_response(chained_entries, serialize_entry, lambda last: str(last.sequence))


@router.get(
    "/export",
    summary="Export the audit log",
    response_class=Response,
    **document_responses(
        200, describe_lines("The audit log as JSON Lines", '{"tenant_id":1,"sequence":1,…}')
    ),
)
async def export_entries(caller: ReadAuditCaller, readers: ReadersDep, exports: ExportsDep) -> Response:
    """Export the whole audit log, oldest first, each entry exactly as it is hashed.

    `python -m app.verify --audit FILE` verifies it offline.
    """
    tenant_id = caller.tenant_id

    async def begin() -> ReadChunk:
        head = await readers.read(tenant_id, queries.get_head)
        export = AuditLogExport(tenant_id, head)
        return lambda: readers.run(export.read, tenant_id)

    return await exports.respond(tenant_id, get_rate_limit_key(caller), begin, "audit.jsonl")


@router.get("/head", summary="Get the audit log head", **document_responses(200, HeadOut))
async def get_audit_head(caller: ReadAuditCaller, readers: ReadersDep, now: ClockDep) -> Response:
    """Get the current head of the audit log: the sequence number and hash of its last entry.

    Store it outside of this service: `python -m app.verify --audit FILE --head FILE` detects entries that
    were rewritten or truncated since.
    """
    tenant_id, at = caller.tenant_id, now()
    head = await readers.read(tenant_id, queries.get_head)
    return build_json_response(
        {"tenant": tenant_id, "sequence": head.sequence, "hash": head.hash, "at": format_timestamp(at)}
    )
