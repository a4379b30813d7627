"""Routes of limits, kill switches and latches."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.errors import FieldError, Invalid
from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ClockDep, ReadersDep
from app.http.idempotency import IdempotencyKey
from app.http.list_pages import PagesDep
from app.http.lists import PageQuery
from app.http.responses import REPLAYED_HEADER, REPLAYED_NAME, build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.ledger.rules.chain import hash_request
from app.risk.dependencies import ControlsDep, KillSwitchesDep
from app.risk.queries import latches as latch_queries
from app.risk.queries import switches as switch_queries
from app.risk.queries.switches import SwitchChange
from app.risk.rules.switches import ExitPolicy, SwitchScope
from app.risk.rules.values import TradingState
from app.risk.schemas import (
    KillSwitchResultOut,
    LatchOut,
    LatchQuery,
    LimitIn,
    LimitOut,
    ReleaseIn,
    SwitchIn,
    SwitchOut,
    build_kill_switch_result,
    serialize_limit,
    serialize_switch,
)  # fmt: skip
from app.risk.service import latches as latch_service
from app.risk.service.audit_entries import build_switch_entry
from app.risk.service.limit_changes import change_limit
from app.risk.service.limit_listing import list_visible_limits
from app.timestamps import BEFORE_ALL, format_timestamp

router = APIRouter(tags=["risk"])

SetLimitCaller = Annotated[Caller, Depends(require_permission(Operation.SET_LIMIT))]
SetKillSwitchCaller = Annotated[Caller, Depends(require_permission(Operation.SET_KILL_SWITCH))]
ReadLatchesCaller = Annotated[Caller, Depends(require_permission(Operation.READ_LATCHES))]
ReleaseLatchCaller = Annotated[Caller, Depends(require_permission(Operation.RELEASE_LATCH))]

LIMIT_EXAMPLE: dict[str, Any] = {
    "scope": "portfolio",
    "name": "Growth",
    "code": "MAX_ORDER_VALUE",
    "value": "25000",
    "until": None,
}
SWITCH_EXAMPLE: dict[str, Any] = {
    "scope": "portfolio",
    "name": "Growth",
    "state": "REDUCING",
    "flatten": False,
    "exits": "keep",
    "reason": "Bad prices",
}
_LIMITS, _LATCHES = "limits", "latches"
_MAX_ID = 32
_DEFAULT_STATE = SwitchChange(
    scope=SwitchScope.TENANT,
    key="",
    name="",
    state=TradingState.ACTIVE,
    reason=None,
    set_by="",
    set_at=BEFORE_ALL,
)
ReleaseBody = Annotated[ReleaseIn, Depends(json_body(ReleaseIn, {"reason": "The feed is repaired"}))]


@router.get("/limits", summary="List risk limits", **document_responses(200, list[LimitOut]))
async def list_limits(
    caller: ReadBooksCaller,
    query: Annotated[PageQuery, Query()],
    readers: ReadersDep,
    now: ClockDep,
    pages: PagesDep,
) -> Response:
    """List risk limits, sorted by scope, name and code.

    Paper portfolios without limits use the default profile. Live portfolios cannot trade until limits are
    set.
    """
    tenant_id, at = caller.tenant_id, format_timestamp(now())
    requested = pages.open(tenant_id, _LIMITS, query)
    page = await readers.run(
        lambda connection: list_visible_limits(connection, caller, requested.start or "", query.limit, at),
        tenant_id,
    )
    limits = [serialize_limit(entry.limit, in_force=entry.is_active) for entry in page.limits]
    return requested.build_content_response(limits, page.next_key)


@router.put("/limits", summary="Set or remove a risk limit", **document_responses(200, LimitOut, 409))
async def put_limit(
    caller: SetLimitCaller, body: Annotated[LimitIn, Depends(json_body(LimitIn, LIMIT_EXAMPLE))],
    changes: ChangesDep, controls: ControlsDep, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """Set a limit. To remove it, set `value` to null.

    The change takes effect within one second."""
    at = now()
    if body.until is not None and body.until <= at:
        message = "Must be in the future."
        raise Invalid("`until` must be in the future.", [FieldError("until", message, "past")])
    requested, is_removed = body.build_limit(_get_actor(caller), at), body.value is None
    request_info = get_request_info(request)
    limit = await changes.run(
        lambda connection: change_limit(
            connection, caller, request_info, requested, at, is_removed=is_removed
        ),
        caller.tenant_id,
    )
    controls.invalidate(caller.tenant_id)
    return build_json_response(serialize_limit(limit, in_force=not is_removed, is_removed=is_removed))


@router.get("/kill-switch", summary="List kill switches", **document_responses(200, list[SwitchOut]))
async def list_switches(caller: ReadBooksCaller, readers: ReadersDep) -> Response:
    """List the tenant's kill switch, and all portfolio and strategy kill switches that were ever set."""
    tenant_id = caller.tenant_id
    switch_changes = await readers.read(tenant_id, switch_queries.list_switches)
    if not switch_changes or switch_changes[0].scope is not SwitchScope.TENANT:
        switch_changes.insert(0, _DEFAULT_STATE)
    visible_switches = [
        switch_change
        for switch_change in switch_changes
        if switch_change.scope is not SwitchScope.PORTFOLIO or caller.can_see(switch_change.key)
    ]
    return build_json_response(list(map(serialize_switch, visible_switches)))


