"""Routes of corporate actions."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import Connection

from app.corporate_actions import queries
from app.corporate_actions.dependencies import CorporateActionsDep
from app.corporate_actions.queries import ActionRecord
from app.corporate_actions.rules.values import ActionPreview
from app.corporate_actions.schemas import (
    CorporateActionIn,
    CorporateActionOut,
    CorporateActionPreviewOut,
    CorporateActionQuery,
    ReversalIn,
    serialize_preview,
    serialize_record,
)
from app.corporate_actions.service.changes import build_action, create_action, load_record, record_reversal
from app.corporate_actions.service.preview import preview_action
from app.http.body import json_body
from app.http.dependencies import ClockDep, ReadersDep
from app.http.list_pages import PagesDep
from app.http.paths import ID_CONVERTOR
from app.http.responses import REPLAYED_NAME, build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.ledger.rules.corporate_actions import CorporateActionTerms
from app.market_data.dependencies import MarketDep
from app.timestamps import format_timestamp

BookCorporateActionCaller = Annotated[Caller, Depends(require_permission(Operation.BOOK_CORPORATE_ACTION))]
ActionIdPath = Annotated[str, Path(description="ID of the action", json_schema_extra={"maxLength": 32})]

router = APIRouter(tags=["corporate actions"])
_LIST = "corporate actions"
EXAMPLE = {
    "kind": "split",
    "symbol": "AAPL",
    "new_units": "2",
    "old_units": "1",
    "ex_date": "2026-11-23",
    "reason": "Announced on 2026-10-30",
}
CorporateActionBody = Annotated[CorporateActionIn, Depends(json_body(CorporateActionIn, EXAMPLE))]
ReversalBody = Annotated[ReversalIn, Depends(json_body(ReversalIn, {"reason": "Wrong ratio"}))]


@router.post(
    "/corporate-actions:preview",
    summary="Preview a corporate action",
    **document_responses(200, CorporateActionPreviewOut, 409),
)
async def preview(
    caller: BookCorporateActionCaller,
    body: CorporateActionBody,
    readers: ReadersDep,
    market: MarketDep,
    now: ClockDep,
) -> Response:
    """Compute the changes of positions, cash and open orders without recording anything."""
    draft, at = body.to_draft(), now()

    def read(connection: Connection) -> tuple[CorporateActionTerms, ActionPreview]:
        action = build_action(connection, caller.tenant_id, draft)
        return action, preview_action(connection, action, market.find_rate, at)

    action, action_preview = await readers.run(read, caller.tenant_id)
    return build_json_response(serialize_preview(action.effective_at, action.new_symbol, action_preview))


@router.post(
    "/corporate-actions",
    summary="Create a corporate action",
    **document_responses(201, CorporateActionOut, 409),
)
async def create(
    caller: BookCorporateActionCaller, body: CorporateActionBody, change_requests: ChangeRequestsDep,
    corporate_actions: CorporateActionsDep, readers: ReadersDep, market: MarketDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Record a split, a symbol change or a cash dividend, and book it in all portfolios.

    It is booked when its ex-date begins, or at once if it has begun. It changes positions from executions
    before the ex-date. Open orders are restated (split) or canceled (symbol change).
    """
    request, draft = change_requests.build(caller, body), body.to_draft()
    result = await change_requests.executor.execute(request, create_action, draft, market.find_rate)
    action_id = orjson.loads(result.body)["id"]
    action = await _load_action(readers, caller, action_id)
    if action.booked_at is None and action.reversed_at is None:
        await corporate_actions.book(action)
        action = await _load_action(readers, caller, action_id)
    headers = {REPLAYED_NAME: "true"} if result.replayed else {}
    return build_json_response(serialize_record(action, format_timestamp(now())), 201, headers)


@router.get(
    "/corporate-actions",
    summary="List corporate actions",
    **document_responses(200, list[CorporateActionOut]),
)
async def list_corporate_actions(
    caller: ReadBooksCaller, query: Annotated[CorporateActionQuery, Query()], readers: ReadersDep,
    pages: PagesDep, now: ClockDep,
) -> Response:  # fmt: skip
    """List the corporate actions, the newest first."""
    tenant_id = caller.tenant_id
    page = pages.open(tenant_id, _LIST, query)

    def read(connection: Connection) -> list[ActionRecord]:
        return queries.list_actions(connection, tenant_id, query.symbol, page.count, page.start)

    actions, at = await readers.run(read, tenant_id), format_timestamp(now())
    return page.build_response(
        actions, lambda action: serialize_record(action, at), lambda last: last.action.id
    )


@router.get(
    f"/corporate-actions/{{action_id:{ID_CONVERTOR}}}",
    summary="Get a corporate action",
    **document_responses(200, CorporateActionOut, 404),
)
async def get_corporate_action(
    caller: ReadBooksCaller, action_id: ActionIdPath, readers: ReadersDep, now: ClockDep
) -> Response:
    """Get one corporate action with its status."""
    return build_json_response(
        serialize_record(await _load_action(readers, caller, action_id), format_timestamp(now()))
    )


@router.post(
    "/corporate-actions/{action_id}:reverse",
    summary="Reverse a corporate action",
    **document_responses(200, CorporateActionOut, 404, 409),
)
async def reverse(
    caller: BookCorporateActionCaller, action_id: ActionIdPath, body: ReversalBody,
    change_requests: ChangeRequestsDep, corporate_actions: CorporateActionsDep, readers: ReadersDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Reverse the bookings of an action with new rows, and restate its open orders again.

    An action that is not yet booked is withdrawn. Orders that it canceled stay canceled.
    """
    request = change_requests.build(caller, body)
    action = await _load_action(readers, caller, action_id)
    if action.reversed_at is None:
        await corporate_actions.reverse(action, caller.actor)
    result = await change_requests.executor.execute(request, record_reversal, action_id, body.reason)
    if not result.replayed:  # also rows that a booking wrote in between: later ones see that it is reversed
        await corporate_actions.reverse(action, caller.actor)
    headers = {REPLAYED_NAME: "true"} if result.replayed else {}
    return build_json_response(
        serialize_record(await _load_action(readers, caller, action_id), format_timestamp(now())),
        200,
        headers,
    )


async def _load_action(readers: ReadersDep, caller: Caller, action_id: str) -> ActionRecord:
    return await readers.read(caller.tenant_id, load_record, action_id)
