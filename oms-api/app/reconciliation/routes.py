"""Routes of the reconciliation with brokers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from app.http.body import json_body
from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies import require_permission
from app.identity.routes.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.reconciliation.dependencies import AdoptionDep
from app.reconciliation.queries import IssueFilter
from app.reconciliation.queries import list_issues as read_issues
from app.reconciliation.schemas import IssueOut, IssueQuery, ResolutionIn, RunOut
from app.reconciliation.service import issues as service
from app.reconciliation.service.adoption import ADOPT
from app.text import name_key

router = APIRouter(tags=["brokers"])

MAX_LISTED = 1_000
ReadBrokersCaller = Annotated[Caller, Depends(require_permission(Operation.READ_BROKERS))]
ReconcileCaller = Annotated[Caller, Depends(require_permission(Operation.RECONCILE))]
ResolutionBody = Annotated[
    ResolutionIn, Depends(json_body(ResolutionIn, {"action": "assign", "reason": "Bought by telephone"}))
]


@router.get(
    "/reconciliation/issues", summary="List reconciliation issues", **document_responses(200, list[IssueOut])
)
async def list_issues(
    caller: ReadBrokersCaller, query: Annotated[IssueQuery, Query()], readers: ReadersDep, clock: ClockDep
) -> Response:
    """List differences between portfolios and their accounts at brokers, newest first, at most 1,000."""
    tenant_id, now = caller.tenant_id, clock()
    key = None if query.portfolio is None else name_key(query.portfolio)
    issue_filter = IssueFilter(query.status, query.severity, key)
    issues = await readers.read(tenant_id, read_issues, issue_filter, MAX_LISTED)
    return build_json_response([service.serialize_issue(issue, now) for issue in issues])


@router.post(
    "/reconciliation:run", summary="Request a reconciliation", **document_responses(202, RunOut, 409)
)
async def run_reconciliation(caller: ReconcileCaller, change_requests: ChangeRequestsDep) -> Response:
    """Compare all accounts of the tenant now. Connected brokers are queried within one second."""
    return await change_requests.execute(caller, None, service.request_comparison)


@router.post(
    "/reconciliation/issues/{issue_id}/resolve",
    summary="Resolve a reconciliation issue",
    **document_responses(200, IssueOut, 404, 409),
)
async def resolve_issue(
    caller: ReconcileCaller, issue_id: Annotated[str, Path(max_length=40, description="ID of the issue")],
    body: ResolutionBody, change_requests: ChangeRequestsDep, adoption: AdoptionDep,
) -> Response:  # fmt: skip
    """Resolve an issue: book the difference, accept it, or assign the issue to yourself.

    Only a named person can book a difference, or decide that a portfolio may trade again. An issue is
    resolved automatically when a later comparison finds no difference.
    """
    if body.action == ADOPT:
        await adoption.adopt(change_requests.build(caller, body), issue_id, body.reason)
    arguments = (issue_id, body.action, body.reason)
    return await change_requests.execute(caller, body, service.resolve_issue, *arguments)
