"""The fields of strategies in responses of the API."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection

from app.identity.rules.access import Caller
from app.money import ZERO, format_money, format_plain_amount
from app.risk.queries.limits import list_limits
from app.risk.rules.limits import LimitScope
from app.strategies.queries.fills import load_capital, load_fills_by_strategy
from app.strategies.queries.registry import ListedStrategy
from app.strategies.rules.parameters import describe_parameters
from app.strategies.rules.statistics import NO_STATISTICS, StrategyStatistics, compute_statistics
from app.strategies.rules.values import MANUAL, StrategyStatus
from app.strategies.service.code_inspection import Inspected, InspectedCode
from app.timestamps import format_optional_timestamp, format_timestamp

_RATIO_PLACES = 8
_NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "entry_point",
        "code_hash",
        "portfolio",
        "interval",
        "reason",
        "last_error",
        "failed_at",
        "started_by",
        "started_at",
        "created_by",
        "created_at",
        "updated_by",
        "updated_at",
    )
)


def serialize_strategy(
    connection: Connection,
    listed_strategy: ListedStrategy,
    inspected: Inspected,
    statistics: StrategyStatistics = NO_STATISTICS,
) -> dict[str, Any]:
    """Return a strategy as `StrategyOut` describes it."""
    strategy = listed_strategy.strategy
    return {
        "id": strategy.id,
        "name": strategy.name,
        "kind": strategy.kind,
        "entry_point": strategy.entry_point,
        "code_hash": strategy.code_hash,
        "portfolio": listed_strategy.portfolio_name,
        "symbols": strategy.symbol_names,
        "interval": strategy.interval,
        "parameters": orjson.loads(strategy.parameters),
        "parameter_definitions": _describe_parameters(inspected, strategy.entry_point),
        "mode": strategy.mode,
        "limits": _list_limits(connection, strategy.tenant_id, strategy.name),
        "version": strategy.version,
        "status": strategy.status,
        "reason": strategy.reason,
        "last_error": strategy.last_error,
        "failed_at": format_optional_timestamp(strategy.failed_at),
        "run": strategy.run,
        "started_by": strategy.started_by,
        "started_at": format_optional_timestamp(strategy.started_at),
        "statistics": serialize_statistics(statistics),
        "created_by": strategy.created_by,
        "created_at": format_timestamp(strategy.created_at),
        "updated_by": strategy.updated_by,
        "updated_at": format_timestamp(strategy.updated_at),
    }


def serialize_manual(statistics: StrategyStatistics) -> dict[str, Any]:
    """Return the strategy of orders that name none. It has no row: it is always active."""
    return {
        "id": MANUAL,
        "name": MANUAL,
        "kind": MANUAL,
        **_NOTHING,
        "symbols": [],
        "parameters": {},
        "parameter_definitions": [],
        "mode": "paper",
        "limits": {},
        "version": 1,
        "status": StrategyStatus.ACTIVE,
        "run": 0,
        "statistics": serialize_statistics(statistics),
    }


def serialize_statistics(statistics: StrategyStatistics) -> dict[str, Any]:
    """Return statistics as JSON values: an amount as text, ratios as numbers."""
    ratios = ("win_rate", "max_drawdown", "sharpe")
    return {
        **statistics._asdict(),
        "pnl_net": format_money(statistics.pnl_net),
        **{name: _round_ratio(getattr(statistics, name)) for name in ratios},
    }


def describe_strategies(
    connection: Connection, caller: Caller, strategies: Sequence[ListedStrategy], inspected: Inspected
) -> list[dict[str, Any]]:
    """Return strategies with their statistics, from the portfolios that the caller may see."""
    names = [listed_strategy.strategy.name for listed_strategy in strategies]
    fills_by_strategy = load_fills_by_strategy(connection, caller.tenant_id, names, caller.portfolios)
    capital = _read_capital(connection, caller.tenant_id, strategies)
    serialized_strategies = []
    for strategy in strategies:
        fills = fills_by_strategy.get(strategy.strategy.name, [])
        statistics = compute_statistics(fills, capital.get(strategy.strategy.portfolio_id or 0, ZERO))
        serialized_strategies.append(serialize_strategy(connection, strategy, inspected, statistics))
    return serialized_strategies


def describe_manual(connection: Connection, caller: Caller) -> dict[str, Any]:
    """Return the strategy of orders that name none, with its statistics."""
    fills = load_fills_by_strategy(connection, caller.tenant_id, [MANUAL], caller.portfolios).get(MANUAL, [])
    portfolio_ids = {fill.position_key.portfolio_id for fill in fills}
    capital = sum(
        (load_capital(connection, caller.tenant_id, portfolio_id) for portfolio_id in portfolio_ids), ZERO
    )
    return serialize_manual(compute_statistics(fills, capital))


def _describe_parameters(inspected: Inspected, entry_point: str | None) -> list[dict[str, Any]]:
    """Return the parameters of a strategy, none for signals and where the code cannot be used."""
    code = inspected.get(entry_point or "")
    return describe_parameters(code.parameters) if isinstance(code, InspectedCode) else []


def _read_capital(
    connection: Connection, tenant_id: int, strategies: Sequence[ListedStrategy]
) -> Mapping[int, Decimal]:
    ids = {
        strategy.strategy.portfolio_id
        for strategy in strategies
        if strategy.strategy.portfolio_id is not None
    }
    return {portfolio_id: load_capital(connection, tenant_id, portfolio_id) for portfolio_id in ids}


def _list_limits(connection: Connection, tenant_id: int, name: str) -> dict[str, str]:
    """Return the limits that are set for the strategy by code."""
    return {
        limit.code.value: limit.allowed_values or format_plain_amount(limit.value)
        for limit in list_limits(connection, tenant_id)
        if limit.scope is LimitScope.STRATEGY and limit.key == name and limit.until is None
    }


def _round_ratio(value: float | None) -> float | None:
    return None if value is None else round(value, _RATIO_PLACES)
