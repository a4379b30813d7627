"""Keep a strategy for each set of rules of signals, so that there is one list of strategies."""

from datetime import datetime

from sqlalchemy import Connection

from app.ids import SortableIds
from app.strategies.queries import registry as queries
from app.strategies.queries.registry import STRATEGIES
from app.strategies.rules.values import Strategy, StrategyKind, StrategyMode, StrategyStatus

_IDS = SortableIds("G")


def ensure_signal_strategy(
    connection: Connection, tenant_id: int, name: str, portfolio_id: int | None, actor: str, now: datetime
) -> None:
    """Create the strategy of signals, ACTIVE, or change its portfolio. Do not change a strategy with code."""
    listed_strategy = queries.find_strategy(connection, tenant_id, name)
    if listed_strategy is None:
        strategy = Strategy(
            tenant_id=tenant_id,
            name=name,
            id=_IDS.generate(tenant_id, now),
            kind=StrategyKind.SIGNALS,
            portfolio_id=portfolio_id,
            parameters="{}",
            mode=StrategyMode.PAPER,
            status=StrategyStatus.ACTIVE,
            created_by=actor,
            created_at=now,
            updated_by=actor,
            updated_at=now,
        )
        STRATEGIES.insert(connection, strategy)
    elif listed_strategy.strategy.kind is StrategyKind.SIGNALS:
        changes = {"portfolio_id": portfolio_id, "updated_by": actor, "updated_at": now}
        queries.update_strategy(connection, listed_strategy.strategy, changes)


def remove_signal_strategy(connection: Connection, tenant_id: int, name: str) -> None:
    """Delete the strategy of signals. Do not delete a strategy with code."""
    strategy = queries.find_strategy(connection, tenant_id, name)
    if strategy is not None and strategy.strategy.kind is StrategyKind.SIGNALS:
        STRATEGIES.delete(connection, tenant_id=tenant_id, name=strategy.strategy.name)
