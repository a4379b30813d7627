"""Queries of reconciliation issues, and of the positions, orders and cash that are compared."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, or_, select, update

from app.brokers.models import BrokerConnectionRow
from app.column_values import format_canonical
from app.database import RecordTable, execute_writes
from app.events.rules import NewEvent
from app.events.service.outbox import build_packed_insert
from app.ledger.models import CashMovement, Portfolio, PositionRow
from app.ledger.rules.cash import CashKind
from app.money import ZERO
from app.orders.models import ExecutionRecord, OrderRecord
from app.orders.rules.rows import ExecutionRow
from app.reconciliation.models import ReconciliationIssueRow
from app.reconciliation.rules.differences import HeldAmount, IssueType, Severity, get_proposed_action
from app.reconciliation.rules.event_payloads import build_issue_payload
from app.timestamps import format_timestamp

IGNORED, WATCHED = "ignore", "watch"
_MAX_IN_VALUES = 500


class Issue(NamedTuple):
    """An issue with the name of its portfolio."""

    tenant_id: int
    id: str
    connection: str
    portfolio_id: int
    type: str
    severity: str
    symbol: str | None
    order_id: str | None
    ours: str | None
    theirs: str | None
    status: str
    owner: str | None
    action: str | None
    reason: str | None
    detected_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    details: str | None = None
    portfolio_name: str = ""


class IssueFilter(NamedTuple):
    """The filter of a list of issues; None selects all."""

    status: str | None = None
    severity: str | None = None
    portfolio_name_key: str | None = None


class ComparedPortfolio(NamedTuple):
    """A portfolio that trades over a connection."""

    id: int
    cash: Decimal
    name: str
    name_key: str
    base_currency: str


class StoredPosition(NamedTuple):
    """A position in one symbol and product."""

    symbol: str
    product: str
    quantity: Decimal
    cost: Decimal
    local_cost: Decimal | None


_PORTFOLIOS = RecordTable(Portfolio, ComparedPortfolio)
_POSITIONS = RecordTable(PositionRow, StoredPosition)
_STORED = Issue._fields[:-1]
_COLUMNS = (*(getattr(ReconciliationIssueRow, name) for name in _STORED), Portfolio.name)
_IS_PORTFOLIO_OF_ISSUE = (Portfolio.tenant_id == ReconciliationIssueRow.tenant_id) & (
    Portfolio.id == ReconciliationIssueRow.portfolio_id
)


def list_issues(connection: Connection, tenant_id: int, issue_filter: IssueFilter, limit: int) -> list[Issue]:
    """Return issues of a tenant, newest first."""
    statement = (
        select(*_COLUMNS)
        .join(Portfolio, _IS_PORTFOLIO_OF_ISSUE)
        .where(ReconciliationIssueRow.tenant_id == tenant_id)
    )
    if issue_filter.status is not None:
        statement = statement.where(ReconciliationIssueRow.status == issue_filter.status)
    if issue_filter.severity is not None:
        statement = statement.where(ReconciliationIssueRow.severity == issue_filter.severity)
    if issue_filter.portfolio_name_key is not None:
        statement = statement.where(Portfolio.name_key == issue_filter.portfolio_name_key)
    order = (ReconciliationIssueRow.detected_at.desc(), ReconciliationIssueRow.id)
    return [Issue._make(row) for row in connection.execute(statement.order_by(*order).limit(limit))]


def find_issue(connection: Connection, tenant_id: int, issue_id: str) -> Issue | None:
    """Return an issue of the tenant, None if it does not exist."""
    conditions = (ReconciliationIssueRow.tenant_id == tenant_id, ReconciliationIssueRow.id == issue_id)
    row = connection.execute(
        select(*_COLUMNS).join(Portfolio, _IS_PORTFOLIO_OF_ISSUE).where(*conditions)
    ).one_or_none()
    return None if row is None else Issue._make(row)


def list_open_or_ignored_issues(connection: Connection, tenant_id: int, name: str) -> list[Issue]:
    """Return the issues of a connection that are open or ignored."""
    conditions = (
        ReconciliationIssueRow.tenant_id == tenant_id,
        ReconciliationIssueRow.connection == name,
        or_(ReconciliationIssueRow.status == "open", ReconciliationIssueRow.action == IGNORED),
    )
    rows = connection.execute(select(*_COLUMNS).join(Portfolio, _IS_PORTFOLIO_OF_ISSUE).where(*conditions))
    return [Issue._make(row) for row in rows]


def insert_issue(connection: Connection, issue: Issue) -> None:
    """Insert an issue."""
    connection.execute(
        insert(ReconciliationIssueRow).values({name: getattr(issue, name) for name in _STORED})
    )


def update_issue(connection: Connection, issue: Issue, changes: dict[str, Any]) -> Issue:
    """Update columns of an issue, and return the updated issue."""
    conditions = (ReconciliationIssueRow.tenant_id == issue.tenant_id, ReconciliationIssueRow.id == issue.id)
    connection.execute(update(ReconciliationIssueRow).where(*conditions).values(**changes))
    return issue._replace(**changes)


def publish_issue(connection: Connection, issue: Issue, state: str, now: datetime) -> None:
    """Publish the event that an issue was opened, changed or resolved."""
    payload = build_issue_payload(issue, get_proposed_action(IssueType(issue.type)))
    event = NewEvent(issue.tenant_id, f"reconciliation.{state}", payload, format_timestamp(now), issue.id)
    execute_writes(connection, build_packed_insert([event]))


def request_comparison(connection: Connection, tenant_id: int, now: datetime) -> int:
    """Ask the sessions of a tenant's connections to compare. Return the number of connections."""
    statement = update(BrokerConnectionRow).where(BrokerConnectionRow.tenant_id == tenant_id)
    return connection.execute(statement.values(reconcile_requested_at=now)).rowcount


