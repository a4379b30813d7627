"""Statements about strategies and their versions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select

from app.database import RecordTable
from app.identity.rules.access import Caller
from app.ledger.models import Portfolio
from app.strategies.models import StrategyRow, StrategyVersionRow
from app.strategies.rules.values import Strategy, StrategyKind, StrategyStatus, StrategyVersion

STRATEGIES = RecordTable(StrategyRow, Strategy)
VERSIONS = RecordTable(StrategyVersionRow, StrategyVersion)
_PORTFOLIO_CONDITION = (Portfolio.tenant_id == StrategyRow.tenant_id) & (
    Portfolio.id == StrategyRow.portfolio_id
)


class ListedStrategy(NamedTuple):
    """A strategy with the name and the name key of its portfolio."""

    strategy: Strategy
    portfolio_name: str | None
    portfolio_name_key: str | None


def update_strategy(connection: Connection, strategy: Strategy, changes: Mapping[str, Any]) -> None:
    """Change columns of a strategy."""
    STRATEGIES.update(connection, changes, tenant_id=strategy.tenant_id, name=strategy.name)


def find_strategy(
    connection: Connection, tenant_id: int, name: str, *, locks: bool = False
) -> ListedStrategy | None:
    """Return a strategy. With `locks`, nobody else changes it before the end of the transaction."""
    statement = _select_strategies(tenant_id).where(StrategyRow.name == name)
    if locks:
        statement = statement.with_for_update(of=StrategyRow)
    row = connection.execute(statement).one_or_none()
    return None if row is None else _build_strategy(row)


def list_strategies(connection: Connection, caller: Caller) -> list[ListedStrategy]:
    """Return the strategies that the caller may see, by name: all that have no portfolio, or one it sees."""
    strategies = map(
        _build_strategy, connection.execute(_select_strategies(caller.tenant_id).order_by(StrategyRow.name))
    )
    return [
        listed_strategy
        for listed_strategy in strategies
        if listed_strategy.portfolio_name_key is None or caller.can_see(listed_strategy.portfolio_name_key)
    ]


def list_active_strategies(connection: Connection) -> Sequence[ListedStrategy]:
    """Return the active strategies with code, of every tenant that the connection sees."""
    statement = select(*STRATEGIES.columns, Portfolio.name, Portfolio.name_key).join(
        Portfolio, _PORTFOLIO_CONDITION
    )
    is_active = (StrategyRow.status == StrategyStatus.ACTIVE, StrategyRow.kind == StrategyKind.CODE)
    return list(map(_build_strategy, connection.execute(statement.where(*is_active))))


def list_started_strategies(connection: Connection) -> Sequence[ListedStrategy]:
    """Return the strategies with code that have run, of every tenant that the connection sees."""
    statement = select(*STRATEGIES.columns, Portfolio.name, Portfolio.name_key).join(
        Portfolio, _PORTFOLIO_CONDITION
    )
    has_run = (StrategyRow.run > 0, StrategyRow.kind == StrategyKind.CODE)
    return list(map(_build_strategy, connection.execute(statement.where(*has_run))))


def load_portfolio_kind(connection: Connection, tenant_id: int, portfolio_id: int) -> str:
    """Return "paper" or "live"."""
    is_match = (Portfolio.tenant_id == tenant_id, Portfolio.id == portfolio_id)
    return str(connection.execute(select(Portfolio.kind).where(*is_match)).scalar_one())


def _select_strategies(tenant_id: int) -> Select[Any]:
    statement = select(*STRATEGIES.columns, Portfolio.name, Portfolio.name_key).outerjoin(
        Portfolio, _PORTFOLIO_CONDITION
    )
    return statement.where(StrategyRow.tenant_id == tenant_id)


def _build_strategy(row: Any) -> ListedStrategy:
    return ListedStrategy(STRATEGIES.build(row[:-2]), row[-2], row[-1])