@router.post(
    "/kill-switch",
    summary="Set a kill switch",
    **document_responses(200, KillSwitchResultOut, 409, headers=REPLAYED_HEADER),
)
async def set_kill_switch(
    caller: SetKillSwitchCaller, body: Annotated[SwitchIn, Depends(json_body(SwitchIn, SWITCH_EXAMPLE))],
    kill_switches: KillSwitchesDep, key: IdempotencyKey, now: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """Set a kill switch.

    Once you receive the response, no order that the state forbids can execute.

    - HALTED rejects new orders and cancels open orders that open or increase a position.
    - REDUCING accepts only orders that reduce a position.
    - ACTIVE resumes trading. The person who stopped trading cannot resume it, directly or with an API key
    that this person created: another person must. A stop by an API key without a person, or by the service,
    can be ended by everybody who may set kill switches.

    | `exits`, with HALTED | effect |
    | --- | --- |
    | `keep` | keeps the exits of positions |
    | `cancel` | cancels the exits, too |
    | `flatten` | cancels all orders and closes all positions at market; same as `"flatten": true` |
    """
    at, request_info = now(), get_request_info(request)
    change = body.build_change(_get_actor(caller), at, key, _request_hash(body) if key else None)
    entry = build_switch_entry(caller, request_info, at, change)
    authenticated_request = AuthenticatedRequest(caller, request_info.request_id, key)
    stopped = await kill_switches.set_state(authenticated_request, change, entry, body.exit_policy)
    headers = {REPLAYED_NAME: "true"} if stopped.applied.is_replay else {}
    content = build_kill_switch_result(
        stopped.applied.change,
        stopped.applied_portfolios,
        stopped.pending_portfolios,
        stopped.canceled,
        stopped.flattened,
        stopped.unconfirmed,
    )
    return build_json_response(content, headers=headers)


def _request_hash(body: SwitchIn) -> str:
    exits = (
        [] if body.exits is ExitPolicy.KEEP else [body.exits.value]
    )  # keeps hashes from before `exits` valid
    return hash_request(body.scope, body.name, body.state.value, str(body.flatten), body.reason, *exits)


def _get_actor(caller: Caller) -> str:
    """Return who acts: the person, else the API key."""
    return caller.person or caller.name


@router.get("/latches", summary="List execution latches", **document_responses(200, list[LatchOut]))
async def list_latches(
    caller: ReadLatchesCaller, query: Annotated[LatchQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List execution latches, newest first.

    A latch stops a strategy or API key that trades a symbol too often. A person must release it.
    """
    page = pages.open(caller.tenant_id, _LATCHES, query)
    latches = await readers.read(
        caller.tenant_id, latch_queries.list_latches, page.count, page.start, query.is_active
    )
    return page.build_response(latches, latch_service.serialize_latch, lambda last: last.id)


@router.post(
    "/latches/{latch_id}/release",
    summary="Release an execution latch",
    **document_responses(200, LatchOut, 404, 409),
)
async def release_latch(
    caller: ReleaseLatchCaller, latch_id: Annotated[str, Path(max_length=_MAX_ID)], body: ReleaseBody,
    controls: ControlsDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Release a latch, so that its strategy or API key can trade the symbol again.

    The execution count restarts at zero.

    Requires a logged-in user, or an API key acting for a user.
    """
    response = await change_requests.execute(caller, body, latch_service.release_latch, latch_id, body.reason)
    controls.invalidate(caller.tenant_id)
    return response
