"""Routes of the rules by which the signals of a strategy become orders."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import Connection

from app.http.body import json_body
from app.http.dependencies import ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.signals.queries import strategies as queries
from app.signals.rules.values import StrategyRules
from app.signals.schemas.signals import STRATEGY_EXAMPLE, StrategyName, StrategyRulesIn, StrategyRulesOut
from app.signals.service.strategies import delete_strategy_rules, serialize_strategy_rules, set_strategy_rules
from app.text import name_key

router = APIRouter(prefix="/signals/strategies", tags=["signals"])

ManageSignalsCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_SIGNALS))]
StrategyNamePath = Annotated[StrategyName, Path(max_length=100, description="Name of the strategy")]


@router.get("", summary="List rules of strategies", **document_responses(200, list[StrategyRulesOut]))
async def list_strategies(caller: ReadBooksCaller, readers: ReadersDep) -> Response:
    """List the rules that turn signals into orders, by strategy."""
    listed_rules = await readers.read(caller.tenant_id, queries.list_strategies)
    visible = [
        strategy_rules
        for strategy_rules in listed_rules
        if strategy_rules.portfolio_name is None or caller.can_see(name_key(strategy_rules.portfolio_name))
    ]
    return build_json_response(list(map(serialize_strategy_rules, visible)))


@router.put(
    "/{strategy_name}",
    summary="Set the rules of a strategy",
    **document_responses(200, StrategyRulesOut, 404, 409),
)
async def put_strategy(
    caller: ManageSignalsCaller, strategy_name: StrategyNamePath,
    body: Annotated[StrategyRulesIn, Depends(json_body(StrategyRulesIn, STRATEGY_EXAMPLE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Set the portfolio, default size, allowed symbols and mode for the signals of a strategy."""
    symbols = None if body.symbols is None else tuple(body.symbols)

    def change(connection: Connection, request: ChangeRequest, at: datetime) -> ChangeResult:
        fields = (body.portfolio, body.mode, body.to_size(), symbols, caller.actor, at)
        return set_strategy_rules(
            connection, request, StrategyRules(caller.tenant_id, strategy_name, *fields)
        )

    return await change_requests.execute(caller, body, change)


@router.delete(
    "/{strategy_name}",
    summary="Delete the rules of a strategy",
    **document_responses(204, "Deleted", 404, 409),
)
async def remove_strategy(
    caller: ManageSignalsCaller, strategy_name: StrategyNamePath, change_requests: ChangeRequestsDep
) -> Response:
    """Delete the rules of a strategy. Its later signals are refused."""
    return await change_requests.execute(caller, None, delete_strategy_rules, strategy_name)
