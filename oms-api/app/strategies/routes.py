"""Routes of strategies."""

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import Connection

from app.database import Readers
from app.http.body import json_body
from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequests, ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeRequest
from app.ledger.schemas import Label
from app.orders.dependencies import OrderServiceDep
from app.orders.service.order_service import OrderService
from app.risk.dependencies import ControlsDep
from app.strategies.dependencies import CodeInspectorDep
from app.strategies.queries.registry import find_strategy, list_strategies
from app.strategies.rules.transitions import StrategyAction
from app.strategies.rules.values import MANUAL
from app.strategies.schemas import (
    EXAMPLE,
    PATCH_EXAMPLE,
    REASON_EXAMPLE,
    START_EXAMPLE,
    ReasonIn,
    StartIn,
    StrategyIn,
    StrategyOut,
    StrategyPatch,
)
from app.strategies.service.code_inspection import CodeInspector, Inspected
from app.strategies.service.entry_cancellation import cancel_entries
from app.strategies.service.presentation import describe_manual, describe_strategies
from app.strategies.service.registry import StrategyRegistry, require_strategy
from app.strategies.service.status_changes import StatusChanges, StatusRequest

router = APIRouter(prefix="/strategies", tags=["strategies"])

ManageStrategiesCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_STRATEGIES))]
ChangeStrategyCaller = Annotated[Caller, Depends(require_permission(Operation.CHANGE_STRATEGY))]
StartStrategyCaller = Annotated[Caller, Depends(require_permission(Operation.START_STRATEGY))]
StopStrategyCaller = Annotated[Caller, Depends(require_permission(Operation.STOP_STRATEGY))]
StrategyNamePath = Annotated[Label, Path(max_length=100, description="Name of the strategy")]
StartBody = Annotated[StartIn, Depends(json_body(StartIn, START_EXAMPLE, is_required=False))]
ReasonBody = Annotated[ReasonIn, Depends(json_body(ReasonIn, REASON_EXAMPLE, is_required=False))]


@router.post("", summary="Create a strategy", **document_responses(201, StrategyOut, 409))
async def post_strategy(
    caller: ManageStrategiesCaller, body: Annotated[StrategyIn, Depends(json_body(StrategyIn, EXAMPLE))],
    inspector: CodeInspectorDep, change_requests: ChangeRequestsDep, clock: ClockDep, controls: ControlsDep,
) -> Response:  # fmt: skip
    """Register a strategy with its code, parameters, portfolio and limits.

    It is INACTIVE until you start it.
    """
    new = body.build(caller.actor, clock())
    registry = StrategyRegistry(await inspector.inspect_all([new.entry_point]))
    response = await change_requests.execute(caller, body, registry.create, new)
    controls.invalidate(caller.tenant_id)
    return response


@router.get("", summary="List strategies", **document_responses(200, list[StrategyOut]))
async def get_strategies(
    caller: ReadBooksCaller, readers: ReadersDep, inspector: CodeInspectorDep
) -> Response:
    """List strategies by name, with statistics. The first, `manual`, has all orders without a strategy."""

    strategies = await readers.run(lambda connection: list_strategies(connection, caller), caller.tenant_id)
    inspected = await inspector.inspect_for_display(listed.strategy.entry_point for listed in strategies)

    def read(connection: Connection) -> list[dict[str, Any]]:
        manual = describe_manual(connection, caller)
        return [manual, *describe_strategies(connection, caller, strategies, inspected)]

    return build_json_response(await readers.run(read, caller.tenant_id))


@router.get("/{strategy_name}", summary="Get a strategy", **document_responses(200, StrategyOut, 404))
async def get_strategy(
    caller: ReadBooksCaller, strategy_name: StrategyNamePath, readers: ReadersDep, inspector: CodeInspectorDep
) -> Response:
    """Get a strategy with its status, its last error and its statistics."""
    inspected = await _inspect_strategy(inspector, readers, caller, strategy_name)

    def read(connection: Connection) -> dict[str, Any]:
        if strategy_name == MANUAL:
            return describe_manual(connection, caller)
        listed_strategy = require_strategy(connection, caller, strategy_name)
        return describe_strategies(connection, caller, [listed_strategy], inspected)[0]

    return build_json_response(await readers.run(read, caller.tenant_id))


