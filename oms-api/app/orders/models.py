"""Define the tables of orders. `rules.values.Order` documents the fields of an order."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, Serial, build_partial_index
from app.instruments.models import SymbolText
from app.orders.rules.values import FINAL_STATUSES, GroupKind, OrderType, Status, TimeInForce


def _build_check(column: str, values: Iterable[str]) -> str:
    value_list = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({value_list})"


_FINAL_STATUSES = [status for status in Status if status in FINAL_STATUSES]
_FINAL_STATUS_LIST = ", ".join(repr(str(status)) for status in _FINAL_STATUSES)
_OVERRIDE_CONDITION = text("override_of IS NOT NULL")
_PARENT_CONDITION, _GROUP_CONDITION = text("parent_id IS NOT NULL"), text("group_id IS NOT NULL")
_UNFILLED_STATUSES = [repr(str(status)) for status in _FINAL_STATUSES if status is not Status.FILLED]
IS_UNFILLED = text(f"status IN ({', '.join(_UNFILLED_STATUSES)})")  # final, but not filled
_PRESENCE_CONDITIONS = {column: text(f"{column} IS NOT NULL") for column in ("strategy", "user_id", "actor")}
_FILTER_INDEXES = (  # for filters of lists; partial, so that a null costs nothing
    *(
        build_partial_index(None, is_present, "tenant_id", column, "id")
        for column, is_present in _PRESENCE_CONDITIONS.items()
    ),
    build_partial_index("ix_orders_unfilled_by_status", IS_UNFILLED, "tenant_id", "status", "id"),
)
_RELATION_INDEXES = (  # partial, because most orders have neither a parent nor a group
    build_partial_index(None, _PARENT_CONDITION, "tenant_id", "parent_id"),
    build_partial_index(None, _GROUP_CONDITION, "tenant_id", "group_id"),
)
_INCOMPLETE_CONDITION, _NO_ORDERS_CONDITION = text("completed_at IS NULL"), text("order_ids IS NULL")
IS_WAITING = text("status = 'AWAITING_APPROVAL'")
IS_OPEN, IS_FINAL = text(f"status NOT IN ({_FINAL_STATUS_LIST})"), text(f"status IN ({_FINAL_STATUS_LIST})")


class OrderRecord(Base):
    """The current state of an order. Its history is in `order_events`."""

    __tablename__ = "orders"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        UniqueConstraint("client_order_id", "tenant_id", "portfolio_id"),
        UniqueConstraint("idempotency_key", "tenant_id", "portfolio_id"),
        build_partial_index("ix_orders_open_by_symbol", IS_OPEN, "tenant_id", "symbol", "portfolio_id"),
        build_partial_index("ix_orders_open_by_portfolio", IS_OPEN, "tenant_id", "portfolio_id"),
        build_partial_index("ix_orders_awaiting_approval", IS_WAITING, "tenant_id", "id"),
        Index(None, "tenant_id", "portfolio_id", "id"),
        Index(None, "tenant_id", "symbol", "id"),
        *_RELATION_INDEXES,
        *_FILTER_INDEXES,
        CheckConstraint("side IN ('BUY', 'SELL')", name="side_is_known"),
        CheckConstraint(_build_check("type", OrderType), name="type_is_known"),
        CheckConstraint(_build_check("time_in_force", TimeInForce), name="time_in_force_is_known"),
        CheckConstraint(_build_check("status", Status), name="status_is_known"),
        CheckConstraint(_build_check("group_kind", GroupKind), name="group_kind_is_known"),
        CheckConstraint("CAST(quantity AS NUMERIC) >= 0", name="quantity_is_not_negative"),
        CheckConstraint("CAST(filled_quantity AS NUMERIC) >= 0", name="filled_quantity_is_not_negative"),
        CheckConstraint("(status = 'DENIED') = (denial IS NOT NULL)", name="a_denied_order_says_why"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    client_order_id: Mapped[str] = mapped_column(String(100))
    symbol: Mapped[str] = mapped_column(SymbolText)
    product: Mapped[str] = mapped_column(String(8))
    side: Mapped[str] = mapped_column(String(4))
    type: Mapped[str] = mapped_column(String(16))
    time_in_force: Mapped[str] = mapped_column(String(3))
    quantity: Mapped[Decimal] = mapped_column(Amount)
    notional: Mapped[Decimal | None] = mapped_column(Amount)
    limit_price: Mapped[Decimal | None] = mapped_column(Amount)
    stop_price: Mapped[Decimal | None] = mapped_column(Amount)
    trail_amount: Mapped[Decimal | None] = mapped_column(Amount)
    trail_percent: Mapped[Decimal | None] = mapped_column(Amount)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    ends_at: Mapped[datetime | None] = mapped_column(Instant)
    extended_hours: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str | None] = mapped_column(Text)
    strategy: Mapped[str | None] = mapped_column(String(100))
    user_id: Mapped[str | None] = mapped_column(String(100))
    source: Mapped[str] = mapped_column(String(60))
    actor: Mapped[str | None] = mapped_column(String(300))
    status: Mapped[str] = mapped_column(String(20))
    filled_quantity: Mapped[Decimal] = mapped_column(Amount)
    filled_value: Mapped[Decimal] = mapped_column(Amount)
    is_triggered: Mapped[bool] = mapped_column(Boolean)
    trail_level: Mapped[Decimal | None] = mapped_column(Amount)
    carried_quantity: Mapped[Decimal] = mapped_column(Amount)
    carried_value: Mapped[Decimal] = mapped_column(Amount)
    replaces: Mapped[str | None] = mapped_column(String(32))
    replaced_by: Mapped[str | None] = mapped_column(String(32))
    parent_id: Mapped[str | None] = mapped_column(String(32))
    group_id: Mapped[str | None] = mapped_column(String(32))
    group_kind: Mapped[str | None] = mapped_column(String(8))
    role: Mapped[str | None] = mapped_column(String(12))
    denial: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str | None] = mapped_column(String(210))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    broker: Mapped[str] = mapped_column(String(20))
    broker_order_id: Mapped[str | None] = mapped_column(String(100))
    event_count: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    accepted_at: Mapped[datetime | None] = mapped_column(Instant)
    cost_schedule: Mapped[str] = mapped_column(String(20), server_default="none")


class OrderEventRecord(Base):
    """A change of an order, append-only, and in `following` the changes after it in the same transaction.

    A change that keeps the status has the same status in `from_status` and `to_status`. Examples are a fill
    while a request is pending, and an exit whose quantity grows.
    """

    __tablename__ = "order_events"

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    order_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    from_status: Mapped[str | None] = mapped_column(String(20))
    to_status: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(Instant)
    actor: Mapped[str] = mapped_column(String(300))
    reason: Mapped[str | None] = mapped_column(Text)
    broker_reason: Mapped[str | None] = mapped_column("broker_words", Text)
    execution_id: Mapped[str | None] = mapped_column(String(100))
    request_key: Mapped[str | None] = mapped_column(String(210))
    following: Mapped[str | None] = mapped_column(Text)


class ApprovalRequestRecord(Base):
    """A request for the approval of an order, append-only; see `rules.approvals.ApprovalRequest`.

    The status of the order shows whether it still waits. The history of the order shows who decided.
    """

    __tablename__ = "approval_requests"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
        build_partial_index(
            "ix_approval_requests_overrides", _OVERRIDE_CONDITION, "tenant_id", "override_of"
        ),
        CheckConstraint("(override_of IS NULL) = (waived IS NULL)", name="an_override_waives_a_limit"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    order_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    rule: Mapped[str] = mapped_column(String(20))
    requested_by: Mapped[str] = mapped_column(String(300))
    requested_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    price_seen: Mapped[Decimal | None] = mapped_column(Amount)
    max_move_percent: Mapped[Decimal] = mapped_column(Amount)
    approvers: Mapped[str] = mapped_column(Text)
    estimate: Mapped[str] = mapped_column(Text)
    override_of: Mapped[str | None] = mapped_column(String(32))
    waived: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str | None] = mapped_column(Text)


class BrokerRequestRecord(Base):
    """A request to a broker, stored in the transaction of its order and sent after the commit.

    `connection` is the name of the broker connection. `kind` is submit, cancel or replace. `successor` is the
    JSON list of the columns of a replacement's successor, which is inserted when the broker confirms it.
    `status` is "new" until the first attempt, "sending" during an attempt, "unknown" while it is not known
    whether the broker received the request, and "done". `error` is the error of the last failed attempt.
    """

    __tablename__ = "broker_requests"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "order_id"], ["orders.tenant_id", "orders.id"]),
        build_partial_index(
            "ix_broker_requests_undone", _INCOMPLETE_CONDITION, "tenant_id", "connection", "id"
        ),
        Index(None, "tenant_id", "order_id"),
        CheckConstraint("kind IN ('submit', 'cancel', 'replace')", name="kind_is_known"),
        CheckConstraint("status IN ('new', 'sending', 'unknown', 'done')", name="status_is_known"),
        CheckConstraint("(status = 'done') = (completed_at IS NOT NULL)", name="done_has_a_time"),
        CheckConstraint(
            "(kind = 'replace') = (successor_id IS NOT NULL AND successor IS NOT NULL)",
            name="replace_has_a_successor",
        ),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    connection: Mapped[str] = mapped_column(String(60))
    order_id: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(7))
    successor_id: Mapped[str | None] = mapped_column(String(32))
    successor: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(8), server_default="new")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    next_attempt_at: Mapped[datetime | None] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)


class CancellationRecord(Base):
    """A request to cancel the matching orders of several portfolios that were created before it.

    `idempotency_key` is a hash of the caller and the idempotency key of the request.
    """

    __tablename__ = "cancellations"
    __table_args__ = (UniqueConstraint("tenant_id", "idempotency_key"),)

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    idempotency_key: Mapped[str | None] = mapped_column(String(64))
    request_hash: Mapped[str | None] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(60))
    actor: Mapped[str | None] = mapped_column(String(300))
    request_id: Mapped[str | None] = mapped_column(String(100))
    symbol: Mapped[str | None] = mapped_column(SymbolText)
    side: Mapped[str | None] = mapped_column(String(4))
    strategy: Mapped[str | None] = mapped_column(String(100))
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)


class PortfolioCancellationRecord(Base):
    """The part of a cancellation in one portfolio. `order_ids` is a JSON list, null until it is done."""

    __tablename__ = "portfolio_cancellations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "cancellation_id"], ["cancellations.tenant_id", "cancellations.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        build_partial_index("ix_portfolio_cancellations_undone", _NO_ORDERS_CONDITION, "tenant_id"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    cancellation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    portfolio_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    order_ids: Mapped[str | None] = mapped_column(Text)


class ExecutionRecord(Base):
    """One fill as its broker reported it, append-only.

    `trade_id` is the id of its trade in the ledger. `charges` is a JSON object of its charges by component,
    in the portfolio's currency, null if there are none.
    """

    __tablename__ = "executions"
    __table_args__ = (
        Index(None, "tenant_id", "order_id"),
        Index(None, "tenant_id", "symbol", "executed_at"),  # to sum up the executions at a quote with sizes
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    broker: Mapped[str] = mapped_column(String(20), primary_key=True)
    execution_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    order_id: Mapped[str] = mapped_column(String(32))
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(SymbolText)
    side: Mapped[str] = mapped_column(String(4))
    quantity: Mapped[Decimal] = mapped_column(Amount)
    price: Mapped[Decimal] = mapped_column(Amount)
    value: Mapped[Decimal] = mapped_column(Amount)
    trade_id: Mapped[str] = mapped_column(String(32))
    note: Mapped[str | None] = mapped_column(String(20))
    executed_at: Mapped[datetime] = mapped_column(Instant)
    charges: Mapped[str | None] = mapped_column(Text)
