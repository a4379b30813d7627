"""Export the ledger for auditors."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Response

from app.http.dependencies import ClockDep, ExportsDep, ReadersDep
from app.http.exports import JSON_LINES, Read, describe_lines
from app.http.responses import document_responses
from app.identity.dependencies import get_rate_limit_key, require_permission
from app.identity.rules.access import Caller, Operation
from app.ledger.queries.exports import load_ledger_heads
from app.ledger.service.ledger_export import LedgerExport
from app.timestamps import format_timestamp

router = APIRouter(prefix="/trades", tags=["audit"])

LedgerAuditor = Annotated[Caller, Depends(require_permission(Operation.EXPORT_LEDGER))]


@router.get(
    "/export",
    summary="Export the ledger",
    response_class=Response,
    **document_responses(
        200, describe_lines("The ledger as JSON Lines", '{"tenant_id":1,"trade_id":"T…",…}')
    ),
)
async def export_ledger(caller: LedgerAuditor, readers: ReadersDep, exports: ExportsDep) -> Response:
    """Export the whole ledger, portfolio by portfolio in sequence.

    Each row has the form that is hashed. Verify it offline with `python -m app.verify --audit FILE`.
    """
    tenant_id = caller.tenant_id

    async def begin() -> Read:
        heads = await readers.read(tenant_id, load_ledger_heads)
        export = LedgerExport(tenant_id, heads)
        return lambda: readers.run(export.read, tenant_id)

    return await exports.respond(tenant_id, get_rate_limit_key(caller), begin, "trades.jsonl")


@router.get(
    "/heads",
    summary="Get the ledger heads",
    response_class=Response,
    **document_responses(
        200, describe_lines("Heads as JSON Lines", '{"tenant":1,"portfolio":7,"sequence":3,…}')
    ),
)
async def list_ledger_heads(caller: LedgerAuditor, readers: ReadersDep, now: ClockDep) -> Response:
    """Get the head of each portfolio's ledger, one per line.

    Store them where this service has no access: `--head FILE` lets the verifier find rows that were rewritten
    or cut off since.
    """
    tenant_id, at = caller.tenant_id, format_timestamp(now())
    heads = await readers.read(tenant_id, load_ledger_heads)
    heads_content = (
        {
            "tenant": tenant_id,
            "portfolio": head.portfolio_id,
            "sequence": head.sequence,
            "hash": head.hash,
            "at": at,
        }
        for head in heads
    )
    lines = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in heads_content)
    return Response(lines, media_type=JSON_LINES)