def find_compared_portfolio(connection: Connection, tenant_id: int, name: str) -> ComparedPortfolio | None:
    """Return the portfolio that trades over a connection, None if there is none."""
    return _PORTFOLIOS.find(connection, tenant_id=tenant_id, broker_connection=name)


def list_held_amounts(connection: Connection, tenant_id: int, portfolio_id: int) -> dict[str, HeldAmount]:
    """Return the positions of a portfolio by symbol, over all products, without flat ones."""
    held_amounts: dict[str, HeldAmount] = {}
    for symbol, positions in list_positions(connection, tenant_id, portfolio_id).items():
        amounts = [get_held_amount(position) for position in positions]
        quantity = sum((amount.quantity for amount in amounts), ZERO)
        if quantity:
            held_amounts[symbol] = HeldAmount(quantity, sum((amount.cost for amount in amounts), ZERO))
    return held_amounts


def list_positions(
    connection: Connection, tenant_id: int, portfolio_id: int
) -> dict[str, list[StoredPosition]]:
    """Return the positions of a portfolio by symbol, one for each product, without flat ones."""
    query = _POSITIONS.select(tenant_id=tenant_id, portfolio_id=portfolio_id)
    positions: dict[str, list[StoredPosition]] = {}
    for position in _POSITIONS.read(connection, query):
        if position.quantity:
            positions.setdefault(position.symbol, []).append(position)
    return positions


def get_held_amount(position: StoredPosition) -> HeldAmount:
    """Return the quantity of a position, and its cost in the currency that it trades in."""
    cost = position.cost if position.local_cost is None else position.local_cost
    return HeldAmount(position.quantity, cost)


