"""What the API shows of strategies."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection

from app.identity.rules.access import Caller
from app.money import ZERO, fixed, money_text, quantity_text
from app.risk.queries.limits import list_limits
from app.risk.rules.limits import LimitScope
from app.strategies.queries.fills import find_capital, list_fills
from app.strategies.queries.registry import ListedStrategy
from app.strategies.rules.parameters import describe_parameters
from app.strategies.rules.statistics import NO_STATISTICS, StrategyStatistics, compute_statistics
from app.strategies.rules.values import MANUAL, StrategyStatus
from app.strategies.service.code_inspection import Inspected, StrategyCode
from app.timestamps import iso

_RATIO_PLACES = 8
_NOTHING: dict[str, Any] = dict.fromkeys(
    (
        *("entry_point", "code_hash", "portfolio", "interval", "reason", "last_error", "failed_at"),
        *("started_by", "started_at", "created_by", "created_at", "updated_by", "updated_at"),
    )
)


def serialize_strategy(
    connection: Connection,
    listed: ListedStrategy,
    inspected: Inspected,
    statistics: StrategyStatistics = NO_STATISTICS,
) -> dict[str, Any]:
    """Return a strategy as `StrategyOut` describes it."""
    one = listed.strategy
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "entry_point": one.entry_point,
        "code_hash": one.code_hash,
        "portfolio": listed.portfolio_name,
        "symbols": one.symbol_names,
        "interval": one.interval,
        "parameters": orjson.loads(one.parameters),
        "parameter_definitions": _describe_parameters(inspected, one.entry_point),
        "mode": one.mode,
        "limits": _list_limits(connection, one.tenant_id, one.name),
        "version": one.version,
        "status": one.status,
        "reason": one.reason,
        "last_error": one.last_error,
        "failed_at": _format(one.failed_at),
        "run": one.run,
        "started_by": one.started_by,
        "started_at": _format(one.started_at),
        "statistics": serialize_statistics(statistics),
        "created_by": one.created_by,
        "created_at": iso(one.created_at),
        "updated_by": one.updated_by,
        "updated_at": iso(one.updated_at),
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
        "pnl_net": money_text(fixed(statistics.pnl_net)),
        **{name: _round(getattr(statistics, name)) for name in ratios},
    }


def describe_strategies(
    connection: Connection, caller: Caller, strategies: Sequence[ListedStrategy], inspected: Inspected
) -> list[dict[str, Any]]:
    """Return strategies with their statistics, from the portfolios that the caller may see."""
    names = [one.strategy.name for one in strategies]
    found = list_fills(connection, caller.tenant_id, names, caller.portfolios)
    capital = _read_capital(connection, caller.tenant_id, strategies)
    shown = []
    for one in strategies:
        fills = found.get(one.strategy.name, [])
        statistics = compute_statistics(fills, capital.get(one.strategy.portfolio_id or 0, ZERO))
        shown.append(serialize_strategy(connection, one, inspected, statistics))
    return shown


def describe_manual(connection: Connection, caller: Caller) -> dict[str, Any]:
    """Return the strategy of orders that name none, with its statistics."""
    fills = list_fills(connection, caller.tenant_id, [MANUAL], caller.portfolios).get(MANUAL, [])
    books = {int(str(fill.book[0])) for fill in fills}
    capital = sum((find_capital(connection, caller.tenant_id, book) for book in books), ZERO)
    return serialize_manual(compute_statistics(fills, capital))


def _describe_parameters(inspected: Inspected, entry_point: str | None) -> list[dict[str, Any]]:
    """Return the parameters of a strategy, none for signals and where the code cannot be used."""
    code = inspected.get(entry_point or "")
    return describe_parameters(code.parameters) if isinstance(code, StrategyCode) else []


def _read_capital(
    connection: Connection, tenant_id: int, strategies: Sequence[ListedStrategy]
) -> Mapping[int, Decimal]:
    ids = {one.strategy.portfolio_id for one in strategies if one.strategy.portfolio_id is not None}
    return {one: find_capital(connection, tenant_id, one) for one in ids}


def _list_limits(connection: Connection, tenant_id: int, name: str) -> dict[str, str]:
    """Return the limits that are set for the strategy by code."""
    return {
        limit.code.value: limit.words or quantity_text(fixed(limit.value))
        for limit in list_limits(connection, tenant_id)
        if limit.scope is LimitScope.STRATEGY and limit.key == name and limit.until is None
    }


def _format(at: Any) -> str | None:  # an instant, or None
    return None if at is None else iso(at)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, _RATIO_PLACES)
