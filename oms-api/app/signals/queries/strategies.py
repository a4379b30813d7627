"""Statements about the signal rules of strategies."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Select, Table, delete, false, func, select
from sqlalchemy.dialects import postgresql, sqlite

from app.ledger.models import Portfolio
from app.signals.models import SignalStrategyRow
from app.signals.rules.values import SignalMode, SignalSize, SizeKind, StrategyRules
from app.strategies.models import StrategyRow

_TABLE = cast("Table", SignalStrategyRow.__table__)


class StrategyKey(NamedTuple):
    """The name of a strategy within a tenant."""

    tenant_id: int
    name: str


class _Row(NamedTuple):
    tenant_id: int
    name: str
    portfolio_name: str | None
    mode: str
    size_kind: str | None
    size_value: Decimal | None
    symbols: str | None
    updated_by: str
    updated_at: datetime
    is_stopped: bool


def list_strategies(connection: Connection, tenant_id: int) -> list[StrategyRules]:
    """Return the rules of all strategies of the tenant, by name."""
    is_of_tenant = SignalStrategyRow.tenant_id == tenant_id
    statement = _select_rules().where(is_of_tenant).order_by(SignalStrategyRow.name)
    return [_build_rules(_Row._make(row)) for row in connection.execute(statement)]


def load_strategy_rules(
    connection: Connection, keys: Collection[StrategyKey]
) -> dict[StrategyKey, StrategyRules]:
    """Return the rules of these strategies. Strategies without rules are left out."""
    row = SignalStrategyRow
    conditions = (
        row.tenant_id.in_({key.tenant_id for key in keys}),
        row.name.in_({key.name for key in keys}),
    )
    rules_of_strategies = [
        _build_rules(_Row._make(row)) for row in connection.execute(_select_rules().where(*conditions))
    ]
    return {StrategyKey(rules.tenant_id, rules.name): rules for rules in rules_of_strategies}


def find_strategy_rules(connection: Connection, tenant_id: int, name: str) -> StrategyRules | None:
    """Return the rules of a strategy, None if it has none."""
    key = StrategyKey(tenant_id, name)
    return load_strategy_rules(connection, [key]).get(key)


def upsert_strategy_rules(connection: Connection, rules: StrategyRules, portfolio_id: int | None) -> None:
    """Insert or replace the rules of a strategy."""
    values: dict[str, Any] = {
        "tenant_id": rules.tenant_id,
        "name": rules.name,
        "portfolio_id": portfolio_id,
        "mode": str(rules.mode),
        "size_kind": None if rules.size is None else str(rules.size.kind),
        "size_value": None if rules.size is None else rules.size.value,
        "symbols": None if rules.symbols is None else " ".join(rules.symbols),
        "updated_by": rules.updated_by,
        "updated_at": rules.updated_at,
    }
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    changes = {name: value for name, value in values.items() if name not in {"tenant_id", "name"}}
    statement = dialect.insert(_TABLE).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id", "name"], set_=changes))


def delete_strategy_rules(connection: Connection, tenant_id: int, name: str) -> bool:
    """Delete the rules of a strategy. Return whether it had rules."""
    conditions = (SignalStrategyRow.tenant_id == tenant_id, SignalStrategyRow.name == name)
    return connection.execute(delete(SignalStrategyRow).where(*conditions)).rowcount == 1


def _select_rules() -> Select[*tuple[Any, ...]]:
    row = SignalStrategyRow
    has_portfolio = (Portfolio.tenant_id == row.tenant_id) & (Portfolio.id == row.portfolio_id)
    columns = (row.tenant_id, row.name, Portfolio.name, row.mode, row.size_kind, row.size_value, row.symbols)
    has_strategy = (StrategyRow.tenant_id == row.tenant_id) & (StrategyRow.name == row.name)
    is_stopped = func.coalesce((StrategyRow.kind == "signals") & (StrategyRow.status != "ACTIVE"), false())
    statement = select(*columns, row.updated_by, row.updated_at, is_stopped)
    return statement.outerjoin(Portfolio, has_portfolio).outerjoin(StrategyRow, has_strategy)


def _build_rules(row: _Row) -> StrategyRules:
    size = None if row.size_kind is None else SignalSize(SizeKind(row.size_kind), row.size_value)
    symbols = None if row.symbols is None else tuple(row.symbols.split())
    fields = (row.tenant_id, row.name, row.portfolio_name, SignalMode(row.mode), size, symbols)
    return StrategyRules(*fields, row.updated_by, row.updated_at, row.is_stopped)