def update_critical_issue_count(connection: Connection, tenant_id: int, name: str) -> None:
    """Store the number of open critical issues of a connection. Watched issues do not count."""
    issue_count = select(func.count()).where(
        ReconciliationIssueRow.tenant_id == tenant_id,
        ReconciliationIssueRow.connection == name,
        ReconciliationIssueRow.status == "open",
        ReconciliationIssueRow.severity == Severity.CRITICAL.value,
        func.coalesce(ReconciliationIssueRow.action, "") != WATCHED,
    )
    conditions = (BrokerConnectionRow.tenant_id == tenant_id, BrokerConnectionRow.name == name)
    statement = update(BrokerConnectionRow).where(*conditions)
    connection.execute(statement.values(critical_issues=issue_count.scalar_subquery()))


def load_known_order_ids(
    connection: Connection, tenant_id: int, portfolio_id: int, order_ids: Collection[str]
) -> set[str]:
    """Return the ids among `order_ids` that belong to orders of the portfolio."""
    conditions = (OrderRecord.tenant_id == tenant_id, OrderRecord.portfolio_id == portfolio_id)
    return _list_stored_values(connection, OrderRecord.id, conditions, order_ids)


def load_booked_execution_ids(
    connection: Connection, tenant_id: int, broker: str, execution_ids: Collection[str]
) -> set[str]:
    """Return the ids among `execution_ids` whose executions are booked."""
    conditions = (ExecutionRecord.tenant_id == tenant_id, ExecutionRecord.broker == broker)
    return _list_stored_values(connection, ExecutionRecord.execution_id, conditions, execution_ids)


def load_booked_executions(
    connection: Connection, tenant_id: int, portfolio_id: int, broker: str, execution_ids: Collection[str]
) -> list[ExecutionRow]:
    """Return the booked executions of a portfolio whose ids are among `execution_ids`."""
    columns = [getattr(ExecutionRecord, name) for name in ExecutionRow._fields]
    is_broker = ExecutionRecord.broker == broker
    conditions = (
        ExecutionRecord.tenant_id == tenant_id,
        ExecutionRecord.portfolio_id == portfolio_id,
        is_broker,
    )
    sorted_ids, executions = sorted(execution_ids), list[ExecutionRow]()
    for start in range(0, len(sorted_ids), _MAX_IN_VALUES):
        chunk = sorted_ids[start : start + _MAX_IN_VALUES]
        rows = connection.execute(
            select(*columns).where(*conditions, ExecutionRecord.execution_id.in_(chunk))
        )
        executions += [ExecutionRow._make(map(format_canonical, row)) for row in rows]
    return executions


def load_charge_keys(
    connection: Connection, tenant_id: int, portfolio_id: int, executions: Sequence[ExecutionRow]
) -> set[str]:
    """Return the idempotency keys of charges and adjustments on the symbols and days of the executions."""
    kinds = (CashKind.CHARGES.value, CashKind.ADJUSTMENT.value)
    conditions = (CashMovement.tenant_id == tenant_id, CashMovement.portfolio_id == portfolio_id)
    is_charge = (*conditions, CashMovement.kind.in_(kinds), CashMovement.idempotency_key.is_not(None))
    is_day = CashMovement.day.in_(sorted({execution.executed_at[:10] for execution in executions}))
    symbols, keys = sorted({execution.symbol for execution in executions}), set[str]()
    for start in range(0, len(symbols), _MAX_IN_VALUES):
        is_symbol = CashMovement.symbol.in_(symbols[start : start + _MAX_IN_VALUES])
        statement = select(CashMovement.idempotency_key).where(*is_charge, is_symbol, is_day)
        keys |= {key for key in connection.execute(statement).scalars() if key is not None}
    return keys


def _list_stored_values(
    connection: Connection, column: Any, conditions: tuple[Any, ...], values: Collection[str]
) -> set[str]:
    sorted_values, stored_values = sorted(values), set[str]()
    for start in range(0, len(sorted_values), _MAX_IN_VALUES):
        statement = select(column).where(
            *conditions, column.in_(sorted_values[start : start + _MAX_IN_VALUES])
        )
        stored_values |= set(connection.execute(statement).scalars())
    return stored_values