@router.patch(
    "/{strategy_name}", summary="Update a strategy", **document_responses(200, StrategyOut, 404, 409)
)
async def patch_strategy(
    caller: ChangeStrategyCaller, strategy_name: StrategyNamePath,
    body: Annotated[StrategyPatch, Depends(json_body(StrategyPatch, PATCH_EXAMPLE))],
    inspector: CodeInspectorDep, readers: ReadersDep, change_requests: ChangeRequestsDep, clock: ClockDep,
    controls: ControlsDep,
) -> Response:  # fmt: skip
    """Change parameters, or as an administrator also other settings.

    An administrator can change code, portfolio, symbols, interval, mode and limits.
    A running strategy uses new parameters from its next input on.
    """
    changes = body.build(strategy_name, caller.actor, clock())
    entry_point = changes.get("entry_point") or await _read_entry_point(readers, caller, strategy_name)
    registry = StrategyRegistry(await inspector.inspect_all([entry_point]))
    response = await change_requests.execute(caller, body, registry.update, strategy_name, changes)
    controls.invalidate(caller.tenant_id)
    return response


@router.post(
    "/{strategy_name}:start", summary="Start a strategy", **document_responses(200, StrategyOut, 404, 409)
)
async def start_strategy(
    caller: StartStrategyCaller, strategy_name: StrategyNamePath, body: StartBody,
    inspector: CodeInspectorDep,
    readers: ReadersDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Start or resume a strategy. To start it from the status ERROR, set `acknowledge_error`."""
    status_request = StatusRequest(StrategyAction.START, strategy_name, body.reason, body.acknowledge_error)
    changes = StatusChanges(await _inspect_strategy(inspector, readers, caller, strategy_name))
    return await change_requests.execute(caller, body, changes.change, status_request)


@router.post(
    "/{strategy_name}:pause", summary="Pause a strategy", **document_responses(200, StrategyOut, 404, 409)
)
async def pause_strategy(
    caller: StopStrategyCaller, strategy_name: StrategyNamePath, body: ReasonBody,
    inspector: CodeInspectorDep,
    orders: OrderServiceDep, readers: ReadersDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Stop calling a strategy and cancel its entry orders. Its exit orders stay open."""
    status_request = StatusRequest(StrategyAction.PAUSE, strategy_name, body.reason)
    request = change_requests.build(caller, body)
    return await _halt_strategy(
        status_request, request, _Services(inspector, orders, readers, change_requests)
    )


@router.post(
    "/{strategy_name}:stop", summary="Stop a strategy", **document_responses(200, StrategyOut, 404, 409)
)
async def stop_strategy(
    caller: StopStrategyCaller, strategy_name: StrategyNamePath, body: ReasonBody,
    inspector: CodeInspectorDep,
    orders: OrderServiceDep, readers: ReadersDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Pause a strategy, save its state, and make it INACTIVE."""
    status_request = StatusRequest(StrategyAction.STOP, strategy_name, body.reason)
    request = change_requests.build(caller, body)
    return await _halt_strategy(
        status_request, request, _Services(inspector, orders, readers, change_requests)
    )


class _Services(NamedTuple):
    inspector: CodeInspector
    orders: OrderService
    readers: Readers
    change_requests: ChangeRequests


async def _inspect_strategy(
    inspector: CodeInspector, readers: Readers, caller: Caller, name: str
) -> Inspected:
    """Inspect the code of a strategy before the transaction that shows it."""
    return await inspector.inspect_for_display([await _read_entry_point(readers, caller, name)])


async def _read_entry_point(readers: Readers, caller: Caller, name: str) -> str | None:
    def read(connection: Connection) -> str | None:
        registered = find_strategy(connection, caller.tenant_id, name)
        return None if registered is None else registered.strategy.entry_point

    return await readers.run(read, caller.tenant_id)


async def _halt_strategy(
    status_request: StatusRequest, request: ChangeRequest, services: _Services
) -> Response:
    """Pause or stop a strategy, and cancel its entries. A repeat cancels the entries that are still open."""
    changes = StatusChanges(
        await _inspect_strategy(services.inspector, services.readers, request.caller, status_request.name)
    )
    response = await services.change_requests.execute_request(request, changes.change, status_request)
    request_id = request.request_id or ""
    await cancel_entries(services.orders, services.readers, request.caller, status_request.name, request_id)
    return response
