"""Statements about corporate actions. Every query filters by tenant first."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, insert, select, union, update

from app.column_values import format_canonical
from app.corporate_actions.rules.values import AffectedPortfolio
from app.ledger.models import CorporateAction, Portfolio, PositionRow
from app.ledger.queries.corporate_actions import build_action
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms
from app.orders.models import IS_OPEN, OrderRecord

COLUMNS = tuple(column.name for column in CorporateAction.__table__.columns)
_OTHERS = (
    "pay_date", "reason", "created_by", "created_at", "booked_at", "reversed_at", "reversal_reason",
)  # fmt: skip
_ROW = select(
    *(getattr(CorporateAction, name) for name in CorporateActionTerms._fields),
    *(getattr(CorporateAction, name) for name in _OTHERS),
)


class ActionRecord(NamedTuple):
    """A corporate action and its outcome."""

    action: CorporateActionTerms
    pay_date: str | None
    reason: str
    created_by: str
    created_at: datetime
    booked_at: datetime | None
    reversed_at: datetime | None
    reversal_reason: str | None


def insert_action(connection: Connection, record: ActionRecord) -> None:
    """Insert an action."""
    values = record.action._asdict() | {name: getattr(record, name) for name in _OTHERS}
    values["effective_at"] = datetime.fromisoformat(record.action.effective_at)
    connection.execute(insert(CorporateAction).values(values))


def find_action(connection: Connection, tenant_id: int, action_id: str) -> ActionRecord | None:
    """Return an action, None if there is none with that id."""
    conditions = (CorporateAction.tenant_id == tenant_id, CorporateAction.id == action_id)
    row = connection.execute(_ROW.where(*conditions)).one_or_none()
    return None if row is None else _build_record(row)


def list_actions(
    connection: Connection, tenant_id: int, symbol: str | None, limit: int, before: str | None
) -> list[ActionRecord]:
    """Return actions, the newest first. `before` is the id of the last action seen."""
    statement = _ROW.where(CorporateAction.tenant_id == tenant_id)
    if symbol is not None:
        statement = statement.where(CorporateAction.symbol == symbol)
    if before is not None:
        statement = statement.where(CorporateAction.id < before)
    rows = connection.execute(statement.order_by(CorporateAction.id.desc()).limit(limit))
    return [_build_record(row) for row in rows]


def list_due_actions(connection: Connection, at: datetime) -> list[ActionRecord]:
    """Return the actions of the visible tenants that took effect by `at` and are not booked.

    Of actions on the same symbol and date, symbol changes come last: the others name the old symbol.
    """
    is_due = (CorporateAction.booked_at.is_(None), CorporateAction.reversed_at.is_(None))
    statement = _ROW.where(*is_due, CorporateAction.effective_at <= at)
    is_change = case((CorporateAction.kind == ActionKind.SYMBOL_CHANGE, 1), else_=0)
    order = (CorporateAction.effective_at, is_change, CorporateAction.id)
    return [_build_record(row) for row in connection.execute(statement.order_by(*order))]


def list_stored_facts(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield all columns of all actions, as canonical text, for the verification."""
    columns = [getattr(CorporateAction, name) for name in COLUMNS]
    for row in connection.execute(select(*columns).order_by(*columns[:2])):
        yield dict(zip(COLUMNS, map(format_canonical, row), strict=True))


def mark_booked(connection: Connection, action: CorporateActionTerms, at: datetime) -> bool:
    """Mark an action as booked. Return false if it was already booked or reversed."""
    pending = _is_action(action).where(
        CorporateAction.booked_at.is_(None), CorporateAction.reversed_at.is_(None)
    )
    return connection.execute(pending.values(booked_at=at)).rowcount == 1


def mark_reversed(connection: Connection, action: CorporateActionTerms, at: datetime, reason: str) -> bool:
    """Mark an action as reversed. Return false if it was already reversed."""
    standing = _is_action(action).where(CorporateAction.reversed_at.is_(None))
    return connection.execute(standing.values(reversed_at=at, reversal_reason=reason)).rowcount == 1


def list_portfolios(connection: Connection, tenant_id: int, symbol: str) -> list[AffectedPortfolio]:
    """Return the portfolios with a position, flat or not, or an open order in the symbol, by name."""
    portfolios_with_positions = select(PositionRow.portfolio_id).where(
        PositionRow.tenant_id == tenant_id, PositionRow.symbol == symbol
    )
    portfolios_with_orders = select(OrderRecord.portfolio_id).where(
        OrderRecord.tenant_id == tenant_id, OrderRecord.symbol == symbol, IS_OPEN
    )
    statement = (
        select(Portfolio.id, Portfolio.name, Portfolio.base_currency)
        .where(
            Portfolio.tenant_id == tenant_id,
            Portfolio.id.in_(union(portfolios_with_positions, portfolios_with_orders)),
        )
        .order_by(Portfolio.name_key)
    )
    return [AffectedPortfolio._make(row) for row in connection.execute(statement)]


def list_products(connection: Connection, tenant_id: int, portfolio_id: int, symbol: str) -> list[str]:
    """Return the products of a portfolio's positions in a symbol."""
    conditions = (PositionRow.tenant_id == tenant_id, PositionRow.portfolio_id == portfolio_id)
    statement = select(PositionRow.product).where(*conditions, PositionRow.symbol == symbol)
    return sorted(connection.execute(statement).scalars())


def _is_action(action: CorporateActionTerms) -> Any:
    conditions = (CorporateAction.tenant_id == action.tenant_id, CorporateAction.id == action.id)
    return update(CorporateAction).where(*conditions)


def _build_record(row: Any) -> ActionRecord:  # a row of `_ROW`
    width = len(CorporateActionTerms._fields)
    return ActionRecord(build_action(row[:width]), *row[width:])
