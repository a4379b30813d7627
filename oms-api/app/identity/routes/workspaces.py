"""Routes by which a bot claims a Slack workspace for its tenant."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.http.body import json_body
from app.http.dependencies import ClockDep
from app.http.responses import document_responses
from app.identity.dependencies.authentication import StatementsDep, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.errors import WorkspaceNotBound
from app.identity.rules.access import Caller, Operation
from app.identity.rules.workspace_statements import WorkspaceStatement
from app.identity.schemas.tenants import EXAMPLE_STATEMENT, WorkspaceClaimIn, WorkspaceOut
from app.identity.service.workspaces import claim_by_statement

ClaimWorkspaceCaller = Annotated[Caller, Depends(require_permission(Operation.CLAIM_WORKSPACE))]
router = APIRouter(tags=["tenants"])
_EXAMPLE = {"team_id": "T012AB3C4", "statement": EXAMPLE_STATEMENT}


@router.post(
    "/workspaces:claim",
    summary="Claim a workspace with a statement of the bot",
    **document_responses(201, WorkspaceOut, 409, other={200: WorkspaceOut}),
)
async def claim_own_workspace(
    caller: ClaimWorkspaceCaller,
    body: Annotated[WorkspaceClaimIn, Depends(json_body(WorkspaceClaimIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep, statements: StatementsDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Assign a Slack workspace to the tenant of the key that the statement names.

    All refusals have the same error. The operator's bot signs the statement with `BOT_STATEMENT_SECRET` after
    Slack's `auth.test` has identified the workspace of its token. A repeat with a new statement returns 200.
    A statement that was used before changes nothing.
    """
    nonce = _require_nonce(statements.read(body.statement, now()), body.team_id, caller)
    # The nonce is the idempotency key, so that a statement takes effect once.
    request = replace(change_requests.build(caller, body), idempotency_key=nonce)

    return await change_requests.execute_request(request, claim_by_statement, body.team_id)


def _require_nonce(statement: WorkspaceStatement | None, team_id: str, caller: Caller) -> str:
    if statement is None or (statement.team_id, statement.key_id) != (team_id, caller.key_id):
        raise WorkspaceNotBound
    return statement.nonce
