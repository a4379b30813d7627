"""Limits and kill switches."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from app.audit.service import record
from app.clock import iso
from app.edge import FastRequest
from app.errors import FieldError, Invalid
from app.identity.dependencies import Reader, allowed
from app.identity.rules.access import Caller, Operation
from app.ledger.rules.chain import fingerprint
from app.ledger.service.desk import Asking
from app.risk.dependencies import TheBoard, TheControls
from app.risk.queries import limits as limit_queries
from app.risk.queries import switches as switch_queries
from app.risk.queries.switches import SwitchChange
from app.risk.rules.limits import LimitScope, standing
from app.risk.rules.switches import SwitchScope
from app.risk.rules.values import TradingState
from app.risk.schemas import (
    LimitIn,
    LimitOut,
    SwitchIn,
    SwitchOut,
    TurnedOut,
    limit_out,
    switch_out,
    turned_out,
)  # fmt: skip
from app.risk.service.limiting import drop_limit, set_limit
from app.risk.service.trails import limit_entry, switch_entry
from app.wire.answers import REPLAYED, REPLAYED_HEADER, answer, responses
from app.wire.body import documented_body, json_body
from app.wire.dependencies import TheChanges, TheClock, TheReaders
from app.wire.idempotency import IdempotencyKey

router = APIRouter(tags=["risk"])

LimitSetter = Annotated[Caller, Depends(allowed(Operation.SET_LIMIT))]
SwitchTurner = Annotated[Caller, Depends(allowed(Operation.TURN_SWITCH))]

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
    "reason": "Bad prices",
}
_UNTURNED = SwitchChange(SwitchScope.TENANT, "", "", TradingState.ACTIVE, None, "", "")


@router.get("/limits", responses=responses(200, {"model": list[LimitOut]}))
async def list_limits(caller: Reader, readers: TheReaders, now: TheClock) -> Response:
    """Limits that were set. Where none was, a paper portfolio has the default profile's, a live one trades
    not.
    """
    tenant_id = caller.tenant_id
    found = await readers.run(lambda connection: limit_queries.list_limits(connection, tenant_id), tenant_id)
    holds = standing(found, iso(now()))
    seen = [one for one in found if one.scope is not LimitScope.PORTFOLIO or caller.sees(one.key)]
    return answer([limit_out(one, in_force=one in holds) for one in seen])


@router.put(
    "/limits",
    responses=responses(200, {"model": LimitOut}, 413, 415),
    openapi_extra=documented_body(LimitIn, LIMIT_EXAMPLE),
)
async def put_limit(
    caller: LimitSetter, body: Annotated[LimitIn, Depends(json_body(LimitIn))], changes: TheChanges,
    controls: TheControls, now: TheClock, request: Request,
) -> Response:  # fmt: skip
    """Set a limit, or take it away. It holds within a second, in every process."""
    at = now()
    if body.until is not None and body.until <= at:
        message = "Must be an instant that is still to come."
        raise Invalid("The limit would have ended before it began.", [FieldError("until", message, "past")])
    limit, takes_away = body.limit(caller.actor, at), body.value is None
    edge: FastRequest = request.state.edge

    def write(connection: Connection) -> None:
        change = (drop_limit if takes_away else set_limit)(connection, caller.tenant_id, limit)
        record(connection, [limit_entry(caller, edge, at, limit, change)])

    await changes.run(write, caller.tenant_id)
    controls.forget(caller.tenant_id)
    return answer(limit_out(limit, in_force=not takes_away, taken_away=takes_away))


@router.get("/kill-switch", responses=responses(200, {"model": list[SwitchOut]}))
async def list_switches(caller: Reader, readers: TheReaders) -> Response:
    """The kill switches: the tenant's own, and those of portfolios and strategies that were ever turned."""
    tenant_id = caller.tenant_id
    found = await readers.run(
        lambda connection: switch_queries.list_switches(connection, tenant_id), tenant_id
    )
    if not found or found[0].scope is not SwitchScope.TENANT:
        found.insert(0, _UNTURNED)
    seen = [one for one in found if one.scope is not SwitchScope.PORTFOLIO or caller.sees(one.key)]
    return answer(list(map(switch_out, seen)))


@router.post(
    "/kill-switch",
    responses=responses(200, {"model": TurnedOut}, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(SwitchIn, SWITCH_EXAMPLE),
)
async def turn_switch(
    caller: SwitchTurner, body: Annotated[SwitchIn, Depends(json_body(SwitchIn))], board: TheBoard,
    key: IdempotencyKey, now: TheClock, request: Request,
) -> Response:  # fmt: skip
    """Turn a kill switch. When this is answered, nothing that the state forbids is under way, in any process.

    HALTED lets nothing in, REDUCING only what makes a position smaller. Working orders stay unless `flatten`
    is true: then they are cancelled and the positions closed at market.
    """
    at, edge = now(), request.state.edge
    change = body.change(caller.actor, at, key, _request_hash(body) if key else None)
    entry = switch_entry(caller, edge, at, change)
    asking = Asking(caller, edge.request_id, key)
    stopped = await board.turn(asking, change, entry, flattens=body.flatten)
    headers = {REPLAYED: "true"} if stopped.turned.replayed else {}
    told = turned_out(stopped.turned.change, *stopped[1:])
    return answer(told, headers=headers)


def _request_hash(body: SwitchIn) -> str:
    return fingerprint(body.scope, body.name, body.state.value, str(body.flatten), body.reason)
